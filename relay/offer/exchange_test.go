// SPDX-FileCopyrightText: The certlink authors
// SPDX-License-Identifier: Apache-2.0

package offer_test

import (
	"bytes"
	"crypto"
	"crypto/x509"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/certlink/certlink/internal/cabundle"
	"github.com/certlink/certlink/internal/testca"
	"github.com/certlink/certlink/relay/access"
	"github.com/certlink/certlink/relay/config"
	"github.com/certlink/certlink/relay/offer"
	"github.com/certlink/certlink/relay/receipt"
	"github.com/certlink/certlink/relay/report"
)

// signed is an offer of ours to the other side, changed before it is signed.
func (n *nation) signed(t *testing.T, change func(*offer.Document)) []byte {
	t.Helper()
	d := offer.Document{
		From: n.td, To: n.other.td, Serial: time.Now().Add(time.Hour).UnixMicro(), Revision: "r", Versions: []int32{1}, State: "Active",
		Bundle: n.ca.Bundle(), AcceptedRoots: hashes(n.other.ca),
	}
	if change != nil {
		change(&d)
	}
	text, err := json.Marshal(d)
	if err != nil {
		t.Fatal(err)
	}
	return n.sign(t, n.source().Current(), offer.Type, text)
}

func (n *nation) sign(t *testing.T, by receipt.Signer, typ string, payload []byte) []byte {
	t.Helper()
	jws, err := receipt.Sign(by, typ, payload)
	if err != nil {
		t.Fatal(err)
	}
	return jws
}

// post sends something as an offer, over our authenticated link.
func (n *nation) post(body []byte) (int, error) {
	req, err := http.NewRequestWithContext(n.t.Context(), http.MethodPost, "https://"+n.other.td+offer.Path, bytes.NewReader(body))
	if err != nil {
		return 0, err
	}
	resp, err := n.client(n.other.td).Do(req)
	if err != nil {
		return 0, err
	}
	defer resp.Body.Close()
	_, err = io.Copy(io.Discard, resp.Body)
	return resp.StatusCode, err
}

func TestEachSideKnowsWhatTheOtherDeclares(t *testing.T) {
	alfa, bravo := newWorld(t, func(alfa, bravo *nation) {
		alfa.cfg.Exports = []config.Export{{Name: "threats", Peers: []string{"bravo"}}, {Name: "secret", Peers: []string{"charlie"}}}
		alfa.cfg.ServiceExports = []config.ServiceExport{{Name: "wiki", Peers: []string{"bravo"}}}
		alfa.cfg.Hotlines = []config.Hotline{{Name: "red", Peer: "bravo"}}
		bravo.cfg.Imports = []config.Import{{Name: "from-alfa", Peer: "alfa", Collection: "threats"}}
		bravo.cfg.ServiceImports = []config.ServiceImport{{Name: "alfas-wiki", Peer: "alfa", Service: "wiki"}}
	})
	said := bravo.eventually("alfa's offer", func(o *report.Offer) bool { return o.SeenRoot != "" })
	if !slices.Equal(said.Exports, []string{"threats"}) || !slices.Equal(said.ServiceExports, []string{"wiki"}) || !said.Hotline || said.Imports != nil {
		t.Errorf("alfa declares %+v", said)
	}
	if said.Card != cabundle.Fingerprint(bravo.td, []*x509.Certificate{bravo.ca.Root}) || !slices.Equal(said.AcceptedRoots, hashes(bravo.ca)) || said.SeenRoot != cabundle.Hash(bravo.ca.Root) {
		t.Errorf("alfa says of us %+v", said)
	}
	if said.Version != 1 || said.Release != "test alfa" || said.State != "Active" || said.Outbound != report.Up || said.PathsUp != 2 || said.Error != "" || said.Unknown != nil {
		t.Errorf("alfa's offer %+v", said)
	}
	said = alfa.knows()
	if !slices.Equal(said.Imports, []string{"threats"}) || !slices.Equal(said.ServiceImports, []string{"wiki"}) || said.Hotline {
		t.Errorf("bravo declares %+v", said)
	}
	peer := report.Peer{Name: "bravo"}
	alfa.engine().Complete(&peer)
	if peer.Offer == nil || peer.Trust == nil || peer.Trust.Fingerprint == "" {
		t.Errorf("completed %+v", peer)
	}

	bravo.apply(func(c *config.Config) { c.Imports, c.Peers[0].State = nil, config.Drained })
	alfa.eventually("the change", func(o *report.Offer) bool { return o.State == "Drained" && o.Imports == nil })
	down := report.Down
	bravo.view.Store(&down)
	alfa.engine().OfferSeen(bravo.td, bravo.engine().Revision(alfa.td))
	alfa.eventually("the view, which heartbeats tell of", func(o *report.Offer) bool { return o.Outbound == report.Down })
}

