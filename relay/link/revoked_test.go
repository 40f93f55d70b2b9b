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
	"testing"
	"time"

	"github.com/certlink/certlink/internal/testca"
	"github.com/certlink/certlink/relay/config"
	"github.com/certlink/certlink/relay/link"
	"github.com/certlink/certlink/relay/report"
)

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
