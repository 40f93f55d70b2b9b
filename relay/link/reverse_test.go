// SPDX-FileCopyrightText: The certlink authors
// SPDX-License-Identifier: Apache-2.0

package link_test

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/certlink/certlink/relay/config"
	"github.com/certlink/certlink/relay/link"
	"github.com/certlink/certlink/relay/report"
	"github.com/certlink/certlink/relay/stream"
)

// count returns the value of a metric of the side with these labels, "name=value"
// each; those of all series that have them are added.
func (s *side) count(t *testing.T, name string, labels ...string) float64 {
	t.Helper()
	families, err := s.metrics.Gather()
	if err != nil {
		t.Fatal(err)
	}
	sum := 0.0
	for _, f := range families {
		if f.GetName() != name {
			continue
		}
	series:
		for _, m := range f.GetMetric() {
			has := map[string]bool{}
			for _, l := range m.GetLabel() {
				has[l.GetName()+"="+l.GetValue()] = true
			}
			for _, l := range labels {
				if !has[l] {
					continue series
				}
			}
			sum += m.GetGauge().GetValue() + m.GetCounter().GetValue()
		}
	}
	return sum
}

// connections counts those with these labels.
func (s *side) connections(t *testing.T, labels ...string) int {
	t.Helper()
	return int(s.count(t, "certlink_relay_link_connections", labels...))
}

// rested waits until a side has its spare connections to the only path it dials, and opens no more.
func (s *side) rested(t *testing.T) {
	t.Helper()
	eventually(t, "the spare connections are parked", func() bool {
		return s.connections(t, "dialled_by=us", "state=parked") >= 5 && s.connections(t, "state=busy") == 0 && s.pool.Opening() == 0
	})
}

func TestAPeerThatOnlyDialsTakesPartFully(t *testing.T) {
	alfa, bravo := oneWay(t)
	for class, path := range map[link.Class]string{
		link.Feed: link.PathTAXII, link.Probe: link.PathOffer, link.Hotline: link.PathHotline + "messages",
	} {
		for range 20 {
			resp, err := get(t, bravo.pool.Client("alfa.example", class), "https://alfa.example"+path)
			if err != nil || resp.StatusCode != http.StatusOK {
				t.Fatalf("%s: %v, %v", class, resp, err)
			}
		}
		if peer := alfa.last.Load(); peer == nil || peer.Name != "bravo" || !peer.Relay {
			t.Errorf("%s: the request came from %+v", class, peer)
		}
	}
	if n := bravo.count(t, "certlink_relay_link_dials_total"); n != 0 {
		t.Errorf("bravo dialled %v times", n)
	}
}

func TestARequestWaitsForThePeerToDial(t *testing.T) {
	alfa, bravo := newSide(t, "alfa"), newSide(t, "bravo")
	bravo.expects(t, "alfa", alfa)
	answered := make(chan error, 1)
	go func() {
		_, err := get(t, bravo.pool.Client("alfa.example", link.Hotline), "https://alfa.example"+link.PathHotline)
		answered <- err
	}()
	alfa.knows(t, "bravo", bravo)
	if err := <-answered; err != nil {
		t.Error(err)
	}
}

func TestWithoutAddressAndConnectionTheErrorSaysSo(t *testing.T) {
	_, bravo := oneWay(t)
	bravo.change(t, func(p *config.Peer) { p.Endpoints, p.TrustDomain = nil, "charlie.example" })
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, "https://charlie.example"+link.PathHotline, http.NoBody)
	if err != nil {
		t.Fatal(err)
	}
	_, err = bravo.pool.Client("charlie.example", link.Hotline).Do(req)
	if cause(t, err) != report.CauseNoEndpoints || !strings.Contains(err.Error(), "it dials us") {
		t.Errorf("%v", err)
	}
}

// TestRequestsCrossOnFewConnections sends from both sides at once over the
// connections that one side has dialled, and counts what reaches the handlers.
func TestRequestsCrossOnFewConnections(t *testing.T) {
	const hands, each = 12, 60
	alfa, bravo := oneWay(t)
	alfa.rested(t)
	var work sync.WaitGroup
	for _, way := range []struct {
		from *side
		td   string
	}{{alfa, "bravo.example"}, {bravo, "alfa.example"}} {
		client := way.from.pool.Client(way.td, link.Hotline)
		for h := range hands {
			work.Go(func() {
				for i := range each {
					if err := post(t, client, fmt.Sprintf("https://%s%s%d-%d", way.td, link.PathHotline, h, i)); err != nil {
						t.Errorf("%s, request %d-%d: %v", way.td, h, i, err)
						return
					}
				}
			})
		}
	}
	work.Wait()
	for name, s := range map[string]*side{"alfa": alfa, "bravo": bravo} {
		if n := s.asked.Load(); n != hands*each {
			t.Errorf("%d requests reached the handler of %s, want %d", n, name, hands*each)
		}
	}
	t.Logf("glares: alfa %v, bravo %v; connections %d", alfa.count(t, "certlink_relay_link_glare_total"),
		bravo.count(t, "certlink_relay_link_glare_total"), alfa.connections(t, "class=hotline"))
	if n := bravo.connections(t, "class=hotline"); n > 32 {
		t.Errorf("%d connections", n)
	}
}