func TestARevisionChangesWithTheContentOnly(t *testing.T) {
	alfa, bravo := newWorld(t)
	alfa.eventually("all is said", func(o *report.Offer) bool { return o.SeenRoot != "" })
	bravo.eventually("all is said", func(o *report.Offer) bool { return o.SeenRoot != "" })
	first := alfa.engine().Revision(bravo.td)
	if len(first) != 16 || alfa.engine().Revision("nobody.example") != "" {
		t.Errorf("revision %q", first)
	}
	for range 3 {
		if got := alfa.engine().Revision(bravo.td); got != first {
			t.Errorf("revision %q after %q", got, first)
		}
	}
	alfa.apply(func(c *config.Config) { c.Hotlines = []config.Hotline{{Name: "red", Peer: "bravo"}} })
	if alfa.engine().Revision(bravo.td) == first {
		t.Error("another content has the same revision")
	}
}

func TestNothingFlowsWithoutAVersionInCommon(t *testing.T) {
	for _, c := range []struct {
		name         string
		alfa, bravo  []int32
		version      int32
		alfa0, brav0 string // what each side is told
	}{
		{"a_newer_peer", []int32{1}, []int32{1, 2, 3}, 1, "", ""},
		{"an_older_peer", []int32{1, 2}, []int32{1}, 1, "", ""},
		{"none_in_common", []int32{1}, []int32{2, 3}, 0, "until our relay is upgraded", "until the peer's relay is upgraded"},
	} {
		t.Run(c.name, func(t *testing.T) {
			alfa, bravo := newWorld(t, func(alfa, bravo *nation) { alfa.versions, bravo.versions = c.alfa, c.bravo })
			alfa.knows()
			bravo.knows()
			for _, side := range []struct {
				n    *nation
				told string
			}{{alfa, c.alfa0}, {bravo, c.brav0}} {
				if o := side.n.knows(); o.Version != c.version || !slices.Equal(o.Versions, side.n.other.versions) {
					t.Errorf("%s's report %+v", side.n.name, o)
				}
				agreed, err := side.n.engine().Agreed(side.n.other.td), side.n.engine().Allowed(side.n.other.td)
				if agreed.Version != c.version || agreed.OK != (c.version > 0) || !agreed.Said {
					t.Errorf("%s agreed %+v", side.n.name, agreed)
				}
				if (err == nil) != (side.told == "") || err != nil && !strings.Contains(err.Error(), side.told) {
					t.Errorf("%s is told %v, want %q", side.n.name, err, side.told)
				}
				want := http.StatusNoContent
				if c.version == 0 {
					want = http.StatusForbidden
				}
				if got, err := side.n.traffic(t, side.n.client); err != nil || got != want {
					t.Errorf("traffic of %s is answered with %d, %v, want %d", side.n.name, got, err, want)
				}
				_, err = side.n.traffic(t, side.n.engine().Guard(side.n.client))
				if _, refused := errors.AsType[*offer.VersionError](err); refused != (c.version == 0) {
					t.Errorf("guarded traffic of %s: %v", side.n.name, err)
				}
			}
		})
	}
}

func (n *nation) traffic(t *testing.T, client func(string) *http.Client) (int, error) {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, "https://"+n.other.td+"/traffic", strings.NewReader("x"))
	if err != nil {
		t.Fatal(err)
	}
	resp, err := client(n.other.td).Do(req)
	if err != nil {
		return 0, err
	}
	return resp.StatusCode, resp.Body.Close()
}

