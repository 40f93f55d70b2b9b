// SPDX-FileCopyrightText: The certlink authors
// SPDX-License-Identifier: Apache-2.0

package link_test

import (
	"errors"
	"net"
	"net/http"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/certlink/certlink/internal/testca"
	"github.com/certlink/certlink/relay/access"
	"github.com/certlink/certlink/relay/config"
	"github.com/certlink/certlink/relay/link"
	"github.com/certlink/certlink/relay/report"
)

const discovery = "https://bravo.example" + link.PathTAXII

// cause returns the cause of an error of the link.
func cause(t *testing.T, err error) report.Cause {
	t.Helper()
	e, ok := errors.AsType[*link.Error](err)
	if !ok {
		t.Fatalf("err = %v, want a link.Error", err)
	}
	return e.Cause
}

func TestARequestArrivesWithItsSender(t *testing.T) {
	alfa, bravo := meet(t)
	for class, path := range map[link.Class]string{
		link.Feed: link.PathTAXII, link.Probe: link.PathOffer, link.Hotline: link.PathHotline + "messages",
	} {
		resp, err := get(t, alfa.pool.Client("bravo.example", class), "https://bravo.example"+path)
		if err != nil || resp.StatusCode != http.StatusOK {
			t.Fatalf("%s: %v, %v", class, resp, err)
		}
		want := &access.Peer{Name: "alfa", TrustDomain: "alfa.example", State: config.Active, Relay: true}
		if diff := cmp.Diff(want, bravo.last.Load()); diff != "" {
			t.Errorf("%s: %s", class, diff)
		}
		facts := link.Facts(resp.TLS)
		if facts.Version != "TLS 1.3" || facts.Group != "X25519MLKEM768" || facts.PeerNotAfter.IsZero() {
			t.Errorf("%s: %+v", class, facts)
		}
	}
}

func TestARequestOfAnotherClassIsMisdirected(t *testing.T) {
	alfa, bravo := meet(t)
	resp, err := get(t, alfa.pool.Client("bravo.example", link.Feed), "https://bravo.example"+link.PathOffer)
	if err != nil || resp.StatusCode != http.StatusMisdirectedRequest || bravo.asked.Load() != 0 {
		t.Errorf("%v, %v; %d requests reached a handler", resp, err, bravo.asked.Load())
	}
}

func TestARequestToSomeoneElseStaysHere(t *testing.T) {
	alfa, _ := meet(t)
	client := alfa.pool.Client("bravo.example", link.Feed)
	for _, url := range []string{"https://charlie.example/taxii2/", "http://bravo.example/taxii2/", "https://bravo.example:444/taxii2/"} {
		if _, err := get(t, client, url); cause(t, err) != report.CauseProtocol {
			t.Errorf("%s: %v", url, err)
		}
	}
}

func TestALargeBodyIsCutOff(t *testing.T) {
	alfa, _ := meet(t)
	body := strings.NewReader(strings.Repeat("x", 300<<10))
	req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, "https://bravo.example"+link.PathOffer, body)
	if err != nil {
		t.Fatal(err)
	}
	resp, err := alfa.pool.Client("bravo.example", link.Probe).Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusRequestEntityTooLarge {
		t.Errorf("status %d", resp.StatusCode)
	}
}

func TestErrorsSayWhatIsWrong(t *testing.T) {
	for _, c := range []struct {
		name  string
		spoil func(t *testing.T, alfa, bravo *side)
		want  report.Cause
		says  string
	}{
		{"unreachable", func(t *testing.T, alfa, _ *side) {
			alfa.change(t, func(p *config.Peer) { p.Endpoints = []config.Endpoint{{Address: closed(t)}} })
		}, report.CauseUnreachable, "connection refused"},
		{"closed_at_once", func(t *testing.T, alfa, _ *side) {
			alfa.change(t, func(p *config.Peer) { p.Endpoints = []config.Endpoint{{Address: hangingUp(t)}} })
		}, report.CauseUnreachable, "check address"},
		{"revoked_by_us", func(t *testing.T, alfa, _ *side) {
			alfa.change(t, func(p *config.Peer) { p.State = config.Revoked })
		}, report.CauseRefused, "Revoked by our side"},
		{"revoked_by_the_peer", func(t *testing.T, _, bravo *side) {
			bravo.change(t, func(p *config.Peer) { p.State = config.Revoked })
		}, report.CauseRefused, "refused our certificate"},
		{"our_bundle_is_wrong", func(t *testing.T, alfa, _ *side) {
			alfa.change(t, func(p *config.Peer) { p.Bundle = testca.New(t, "bravo.example").Bundle() })
		}, report.CauseUntrusted, "does not chain to our bundle"},
		{"the_peer's_bundle_is_wrong", func(t *testing.T, _, bravo *side) {
			bravo.change(t, func(p *config.Peer) { p.Bundle = testca.New(t, "alfa.example").Bundle() })
		}, report.CauseRefused, "refused our certificate"},
		{"another_relay_answers", func(t *testing.T, alfa, _ *side) {
			charlie := newSide(t, "charlie")
			alfa.change(t, func(p *config.Peer) { p.Endpoints = []config.Endpoint{{Address: charlie.address}} })
		}, report.CauseTrustDomain, `"charlie.example"`},
	} {
		t.Run(c.name, func(t *testing.T) {
			alfa, bravo := oneWay(t)
			c.spoil(t, alfa, bravo)
			for range 5 { // the alert of a refusal must not get lost in a race
				_, err := get(t, alfa.pool.Client("bravo.example", link.Feed), discovery)
				if got := cause(t, err); got != c.want || !strings.Contains(err.Error(), c.says) {
					t.Fatalf("%q %v", got, err)
				}
			}
			if bravo.asked.Load() != 0 {
				t.Error("a request reached a handler")
			}
		})
	}
}

// closed is an address on which nobody listens.
func closed(t *testing.T) string {
	t.Helper()
	l, err := new(net.ListenConfig).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return l.Addr().String()
}

// hangingUp is an address that accepts and closes.
func hangingUp(t *testing.T) string {
	t.Helper()
	l, err := new(net.ListenConfig).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	done := make(chan struct{})
	go func() {
		defer close(done)
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			conn.Close()
		}
	}()
	t.Cleanup(func() { l.Close(); <-done })
	return l.Addr().String()
}

func TestTheNextPathIsTakenWhenOneFails(t *testing.T) {
	alfa, bravo := oneWay(t)
	alfa.change(t, func(p *config.Peer) {
		p.Endpoints = []config.Endpoint{{Address: closed(t)}, {Address: bravo.address, Priority: 10}}
	})
	resp, err := get(t, alfa.pool.Client("bravo.example", link.Feed), discovery)
	if err != nil || resp.StatusCode != http.StatusOK {
		t.Fatalf("%v, %v", resp, err)
	}
	t.Run("and_all_failures_are_told_when_none_is_left", func(t *testing.T) {
		one, two := closed(t), closed(t)
		alfa.change(t, func(p *config.Peer) { p.Endpoints = []config.Endpoint{{Address: one}, {Address: two}} })
		_, err := get(t, alfa.pool.Client("bravo.example", link.Feed), discovery)
		if cause(t, err) != report.CauseUnreachable || !strings.Contains(err.Error(), one) || !strings.Contains(err.Error(), two) {
			t.Errorf("%v", err)
		}
	})
}
