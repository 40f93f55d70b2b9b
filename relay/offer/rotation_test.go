// SPDX-FileCopyrightText: The certlink authors
// SPDX-License-Identifier: Apache-2.0

package offer_test

import (
	"bufio"
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/certlink/certlink/internal/cabundle"
	"github.com/certlink/certlink/internal/testca"
	"github.com/certlink/certlink/relay/config"
	"github.com/certlink/certlink/relay/offer"
	"github.com/certlink/certlink/relay/report"
	"github.com/certlink/certlink/relay/store"
)

// stream is a connection over which bytes go to and fro all the time.
type stream struct {
	conn   *tls.Conn
	rounds atomic.Int64
	err    chan error
}

// open opens a stream to the other nation. It counts at both ends.
func (n *nation) open() *stream {
	n.t.Helper()
	conn, err := n.dial(n.t.Context())
	if err != nil {
		n.t.Fatal(err)
	}
	req, err := http.NewRequestWithContext(n.t.Context(), http.MethodGet, "https://"+n.other.td+"/stream", http.NoBody)
	if err != nil {
		n.t.Fatal(err)
	}
	if err := req.Write(conn); err != nil {
		n.t.Fatal(err)
	}
	in := bufio.NewReader(conn)
	resp, err := http.ReadResponse(in, req)
	if err != nil || resp.StatusCode != http.StatusSwitchingProtocols {
		n.t.Fatal(resp, err)
	}
	_ = resp.Body.Close()
	n.parts().open.Store(conn, true)
	s := &stream{conn: conn, err: make(chan error, 1)}
	go func() {
		for b := byte(0); ; b++ {
			if _, err := conn.Write([]byte{b}); err != nil {
				s.err <- err
				return
			}
			if got, err := in.ReadByte(); err != nil || got != b {
				s.err <- errors.Join(err, fmt.Errorf("sent %d, got %d", b, got))
				return
			}
			s.rounds.Add(1)
			<-time.After(time.Millisecond)
		}
	}()
	n.t.Cleanup(func() { _ = conn.Close(); <-s.err })
	return s
}

// flows wants that bytes still go to and fro.
func flows(t *testing.T, when string, streams ...*stream) {
	t.Helper()
	for i, s := range streams {
		before := s.rounds.Load()
		deadline := time.Now().Add(time.Minute)
		for s.rounds.Load() < before+3 {
			select {
			case err := <-s.err:
				s.err <- err
				t.Fatalf("%s: stream %d is broken: %v", when, i, err)
			default:
			}
			if time.Now().After(deadline) {
				t.Fatalf("%s: stream %d stands still", when, i)
			}
			<-time.After(time.Millisecond)
		}
	}
}

// distribute, renew and retire are what the operator has its relay do, each when the
// peer's offer allows it.
func (n *nation) distribute(next *testca.CA) {
	n.t.Helper()
	n.apply(func(c *config.Config) { c.Identity.Bundle = bundle(n.ca, next) })
	n.eventually("the peer accepts the next root", func(o *report.Offer) bool { return slices.Equal(o.AcceptedRoots, hashes(n.ca, next)) })
}

func (n *nation) renew(next *testca.CA) {
	n.t.Helper()
	n.issue(next, n.ca, next)
	want := cabundle.Hash(next.Root)
	n.eventually("the peer saw the new leaf", func(o *report.Offer) bool { return o.SeenRoot == want && n.source().State().Root == want })
}

func (n *nation) retire(next *testca.CA) {
	n.t.Helper()
	n.apply(func(c *config.Config) { c.Identity.Bundle = bundle(next) })
	n.eventually("the peer accepts the new root only", func(o *report.Offer) bool { return slices.Equal(o.AcceptedRoots, hashes(next)) })
}