func TestAPeerThatHasNotSaidYetIsAllowedWhatItWas(t *testing.T) {
	alfa, bravo := newWorld(t)
	bravo.stop()
	alfa.restart()
	if err := alfa.engine().Allowed(bravo.td); err != nil {
		t.Error(err)
	}
	if err := alfa.engine().Allowed("taxii.partner.example"); err != nil {
		t.Error(err)
	}
	if a := alfa.engine().Agreed(bravo.td); a.Said || a.Version != 0 {
		t.Errorf("agreed %+v", a)
	}
}

func TestAHostileOfferChangesNothing(t *testing.T) {
	alfa, bravo := newWorld(t)
	bravo.eventually("a good offer", func(o *report.Offer) bool { return o.SeenRoot != "" })
	alfa.stopExchanging()
	good := alfa.signed(t, nil)
	mallory := testca.New(t, alfa.td)
	stranger := leaf{mallory.Leaf(t, testca.Leaf{Path: "/signing"})}
	link := leaf{alfa.ca.Leaf(t, testca.Leaf{Path: "/relay", Algorithm: testca.Ed25519})}
	expired := leaf{alfa.ca.Leaf(t, testca.Leaf{Path: "/signing", NotBefore: time.Now().Add(-48 * time.Hour), NotAfter: time.Now().Add(-24 * time.Hour)})}
	flip := slices.Clone(good)
	flip[len(flip)-10] ^= 1
	for _, c := range []struct {
		name   string
		body   []byte
		status int
		says   string
	}{
		{"nothing", nil, 422, "no signed offer"},
		{"rubbish", []byte("x.y.z"), 422, "no signed offer"},
		{"a_signature_of_another_CA", alfa.sign(t, stranger, offer.Type, []byte("{}")), 422, "does not chain"},
		{"a_signature_of_the_link_certificate", alfa.sign(t, link, offer.Type, []byte("{}")), 422, "not its signing certificate"},
		{"a_signature_of_an_expired_certificate", alfa.sign(t, expired, offer.Type, []byte("{}")), 422, "outside its validity"},
		{"a_receipt_as_an_offer", alfa.sign(t, alfa.source().Current(), "certlink-receipt+jws", []byte("{}")), 422, "no signed offer"},
		{"an_offer_that_the_receiver_signed_itself", bravo.signed(t, nil), 422, "signed by"},
		{"an_offer_for_somebody_else", alfa.signed(t, func(d *offer.Document) { d.To = "charlie.example" }), 422, "not from"},
		{"an_offer_of_somebody_else", alfa.signed(t, func(d *offer.Document) { d.From = "charlie.example" }), 422, "not from"},
		{"a_bent_signature", flip, 422, ""},
		{"too_many_names", alfa.signed(t, func(d *offer.Document) { d.Exports = make([]string, 1025) }), 422, "exports"},
		{"a_serial_after_which_none_would_count", alfa.signed(t, func(d *offer.Document) { d.Serial = 1<<53 - 1 }), 422, "ten years ahead"},
		{"far_too_long", bytes.Repeat([]byte("x"), offer.MaxBytes+1), 413, "too long"},
	} {
		t.Run(c.name, func(t *testing.T) {
			before := bravo.engine().Describe(alfa.td)
			status, err := alfa.post(c.body)
			if err != nil || status != c.status {
				t.Errorf("status %d, %v; want %d", status, err, c.status)
			}
			after := bravo.engine().Describe(alfa.td)
			if !strings.Contains(after.Error, c.says) || after.Error == "" || strings.Contains(after.Error, "\n") {
				t.Errorf("reported as %q, want %q", after.Error, c.says)
			}
			before.Error, after.Error = "", ""
			if fmt.Sprint(before) != fmt.Sprint(after) {
				t.Errorf("it changed %+v to %+v", before, after)
			}
		})
	}
	if status, err := alfa.post(good); err != nil || status != http.StatusOK {
		t.Errorf("a good one: %d, %v", status, err)
	}
	if o := bravo.engine().Describe(alfa.td); o.Error != "" {
		t.Errorf("after a good one: %+v", o)
	}
}