func post(t *testing.T, client *http.Client, url string) error {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, url, strings.NewReader(strings.Repeat("x", 2000)))
	if err != nil {
		return err
	}
	resp, err := client.Do(req)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	if _, err := io.Copy(io.Discard, resp.Body); err != nil {
		return err
	}
	if resp.StatusCode != http.StatusOK {
		return fmt.Errorf("status %s", resp.Status)
	}
	return nil
}

func TestATakenConnectionIsReplacedAtOnce(t *testing.T) {
	for _, c := range []struct {
		name string
		by   func(alfa, bravo *side) (*side, string)
	}{
		{"by_the_side_that_dialled", func(alfa, _ *side) (*side, string) { return alfa, "bravo.example" }},
		{"by_the_other_side", func(_, bravo *side) (*side, string) { return bravo, "alfa.example" }},
	} {
		t.Run(c.name, func(t *testing.T) {
			alfa, bravo := oneWay(t)
			alfa.rested(t)
			taker, td := c.by(alfa, bravo)
			ctx, cancel := context.WithCancel(t.Context())
			defer cancel()
			ended := make(chan struct{})
			go func() {
				defer close(ended)
				req, err := http.NewRequestWithContext(ctx, http.MethodGet, "https://"+td+link.PathHotline+"wait", http.NoBody)
				if err != nil {
					return
				}
				if resp, err := taker.pool.Client(td, link.Hotline).Do(req); err == nil {
					resp.Body.Close()
				}
			}()
			eventually(t, "one is busy and one is parked", func() bool {
				return alfa.connections(t, "class=hotline", "state=busy") == 1 && alfa.connections(t, "class=hotline", "state=parked") == 1
			})
			cancel()
			<-ended
		})
	}
}

func TestANewExchangeCostsNoHandshake(t *testing.T) {
	alfa, _ := oneWay(t)
	alfa.rested(t)
	before := alfa.count(t, "certlink_relay_link_dials_total")
	for range 50 {
		if _, err := get(t, alfa.pool.Client("bravo.example", link.Hotline), "https://bravo.example"+link.PathHotline); err != nil {
			t.Fatal(err)
		}
		alfa.rested(t) // the END of a response that was read may be on its way
	}
	// Each time that the spare is taken one more is dialled, until as many are parked
	// as were ever needed at once.
	if n := alfa.count(t, "certlink_relay_link_dials_total") - before; n > 3 {
		t.Errorf("%v connections were dialled for 50 requests", n)
	}
}

func TestATunnelThatComesBackIsNotDialledAnewMeanwhile(t *testing.T) {
	alfa, _ := oneWay(t)
	alfa.rested(t)
	open := func(n int) {
		var streams []*stream.Stream
		for range n {
			s, err := alfa.pool.Open(t.Context(), "bravo.example")
			if err != nil {
				t.Fatal(err)
			}
			streams = append(streams, s)
		}
		for _, s := range streams {
			s.Close()
		}
	}
	open(40) // from then on as many are kept as may be
	eventually(t, "the tunnels are parked, and no other is being dialled", func() bool {
		return alfa.connections(t, "class=tunnel", "state=parked") >= 32 && alfa.connections(t, "class=tunnel", "state=busy") == 0 && alfa.pool.Opening() == 0
	})
	before := alfa.count(t, "certlink_relay_link_dials_total")
	for end := time.Now().Add(300 * time.Millisecond); time.Now().Before(end); {
		open(1)
	}
	if n := alfa.count(t, "certlink_relay_link_dials_total") - before; n > 2 {
		t.Errorf("%v connections were dialled for tunnels that were opened one at a time", n)
	}
}

func TestConnectionsOfAClassAreBounded(t *testing.T) {
	alfa, _ := oneWay(t)
	alfa.change(t, func(p *config.Peer) { p.Limits.TunnelConnections = 1 })
	const limit = 2*32 + 1
	for range limit {
		alfa.tunnel(t, "bravo.example") // one that the peer has accepted: another holds no connection
	}
	ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
	defer cancel()
	_, err := alfa.pool.Open(ctx, "bravo.example")
	if err == nil || !strings.Contains(err.Error(), "are in use") {
		t.Errorf("one more: %v (busy %d, parked %d)", err, alfa.connections(t, "class=tunnel", "state=busy"), alfa.connections(t, "class=tunnel", "state=parked"))
	}
	if n := alfa.connections(t, "class=tunnel"); n > limit {
		t.Errorf("%d connections", n)
	}
	if _, err := get(t, alfa.pool.Client("bravo.example", link.Hotline), "https://bravo.example"+link.PathHotline); err != nil {
		t.Errorf("full tunnels disturb the hotline: %v", err)
	}
}

func TestAnAcceptedPathThatIsDownTakesHeartbeats(t *testing.T) {
	alfa, bravo := oneWay(t)
	alfa.rested(t)
	bravo.pool.SetPath(link.Path{TrustDomain: "alfa.example", Address: bravo.address, Accepted: true}, report.Down, 0)
	at := link.Path{TrustDomain: "bravo.example", Address: bravo.address}
	for i := range 30 {
		beats, _, err := alfa.pool.Heartbeat(t.Context(), at)
		if err != nil {
			t.Fatalf("connection %d: %v", i, err)
		}
		beats.Close()
	}
}
