// SPDX-FileCopyrightText: The certlink authors
// SPDX-License-Identifier: Apache-2.0

package probe

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/certlink/certlink/internal/testbubble"
	"github.com/certlink/certlink/relay/config"
	"github.com/certlink/certlink/relay/link"
	"github.com/certlink/certlink/relay/report"
)

const ms = time.Millisecond

func TestACutIsNoticedWithinTheDeclaredTime(t *testing.T) {
	for _, d := range []config.Detection{
		{IntervalMilliseconds: 100, Misses: 3}, {IntervalMilliseconds: 50, Misses: 2}, {IntervalMilliseconds: 1000, Misses: 3},
		{IntervalMilliseconds: 60_000, Misses: 2},
	} {
		for _, delay := range []time.Duration{0, 20 * ms, 150 * ms} {
			t.Run(fmt.Sprintf("%dx%d_delay_%s", d.Misses, d.IntervalMilliseconds, delay), func(t *testing.T) {
				testbubble.Run(t, func(t *testing.T) {
					alfa, bravo, c := two(t, func(a, b *side) { a.cfg.Peers[0].Detection, b.cfg.Peers[0].Detection = d, d })
					c.set(func(c *cable) { c.delay = delay })
					sleep(max(10*interval(d), 2*time.Second))
					alfa.expect(report.Up, report.Up)
					sleep(interval(d) / 7)
					promised := time.Duration(alfa.peer().DetectionMilliseconds) * ms
					c.cutBoth(true)
					cut := time.Now()
					for _, s := range []*side{alfa, bravo} {
						for s.peer().Paths[0].State != report.Down {
							sleep(5 * ms)
							if took := time.Since(cut); took > promised {
								t.Fatalf("%s has not noticed after %s, promised %s: %+v", s.name, took, promised, s.peer())
							}
						}
					}
					if took := time.Since(cut); took < time.Duration(d.Misses-1)*interval(d) {
						t.Errorf("noticed after %s, before the misses", took)
					}
				})
			})
		}
	}
}

func TestACutOfOneDirectionIsDownInThatDirectionOnBothSides(t *testing.T) {
	for name, c := range map[string]struct {
		way                              int
		alfaOut, alfaIn, bravOut, bravIn report.State
	}{
		"there": {there, report.Down, report.Up, report.Unknown, report.Down},
		"back":  {back, report.Unknown, report.Down, report.Down, report.Up},
	} {
		t.Run(name, func(t *testing.T) {
			testbubble.Run(t, func(t *testing.T) {
				alfa, bravo, wire := two(t)
				wire.set(func(c *cable) { c.delay = 30 * ms })
				sleep(3 * time.Second)
				wire.set(func(x *cable) { x.cut[c.way] = true })
				sleep(600 * ms)
				alfa.expect(c.alfaOut, c.alfaIn)
				bravo.expect(c.bravOut, c.bravIn)
				for _, s := range []*side{alfa, bravo} {
					if p := s.peer(); p.Paths[0].State != report.Down || p.Paths[0].Message == "" {
						t.Errorf("%s: %+v", s.name, p.Paths[0])
					}
				}
				wire.set(func(x *cable) { x.cut[c.way] = false })
				sleep(7 * time.Second)
				alfa.expect(report.Up, report.Up)
				bravo.expect(report.Up, report.Up)
			})
		})
	}
}

func TestAPathThatFlapsIsUpAgainLaterEachTime(t *testing.T) {
	testbubble.Run(t, func(t *testing.T) {
		alfa, _, c := two(t)
		sleep(time.Second)
		for i, hold := range []time.Duration{5 * time.Second, 10 * time.Second, 20 * time.Second, 40 * time.Second, time.Minute, time.Minute} {
			ups := 0
			alfa.with(func(s *side) { ups = s.ups })
			c.cutBoth(true)
			sleep(time.Second)
			alfa.expect(report.Unknown, report.Down)
			c.cutBoth(false)
			sleep(200 * ms)
			if p := alfa.peer(); p.Inbound.State != report.Recovering {
				t.Fatalf("flap %d: %+v", i, p)
			}
			alfa.with(func(s *side) {
				if s.ups != ups+1 {
					t.Errorf("flap %d: who waits is woken %d times at the first sign of life", i, s.ups-ups)
				}
			})
			sleep(hold - 500*ms)
			if p := alfa.peer(); p.Inbound.State != report.Recovering {
				t.Errorf("flap %d: %s after less than %s", i, p.Inbound.State, hold)
			}
			sleep(500 * ms)
			alfa.expect(report.Up, report.Up)
		}
		sleep(calmAgain + time.Second)
		c.cutBoth(true)
		sleep(time.Second)
		c.cutBoth(false)
		sleep(firstHold + 200*ms)
		alfa.expect(report.Up, report.Up)
	})
}

func TestAPlannedRestartOfThePeerIsSeenAtOnceAndIsNoFlap(t *testing.T) {
	testbubble.Run(t, func(t *testing.T) {
		alfa, bravo, c := two(t)
		sleep(time.Second)
		bravo.stop()
		c.set(func(c *cable) {
			c.refuse = &link.Error{Cause: report.CauseUnreachable, Message: "bravo:1: connection refused"}
		})
		sleep(20 * ms)
		alfa.expect(report.Down, report.Down)
		if p := alfa.peer(); !strings.Contains(p.Inbound.Message, "expected back") {
			t.Errorf("%+v", p.Inbound)
		}
		sleep(20 * time.Second)
		alfa.expect(report.Down, report.Down)
		if p := alfa.peer(); p.Paths[0].State != report.Down {
			t.Errorf("%+v", p)
		}
		c.set(func(c *cable) { c.refuse = nil })
		bravo.restart()
		sleep(1500 * ms)
		alfa.expect(report.Up, report.Up)
		bravo.expect(report.Up, report.Up)
	})
}