// stopExchanging lets only the test speak for us.
func (n *nation) stopExchanging() {
	n.t.Helper()
	n.mute.Store(true)
	n.engine().Apply(&config.Config{})
	c := n.other.config()
	n.other.engine().Apply(&config.Config{}) // what was said is forgotten, its serial too
	n.other.engine().Apply(&c)
	if status, err := n.post(n.signed(n.t, func(d *offer.Document) { d.Serial = time.Now().UnixMicro() })); err != nil || status != http.StatusOK {
		n.t.Fatalf("%d, %v", status, err)
	}
}

// leaf is a receipt.Signer.
type leaf struct{ testca.Pair }

func (l leaf) SigningChain() ([]*x509.Certificate, crypto.Signer) { return l.Chain, l.Key }

func TestOnlyTheRelayOfAPeerExchangesOffers(t *testing.T) {
	alfa, bravo := newWorld(t)
	good := alfa.signed(t, nil)
	for name, c := range map[string]struct {
		peer   *access.Peer
		method string
		status int
	}{
		"nobody":                     {nil, http.MethodPost, 403},
		"a_reader_of_the_peer":       {&access.Peer{TrustDomain: alfa.td}, http.MethodPost, 403},
		"a_peer_that_we_do_not_have": {&access.Peer{TrustDomain: "charlie.example", Relay: true}, http.MethodPost, 403},
		"a_GET":                      {&access.Peer{TrustDomain: alfa.td, Relay: true}, http.MethodGet, 405},
		"the_relay":                  {&access.Peer{TrustDomain: alfa.td, Relay: true}, http.MethodPost, 200},
	} {
		t.Run(name, func(t *testing.T) {
			req := httptest.NewRequestWithContext(t.Context(), c.method, offer.Path, bytes.NewReader(good))
			if c.peer != nil {
				req = req.WithContext(access.WithPeer(req.Context(), *c.peer))
			}
			w := httptest.NewRecorder()
			bravo.engine().Handler().ServeHTTP(w, req)
			if w.Code != c.status {
				t.Errorf("status %d: %s", w.Code, w.Body)
			}
		})
	}
}

func TestAClockThatWasSetBackLocksNobodyOut(t *testing.T) {
	alfa, bravo := newWorld(t, func(alfa, _ *nation) { alfa.ahead.Store(int64(5 * 365 * 24 * time.Hour)) })
	_ = bravo
	alfa.ahead.Store(0) // signing certificates are valid at both times, for 10 years and 90 days
	alfa.restart()
	alfa.apply(func(c *config.Config) { c.Hotlines = []config.Hotline{{Name: "red", Peer: "bravo"}} })
	bravo.eventually("what we say now", func(o *report.Offer) bool { return o.Hotline })
	alfa.apply(func(c *config.Config) { c.Hotlines = nil })
	bravo.eventually("what we say after that", func(o *report.Offer) bool { return !o.Hotline })
}

func TestAnOfferThatIsOlderIsIgnored(t *testing.T) {
	alfa, bravo := newWorld(t)
	bravo.knows()
	alfa.stopExchanging()
	at := time.Now().UnixMicro() + 1
	newer := alfa.signed(t, func(d *offer.Document) { d.Serial, d.Release = at+1, "newer" })
	older := alfa.signed(t, func(d *offer.Document) { d.Serial, d.Release = at, "older" })
	for _, body := range [][]byte{newer, older, newer} {
		if status, err := alfa.post(body); err != nil || status != http.StatusOK {
			t.Fatal(status, err)
		}
		if o := bravo.engine().Describe(alfa.td); o.Release != "newer" {
			t.Errorf("offer %+v", o)
		}
	}
}

func TestAPeerThatFloodsUsWithOffersIsSlowedDown(t *testing.T) {
	alfa, bravo := newWorld(t)
	body := alfa.signed(t, nil)
	refused, began := 0, time.Now()
	for range 200 {
		req := httptest.NewRequestWithContext(t.Context(), http.MethodPost, offer.Path, bytes.NewReader(body))
		w := httptest.NewRecorder()
		bravo.engine().Handler().ServeHTTP(w, req.WithContext(access.WithPeer(req.Context(), access.Peer{TrustDomain: alfa.td, Relay: true})))
		if w.Code == http.StatusTooManyRequests {
			refused++
		}
	}
	if most := 21 + int(10*time.Since(began).Seconds()); 200-refused > most {
		t.Errorf("%d of 200 were let through, want at most %d", 200-refused, most)
	}
}