func TestAWholeRotationBreaksNoStream(t *testing.T) {
	alfa, bravo := newWorld(t)
	alfa.knows()
	old, next := alfa.ca, testca.New(t, alfa.td)
	streams := []*stream{alfa.open(), bravo.open()}
	alfa.distribute(next)
	streams = append(streams, alfa.open(), bravo.open())
	flows(t, "with both roots", streams...)
	alfa.renew(next)
	streams = append(streams, alfa.open(), bravo.open())
	flows(t, "with the new leaf", streams...)
	alfa.retire(next)
	streams = append(streams, alfa.open(), bravo.open())
	flows(t, "with the new root only", streams...)
	if n := alfa.broken.Load() + bravo.broken.Load(); n != 0 {
		t.Errorf("%d streams were cut", n)
	}
	if trust := bravo.engine().Trust(alfa.td); !trust.Learned || trust.Error != "" || trust.Fingerprint != cabundle.Fingerprint(alfa.td, []*x509.Certificate{next.Root}) {
		t.Errorf("trust %+v", trust)
	}
	forged := old.Leaf(t, testca.Leaf{Path: "/relay"})
	if _, _, err := bravo.source().Current().VerifyPeer(forged.Chain); err == nil {
		t.Error("a new leaf of the old root is accepted after the rotation")
	}

	// A person who takes the old root away means at once.
	bravo.apply(func(c *config.Config) { c.Peers[0].Bundle = next.Bundle() })
	for i, s := range streams {
		if underOld := i < 4; underOld {
			err := <-s.err
			s.err <- err
		} else {
			flows(t, "under the new root, after the bundle was narrowed", s)
		}
	}
	if n := bravo.broken.Load(); n != 4 {
		t.Errorf("%d streams were cut, want the 4 under the old root", n)
	}
}

// consul#15243: the dialer did not persist the acceptor's new CA.
func TestBothSidesRestartRightAfterARotation(t *testing.T) {
	alfa, bravo := newWorld(t)
	next := testca.New(t, alfa.td)
	alfa.distribute(next)
	alfa.renew(next)
	alfa.retire(next)
	alfa.restart()
	bravo.restart()
	alfa.eventually("the peer accepts the new root only", func(o *report.Offer) bool { return slices.Equal(o.AcceptedRoots, hashes(next)) })
	bravo.trusts("the new root, though its own configuration has the old one", next)
	flows(t, "after the restart", alfa.open(), bravo.open())
}

// helm-charts-hardened#335: federation stayed broken until somebody refreshed it.
func TestAPeerThatWasAwayDuringARotationCatchesUpByItself(t *testing.T) {
	alfa, bravo := newWorld(t)
	alfa.knows()
	next := testca.New(t, alfa.td)
	bravo.stop()
	alfa.apply(func(c *config.Config) { c.Identity.Bundle = bundle(alfa.ca, next) })
	bravo.start()
	bravo.trusts("both roots", alfa.ca, next)
	alfa.renew(next)
	alfa.retire(next)
}

// A relay whose old root left before the peer saw the new one is refused; it comes
// back over the card, as a person wants it.
func TestAJumpToAnotherCANeedsAPersonAndSaysSo(t *testing.T) {
	alfa, bravo := newWorld(t)
	alfa.knows()
	next := testca.New(t, alfa.td)
	alfa.issue(next, next)
	bravo.stop()
	alfa.restart()
	bravo.start()
	conn, err := alfa.dial(t.Context())
	if err == nil { // TLS 1.3: the client learns of the refusal when it reads
		_, err = conn.Read(make([]byte, 1))
		_ = conn.Close()
	}
	if err == nil || errors.Is(err, io.EOF) {
		t.Errorf("err = %v", err)
	}
	bravo.apply(func(c *config.Config) { c.Peers[0].Bundle = next.Bundle() })
	bravo.knows()
	flows(t, "with the peer's new card", alfa.open())
}

func TestARetirementThatWouldLockThePeerOutIsRefused(t *testing.T) {
	alfa, bravo := newWorld(t)
	next := testca.New(t, alfa.td)
	alfa.distribute(next)
	// Our relay would complete such a bundle; a worse one signs it as it is.
	hostile := alfa.signed(t, func(d *offer.Document) { d.Bundle, d.BundleHash = next.Bundle(), "" })
	if status, _ := alfa.post(hostile); status != http.StatusOK {
		t.Errorf("status %d: the rest of the offer counts", status)
	}
	trust := bravo.engine().Trust(alfa.td)
	if !strings.Contains(trust.Error, "lock it out") || len(trust.Roots) != 2 {
		t.Errorf("trust %+v", trust)
	}
	bravo.trusts("both roots, as before", alfa.ca, next)
	alfa.engine().Wake(bravo.td)
	bravo.eventually("the error goes with the next good offer", func(*report.Offer) bool { return bravo.engine().Trust(alfa.td).Error == "" })
}