func TestACrashOfThePeerIsNoFlapEither(t *testing.T) {
	testbubble.Run(t, func(t *testing.T) {
		alfa, bravo, c := two(t)
		sleep(time.Second)
		c.cutBoth(true) // no goodbye arrives
		bravo.stop()
		sleep(2 * time.Second)
		alfa.expect(report.Unknown, report.Down)
		c.hangUp()
		c.cutBoth(false)
		bravo.restart()
		sleep(6 * time.Second)
		alfa.expect(report.Up, report.Up)
		if p := alfa.peer(); time.Since(p.Inbound.Since) < 500*ms {
			t.Errorf("up again only since %s", time.Since(p.Inbound.Since))
		}
		alfa.mu.Lock()
		defer alfa.mu.Unlock()
		if pt := alfa.peers["bravo.example"].paths[0]; pt.in.flaps != 0 {
			t.Errorf("%d flaps", pt.in.flaps)
		}
	})
}

func TestBothSidesBeatAsOftenAsTheMoreDemandingOneDeclares(t *testing.T) {
	testbubble.Run(t, func(t *testing.T) {
		alfa, bravo, c := two(t, func(a, b *side) {
			a.cfg.Peers[0].Detection = config.Detection{IntervalMilliseconds: 60_000, Misses: 2}
			b.cfg.Peers[0].Detection = config.Detection{IntervalMilliseconds: 100, Misses: 5}
		})
		sleep(time.Minute)
		alfa.expect(report.Up, report.Up)
		bravo.expect(report.Up, report.Up)
		c.cutBoth(true)
		sleep(700 * ms)
		bravo.expect(report.Unknown, report.Down)
		alfa.expect(report.Up, report.Up)
	})
}

func TestAClockThatJumpsChangesNothing(t *testing.T) {
	testbubble.Run(t, func(t *testing.T) {
		alfa, bravo, c := two(t)
		sleep(time.Second)
		changes := 0
		alfa.with(func(s *side) { changes = s.changes })
		for _, jump := range []time.Duration{time.Hour, -time.Hour, 30 * 24 * time.Hour, 0} {
			for _, s := range []*side{alfa, bravo} {
				s.with(func(s *side) { s.jump, s.mark = jump, time.Now().Add(jump) })
			}
			sleep(2 * time.Second)
			alfa.expect(report.Up, report.Up)
			bravo.expect(report.Up, report.Up)
		}
		alfa.with(func(s *side) {
			if s.changes != changes {
				t.Errorf("%d changes", s.changes-changes)
			}
		})
		alfa.with(func(s *side) { s.mark = time.Now().Add(time.Hour) }) // heard in the future
		c.cutBoth(true)
		sleep(800 * ms)
		alfa.expect(report.Unknown, report.Down)
	})
}

func TestAnyByteOnThePathIsLifeOfTheInboundDirection(t *testing.T) {
	testbubble.Run(t, func(t *testing.T) {
		alfa, bravo, c := two(t)
		sleep(time.Second)
		c.set(func(c *cable) { c.cut[back] = true })
		for range 40 {
			alfa.with(func(s *side) { s.mark = time.Now() })
			sleep(50 * ms)
		}
		alfa.expect(report.Up, report.Up)
		bravo.expect(report.Up, report.Up) // alfa's beats say that it hears bravo
		sleep(time.Second)
		alfa.expect(report.Unknown, report.Down)
	})
}

func TestOffersAreSeenInBeats(t *testing.T) {
	testbubble.Run(t, func(t *testing.T) {
		alfa, bravo, _ := two(t)
		alfa.with(func(s *side) { s.offer = "r1" })
		sleep(time.Second)
		alfa.with(func(s *side) { s.offer = "r2" })
		sleep(time.Second)
		bravo.with(func(s *side) {
			if got := strings.Join(s.offers, " "); got != "r1 r2" {
				t.Errorf("seen %q", got)
			}
		})
	})
}

func TestARevokedPeerGetsNoHeartbeat(t *testing.T) {
	testbubble.Run(t, func(t *testing.T) {
		alfa, bravo, c := two(t)
		sleep(time.Second)
		alfa.cfg.Peers[0].State = config.Revoked
		alfa.Apply(&alfa.cfg)
		sleep(time.Second)
		dials := 0
		c.set(func(c *cable) { dials = c.dials })
		sleep(10 * time.Second)
		c.set(func(c *cable) {
			if c.dials != dials {
				t.Errorf("%d dials after the revocation", c.dials-dials)
			}
		})
		alfa.expect(report.Down, report.Down)
		bravo.expect(report.Unknown, report.Down)
		if p := alfa.peer(); !strings.Contains(p.Outbound.Message, "Revoked") || len(p.Paths) != 1 || p.Paths[0].State != report.Unknown {
			t.Errorf("%+v", p)
		}
		alfa.cfg.Peers[0].State = config.Active
		alfa.Apply(&alfa.cfg)
		sleep(2 * time.Second)
		alfa.expect(report.Up, report.Up)
	})
}

func TestAPeerThatIsNeverHeardIsDown(t *testing.T) {
	testbubble.Run(t, func(t *testing.T) {
		s := newSide(t, "alfa", "bravo")
		s.run()
		sleep(time.Second)
		s.expect(report.Unknown, report.Unknown)
		sleep(young)
		s.expect(report.Unknown, report.Down)
		s.Refused("bravo.example", report.CauseUntrusted, "no chain")
		sleep(200 * ms)
		if p := s.peer(); p.Inbound.Cause != report.CauseUntrusted || p.Outbound.Cause != report.CauseNoEndpoints {
			t.Errorf("%+v", p)
		}
	})
}
