// SPDX-FileCopyrightText: The certlink authors
// SPDX-License-Identifier: Apache-2.0

package link_test

import (
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"path/filepath"
	"strings"
	"testing"
	"time"

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

func TestARevocationCutsWhatIsOpen(t *testing.T) {
	alfa, bravo := meet(t)
	failed := make(chan error, 1)
	go func() {
		resp, err := get(t, alfa.pool.Client("bravo.example", link.Hotline), "https://bravo.example"+link.PathHotline+"wait")
		if err == nil && resp.StatusCode == http.StatusForbidden {
			// It was sent again on the next connection, in the moment before that was cut.
			err = errors.New(resp.Status)
		}
		failed <- err
	}()
	eventually(t, "the request is under way", func() bool { return bravo.asked.Load() == 1 })
	bravo.change(t, func(p *config.Peer) { p.State = config.Revoked })
	select {
	case err := <-failed:
		if err == nil {
			t.Error("the request succeeded")
		}
		if asked := bravo.asked.Load(); asked != 1 {
			t.Errorf("the handler was asked %d times, the later ones by a peer that is revoked", asked)
		}
	case <-time.After(patience):
		t.Error("the connection is still open")
	}
	t.Run("and_the_peer_is_told_of_in_the_report", func(t *testing.T) {
		if _, err := get(t, alfa.pool.Client("bravo.example", link.Feed), discovery); err == nil {
			t.Error("a new connection was accepted")
		}
		select {
		case got := <-bravo.refused:
			if got != "alfa.example "+string(report.CauseUntrusted) {
				t.Errorf("refused: %s", got)
			}
		case <-time.After(patience):
			t.Error("the refusal was not told")
		}
	})
}

// gated is an address that leads to another one, once the gate is open. It tells
// when someone waits there, and when they have gone.
func gated(t *testing.T, to string, gate <-chan struct{}) (address string, waits, gone <-chan struct{}) {
	t.Helper()
	l, err := new(net.ListenConfig).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	waiting, left, done := make(chan struct{}), make(chan struct{}), make(chan struct{})
	go func() {
		defer close(done)
		near, err := l.Accept()
		if err != nil {
			return
		}
		defer near.Close()
		close(waiting)
		<-gate
		far, err := new(net.Dialer).DialContext(context.WithoutCancel(t.Context()), "tcp", to)
		if err != nil {
			return
		}
		back := make(chan struct{})
		go func() { defer close(back); _, _ = io.Copy(near, far) }()
		_, _ = io.Copy(far, near)
		close(left)
		far.Close()
		<-back
	}()
	t.Cleanup(func() { l.Close(); <-done })
	return l.Addr().String(), waiting, left
}

func TestARevocationDuringTheHandshakeCutsWhatItOpens(t *testing.T) {
	alfa, bravo := newSide(t, "alfa"), newSide(t, "bravo")
	// The gate is the only way: bravo dials nobody, and no other address was ever known.
	bravo.expects(t, "alfa", alfa)
	gate := make(chan struct{})
	address, waits, gone := gated(t, bravo.address, gate)
	alfa.join(t, "bravo", bravo, []config.Endpoint{{Address: address}})
	failed := make(chan error, 1)
	go func() {
		_, err := get(t, alfa.pool.Client("bravo.example", link.Feed), discovery)
		failed <- err
	}()
	<-waits
	alfa.change(t, func(p *config.Peer) { p.State = config.Revoked })
	close(gate)
	select {
	case <-gone:
	case <-time.After(patience):
		t.Error("the connection is still open")
	}
	if err := <-failed; err == nil || bravo.asked.Load() != 0 {
		t.Errorf("a request crossed: %v", err)
	}
}

func TestANewTrustBundleCutsTheOldOnesConnections(t *testing.T) {
	alfa, bravo := meet(t)
	client := alfa.pool.Client("bravo.example", link.Feed)
	if _, err := get(t, client, discovery); err != nil {
		t.Fatal(err)
	}
	alfa.change(t, func(p *config.Peer) { p.Bundle = testca.New(t, "bravo.example").Bundle() })
	if _, err := get(t, client, discovery); cause(t, err) != report.CauseUntrusted {
		t.Errorf("%v", err)
	}
	if bravo.asked.Load() != 1 {
		t.Errorf("%d requests arrived", bravo.asked.Load())
	}
}

func TestARenewedCertificateIsUsedForTheNextRequest(t *testing.T) {
	alfa, bravo := meet(t)
	client := alfa.pool.Client("bravo.example", link.Feed)
	seen := func() time.Time {
		t.Helper()
		resp, err := get(t, client, discovery)
		if err != nil {
			t.Fatal(err)
		}
		return link.Facts(resp.TLS).PeerNotAfter
	}
	before := seen()
	renewed := bravo.ca.Leaf(t, testca.Leaf{Path: "/relay", NotAfter: before.Add(time.Hour)})
	renewed.WriteTo(t, filepath.Join(bravo.dir, "relay"))
	bravo.apply(t)
	eventually(t, "the peer shows its renewed certificate", func() bool { return seen().Equal(renewed.Chain[0].NotAfter) })
}

func TestALeafThatIsNoRelayMayOnlyReadFeeds(t *testing.T) {
	alfa, bravo := meet(t)
	reader := alfa.ca.Leaf(t, testca.Leaf{Path: "/reader"})
	if status, err := plainRequest(t, bravo, reader, string(link.PlainFeed), link.PathTAXII); err != nil || status != http.StatusOK {
		t.Errorf("feeds: %d, %v", status, err)
	}
	for _, class := range []link.Class{link.Feed, link.Probe, link.Hotline, link.Tunnel} {
		if status, err := plainRequest(t, bravo, reader, string(class), link.PathTAXII); err == nil {
			t.Errorf("%s: status %d, want a connection that ends", class, status)
		}
	}
	if peer := bravo.last.Load(); peer == nil || peer.Relay {
		t.Errorf("peer %+v", peer)
	}
}

func TestAStrangerDoesNotHideWhyAPeerIsRefused(t *testing.T) {
	alfa, bravo := meet(t)
	charlie := newSide(t, "charlie")
	charlie.knows(t, "alfa", alfa)
	alfa.change(t, func(p *config.Peer) { p.Bundle = testca.New(t, "bravo.example").Bundle() })
	for _, from := range []*side{charlie, bravo} {
		if resp, err := get(t, from.pool.Client("alfa.example", link.Feed), "https://alfa.example/taxii2/"); err == nil {
			t.Fatalf("status %d, want a refusal", resp.StatusCode)
		}
	}
	select {
	case got := <-alfa.refused:
		if got != "bravo.example "+string(report.CauseUntrusted) {
			t.Errorf("told %q", got)
		}
	case <-time.After(patience):
		t.Error("nobody was told why bravo is refused")
	}
}