func TestManualRotationWaitsForAPersonWithTheFingerprint(t *testing.T) {
	alfa, bravo := newWorld(t, func(_, bravo *nation) { bravo.cfg.Peers[0].Rotation = config.Manual })
	bravo.knows()
	next := testca.New(t, alfa.td)
	alfa.apply(func(c *config.Config) { c.Identity.Bundle = bundle(alfa.ca, next) })
	both := []*x509.Certificate{alfa.ca.Root, next.Root}
	bravo.eventually("the bundle is reported", func(*report.Offer) bool {
		return bravo.engine().Trust(alfa.td).OfferedFingerprint == cabundle.Fingerprint(alfa.td, both)
	})
	trust := bravo.engine().Trust(alfa.td)
	if !slices.Equal(trust.Roots, hashes(alfa.ca)) || !slices.Equal(trust.OfferedRoots, hashes(alfa.ca, next)) || trust.Learned {
		t.Errorf("trust %+v", trust)
	}
	bravo.apply(func(c *config.Config) { c.Peers[0].Bundle = trust.OfferedBundle })
	if trust := bravo.engine().Trust(alfa.td); trust.OfferedFingerprint != "" || len(trust.Roots) != 2 {
		t.Errorf("after the person's word: %+v", trust)
	}
	alfa.eventually("the peer accepts both", func(o *report.Offer) bool { return slices.Equal(o.AcceptedRoots, hashes(alfa.ca, next)) })
	page, err := bravo.parts().keeper.Records(t.Context(), store.TrustQuery{Subject: alfa.td, Limit: 100})
	if err != nil {
		t.Fatal(err)
	}
	var what []string
	for _, r := range page.Records {
		what = append(what, string(r.What))
	}
	if want := []string{"PeerAdded", "RotationChanged", "BundleOffered"}; !slices.Equal(what[:3], want) {
		t.Errorf("recorded %q", what)
	}
}

// full refuses to store.
type full struct {
	offer.Keeper
	on atomic.Bool
}

func (f *full) Learn(ctx context.Context, td, base string, roots []*x509.Certificate, serial int64) error {
	if f.on.Load() {
		return store.ErrFull
	}
	return f.Keeper.Learn(ctx, td, base, roots, serial)
}

func TestABundleIsAcknowledgedOnlyWhenItIsStored(t *testing.T) {
	f := &full{}
	f.on.Store(true)
	alfa, bravo := newWorld(t, func(_, bravo *nation) { bravo.wrap = func(k offer.Keeper) offer.Keeper { f.Keeper = k; return f } })
	alfa.knows()
	next := testca.New(t, alfa.td)
	alfa.apply(func(c *config.Config) { c.Identity.Bundle = bundle(alfa.ca, next) })
	bravo.eventually("the failure is reported", func(*report.Offer) bool {
		return strings.Contains(bravo.engine().Trust(alfa.td).Error, store.ErrFull.Error())
	})
	if o := alfa.knows(); !slices.Equal(o.AcceptedRoots, hashes(alfa.ca)) {
		t.Errorf("acknowledged %v", o.AcceptedRoots)
	}
	f.on.Store(false)
	alfa.engine().Wake(bravo.td)
	alfa.eventually("it is stored and acknowledged", func(o *report.Offer) bool { return len(o.AcceptedRoots) == 2 })
	if bravo.engine().Trust(alfa.td).Error != "" {
		t.Error(bravo.engine().Trust(alfa.td).Error)
	}
}

func TestARevokedPeerExchangesNothing(t *testing.T) {
	alfa, bravo := newWorld(t)
	bravo.knows()
	bravo.apply(func(c *config.Config) { c.Peers[0].State = config.Revoked })
	if bravo.engine().Describe(alfa.td) != nil || bravo.engine().Revision(alfa.td) != "" {
		t.Error("what a revoked peer said is kept")
	}
	if trust := bravo.engine().Trust(alfa.td); trust == nil || len(trust.Roots) != 1 {
		t.Errorf("trust %+v", trust)
	}
	if status, err := alfa.post(alfa.signed(t, nil)); err == nil {
		t.Errorf("answered with %d", status)
	}
	if _, ok := bravo.source().Current().Peer(alfa.td); !ok {
		t.Fatal("the peer is gone")
	}
	bravo.apply(func(c *config.Config) { c.Peers[0].State = config.Suspended })
	// What bravo answered while it had revoked us stands until our next offer is taken.
	alfa.eventually("the peer is back, and takes our offer", func(o *report.Offer) bool { return o.State == "Suspended" && o.Error == "" })
}
