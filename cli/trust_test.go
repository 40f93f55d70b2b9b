// SPDX-FileCopyrightText: The certlink authors
// SPDX-License-Identifier: Apache-2.0

package cli

import (
	"encoding/json"
	"errors"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/certlink/certlink/internal/relayclient/relaytest"
	"github.com/certlink/certlink/relay/desk"
	"github.com/certlink/certlink/relay/report"
	"github.com/certlink/certlink/relay/trust"
)

func hash(letter string) trust.Hash {
	return trust.Hash{Certificate: strings.Repeat(letter, 64), Key: strings.Repeat(letter+"0", 32)}
}

// recordedTrust is a record with every kind of change.
func recordedTrust() trust.Page {
	a, b, c := hash("a"), hash("b"), hash("c")
	renewed := trust.Hash{Certificate: strings.Repeat("d", 64), Key: a.Key}
	return trust.Page{Total: 6, Last: strings.Repeat("9", 64), Records: []trust.Record{
		{Seq: 1, At: noon, Subject: "alfa.example", What: trust.LeafChanged, Cause: trust.File, Item: "link", New: []trust.Hash{a}},
		{Seq: 2, At: noon, Subject: "bravo.example", What: trust.PeerAdded, Cause: trust.Configuration, To: "Active", New: []trust.Hash{b}, Previous: "x"},
		{Seq: 3, At: noon.Add(time.Hour), Subject: "bravo.example", What: trust.BundleLearned, Cause: trust.Offer, Old: []trust.Hash{b}, New: []trust.Hash{b, c}, OfferSerial: 7, Previous: "x"},
		{Seq: 4, At: noon.Add(2 * time.Hour), Subject: "bravo.example", What: trust.StateChanged, Cause: trust.Configuration, From: "Active", To: "Revoked", Previous: "x"},
		{Seq: 5, At: noon.Add(3 * time.Hour), Subject: "alfa.example", What: trust.LeafChanged, Cause: trust.File, Item: "link", Old: []trust.Hash{a}, New: []trust.Hash{renewed}, Previous: "x"},
		{Seq: 6, At: noon.Add(4 * time.Hour), Subject: "bravo.example\x1b[2J", What: trust.PeerRemoved, Cause: trust.Configuration, From: "Revoked", Old: []trust.Hash{b, c}, Previous: "x"},
	}}
}

func serveJSON(t *testing.T, path string, body any, asked *string) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path != path {
			t.Errorf("asked for %s", r.URL)
		}
		if asked != nil {
			*asked = r.URL.RawQuery
		}
		w.Header().Set("Content-Type", "application/json")
		if err := json.NewEncoder(w).Encode(body); err != nil {
			t.Error(err)
		}
	})
}

func TestTrustLogOutput(t *testing.T) {
	for file, output := range map[string]format{"trust-log.txt": asTable, "trust-log.json": asJSON} {
		t.Run(file, func(t *testing.T) {
			o, s := setup(t)
			asked := ""
			relay := relaytest.Desk(t, serveJSON(t, desk.PathTrust, recordedTrust(), &asked))
			if err := o.trustLog(t.Context(), relay, "bravo.example", &output); err != nil {
				t.Fatal(err)
			}
			if asked != "limit=1024&subject=bravo.example" {
				t.Errorf("asked for %q", asked)
			}
			golden(t, file, s.out.String())
		})
	}
}

func TestTrustLogFailsWhenTheChainIsBroken(t *testing.T) {
	o, s := setup(t)
	page := recordedTrust()
	page.Damaged = &trust.Damage{Seq: 3, Reason: "record 2 was changed after it was written"}
	relay := relaytest.Desk(t, serveJSON(t, desk.PathTrust, page, nil))
	output := asTable
	err := o.trustLog(t.Context(), relay, "", &output)
	if expect(t, err, "damaged at record 3: record 2 was changed"); !errors.Is(err, ErrUnwell) {
		t.Errorf("err = %v", err)
	}
	if strings.Contains(s.out.String(), "the chain is whole") || !strings.Contains(s.out.String(), "BundleLearned") {
		t.Errorf("printed %s", s.out)
	}
}

func TestTrustLogSaysThatThereIsNothing(t *testing.T) {
	o, s := setup(t)
	relay := relaytest.Desk(t, serveJSON(t, desk.PathTrust, trust.Page{}, nil))
	output := asTable
	if err := o.trustLog(t.Context(), relay, "nobody", &output); err != nil || s.out.Len() > 0 || !strings.Contains(s.errOut.String(), `about "nobody"`) {
		t.Errorf("%v, %q, %q", err, s.out, s.errOut)
	}
}

func TestTrustShowOutput(t *testing.T) {
	a, b, c := hash("a").Certificate, hash("b").Certificate, hash("c").Certificate
	now := report.Report{
		Identity: report.IdentityState{Serial: "1f", Root: a, Roots: []string{a, c}, NotAfter: noon.Add(24 * time.Hour)},
		Peers: []report.Peer{
			{Name: "bravo", State: "Active", Offer: &report.Offer{AcceptedRoots: []string{a, c}, SeenRoot: a},
				Trust: &report.Trust{Roots: []string{b, c}, Fingerprint: "0000-1111", Learned: true, LearnedAt: noon}},
			{Name: "charlie", State: "Active", Offer: &report.Offer{AcceptedRoots: []string{a, b, c, a, b}},
				Trust: &report.Trust{Roots: []string{b}, Fingerprint: "2222-3333", OfferedFingerprint: "4444-5555", OfferedRoots: []string{c}, OfferedBundle: "PEM"}},
			{Name: "delta", State: "Suspended", Trust: &report.Trust{Roots: []string{c}, Fingerprint: "6666-7777", Error: "the bundle that the peer offers\nis wrong"}},
		},
	}
	for file, output := range map[string]format{"trust-show.txt": asTable, "trust-show.json": asJSON} {
		t.Run(file, func(t *testing.T) {
			o, s := setup(t)
			relay := relaytest.Desk(t, serveJSON(t, report.Path, now, nil))
			if err := o.trustShow(t.Context(), relay, &output); err != nil {
				t.Fatal(err)
			}
			golden(t, file, s.out.String())
		})
	}
}
