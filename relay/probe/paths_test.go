// SPDX-FileCopyrightText: The certlink authors
// SPDX-License-Identifier: Apache-2.0

package probe

import (
	"fmt"
	"testing"
	"time"

	"github.com/certlink/certlink/internal/testbubble"
	"github.com/certlink/certlink/relay/config"
	"github.com/certlink/certlink/relay/link"
	"github.com/certlink/certlink/relay/report"
)

func TestAPeerWithoutAddressIsProvenByTheConnectionsThatItDials(t *testing.T) {
	testbubble.Run(t, func(t *testing.T) {
		alfa, bravo, _ := two(t)
		sleep(time.Second)
		alfa.expect(report.Up, report.Up)
		bravo.expect(report.Up, report.Up)
		p := bravo.peer()
		if len(p.Paths) != 1 || !p.Paths[0].Accepted || p.Paths[0].Address != "bravo:1" || p.Paths[0].State != report.Up || p.TLS == nil {
			t.Errorf("%+v", p)
		}
		if _, _, up := alfa.View("bravo.example"); up != 1 {
			t.Errorf("%d paths up", up)
		}
		alfa.with(func(s *side) {
			if s.ups != 1 || s.told[link.Path{TrustDomain: "bravo.example", Address: "bravo:1"}] != report.Up {
				t.Errorf("%d times up, told %v", s.ups, s.told)
			}
		})
	})
}

func TestWhatIsWrongWithTheOnlyPathIsTheCauseOfTheLink(t *testing.T) {
	testbubble.Run(t, func(t *testing.T) {
		alfa, _, c := two(t)
		c.set(func(c *cable) { c.refuse = &link.Error{Cause: report.CauseUntrusted, Message: "bravo:1: no chain"} })
		sleep(10 * time.Second)
		alfa.expect(report.Down, report.Down)
		if p := alfa.peer(); p.Outbound.Cause != report.CauseUntrusted || p.Outbound.Message != "bravo:1: no chain" || p.Paths[0].Message != "bravo:1: no chain" {
			t.Errorf("%+v", p)
		}
		changes, dials := 0, 0
		alfa.with(func(s *side) { changes = s.changes })
		c.set(func(c *cable) { dials = c.dials })
		sleep(time.Minute)
		alfa.with(func(s *side) {
			if s.changes != changes {
				t.Errorf("%d changes while the fault stayed the same", s.changes-changes)
			}
		})
		c.set(func(c *cable) {
			if n := c.dials - dials; n < 5 || n > 15 {
				t.Errorf("%d tries in a minute where a person must act", n)
			}
			c.refuse = nil
		})
		sleep(10 * time.Second)
		alfa.expect(report.Up, report.Up) // at once: the first start is no flap
	})
}

func TestOneOfTwoPathsKeepsTheLinkUp(t *testing.T) {
	testbubble.Run(t, func(t *testing.T) {
		var second *cable
		alfa, bravo, first := two(t, func(a, b *side) { second = a.dials(b, "bravo:2") })
		sleep(time.Second)
		since := alfa.peer().Inbound.Since
		first.cutBoth(true)
		sleep(20 * time.Second)
		for _, s := range []*side{alfa, bravo} {
			s.expect(report.Up, report.Up)
			p := s.peer()
			if p.Paths[0].State != report.Down || p.Paths[1].State != report.Up || !p.Inbound.Since.Equal(since) && s == alfa {
				t.Errorf("%s: %+v", s.name, p)
			}
		}
		second.cutBoth(true)
		sleep(time.Second)
		if p := alfa.peer(); p.Inbound.State != report.Down {
			t.Errorf("%+v", p)
		}
	})
}

// The side that did not forget a path has counted its beats for long: what the
// other counts anew is news all the same.
func TestAPathThatBeginsAnewIsHeardAtOnce(t *testing.T) {
	testbubble.Run(t, func(t *testing.T) {
		alfa, bravo, _ := two(t)
		sleep(time.Minute)
		for _, state := range []config.PeerState{config.Revoked, config.Active} {
			alfa.cfg.Peers[0].State = state
			alfa.Apply(&alfa.cfg)
			sleep(2 * time.Second)
		}
		alfa.expect(report.Up, report.Up)
		if p := bravo.peer(); p.Outbound.State != report.Up && p.Outbound.State != report.Recovering {
			t.Errorf("bravo: %+v", p)
		}
	})
}

func TestAPathThatIsTakenOutIsForgottenByThePeer(t *testing.T) {
	testbubble.Run(t, func(t *testing.T) {
		alfa, bravo, _ := two(t, func(a, b *side) { a.dials(b, "bravo:2") })
		sleep(time.Second)
		alfa.cfg.Peers[0].Endpoints = alfa.cfg.Peers[0].Endpoints[:1]
		alfa.Apply(&alfa.cfg)
		sleep(100 * ms)
		for _, s := range []*side{alfa, bravo} {
			s.expect(report.Up, report.Up)
			if p := s.peer(); len(p.Paths) != 1 {
				t.Errorf("%s: %+v", s.name, p.Paths)
			}
		}
	})
}

func TestAnAcceptedPathThatStaysAwayIsForgotten(t *testing.T) {
	testbubble.Run(t, func(t *testing.T) {
		alfa, bravo, c := two(t, func(a, b *side) { a.dials(b, "bravo:2") })
		sleep(time.Second)
		alfa.cables["bravo:1"].cutBoth(true)
		c.hangUp()
		sleep(forgotten - time.Second)
		if p := bravo.peer(); len(p.Paths) != 2 || p.Paths[0].State != report.Down {
			t.Errorf("%+v", p.Paths)
		}
		sleep(3 * time.Second)
		if p := bravo.peer(); len(p.Paths) != 1 {
			t.Errorf("%+v", p.Paths)
		}
	})
}

func TestManyPeersOnManyPathsStayUp(t *testing.T) {
	testbubble.Run(t, func(t *testing.T) {
		const n = 16
		names := make([]string, n)
		for i := range names {
			names[i] = fmt.Sprintf("peer%02d", i)
		}
		alfa := newSide(t, "alfa", names...)
		for i, name := range names {
			other := newSide(t, name, "alfa")
			for path := range 2 {
				alfa.dials(other, fmt.Sprintf("%s:%d", name, path)).delay = time.Duration(i) * 5 * ms
			}
			other.run()
		}
		alfa.run()
		sleep(3 * time.Second)
		changes := 0
		alfa.with(func(s *side) { changes = s.changes })
		sleep(5 * time.Second)
		peers, err := alfa.ReportPeers(t.Context())
		if err != nil || len(peers) != n {
			t.Fatalf("%d peers, %v", len(peers), err)
		}
		for i, p := range peers {
			if p.Outbound.State != report.Up || p.Inbound.State != report.Up || len(p.Paths) != 2 {
				t.Errorf("%+v", p)
			}
			if got, want := p.Paths[0].RoundTripMilliseconds, float64(10*i); got < want-1 || got > want+1 {
				t.Errorf("%s: round trip %v ms, want %v", p.Name, got, want)
			}
		}
		alfa.with(func(s *side) {
			if s.changes != changes {
				t.Errorf("%d changes of links that are well", s.changes-changes)
			}
		})
	})
}
