// SPDX-FileCopyrightText: The certlink authors
// SPDX-License-Identifier: Apache-2.0

package sharedfeed

import (
	"strings"
	"testing"
	"time"

	"k8s.io/apimachinery/pkg/api/meta"

	"github.com/certlink/certlink/api/v1alpha1"
	"github.com/certlink/certlink/controllers/internal/reports"
	relayreport "github.com/certlink/certlink/relay/report"
)

func TestPeerAccepted(t *testing.T) {
	const id = "6f8e1b9e-7a1c-5f4e-9d3b-0a8c2f6f1c11"
	offer := func(exports, imports string) *relayreport.Offer {
		return &relayreport.Offer{ReceivedAt: noon, Version: 1, Exports: strings.Fields(exports), Imports: strings.Fields(imports)}
	}
	stale := offer("threats", "threats")
	stale.ReceivedAt = noon.Add(-time.Hour)
	for name, tc := range map[string]struct {
		direction      v1alpha1.FeedDirection
		bravo, charlie *relayreport.Offer
		change         func(*v1alpha1.SharedFeed, *seen)
		want, says     string
	}{
		"both_import_it":                    {"Export", offer("", "x threats"), offer("", "threats"), nil, "True/Offered", "bravo, charlie"},
		"one_does_not":                      {"Export", offer("", "threats"), offer("threats", ""), nil, "False/NotOffered", "charlie: no import"},
		"one_does_not_and_one_is_silent":    {"Export", nil, offer("", ""), nil, "False/NotOffered", "charlie: no import"},
		"one_is_silent":                     {"Export", nil, offer("", "threats"), nil, "Unknown/NoOffer", "bravo: "},
		"one_names_it_by_an_id":             {"Export", offer("", id), offer("", "threats"), nil, "Unknown/Unknown", "bravo: a collection is named by its id"},
		"the_peer_exports_it":               {"Import", offer("threats", ""), nil, nil, "True/Offered", "bravo"},
		"the_peer_exports_another":          {"Import", offer("other", "threats"), nil, nil, "False/NotOffered", `no collection "threats"`},
		"the_peer_s_offer_is_old":           {"Import", stale, nil, nil, "Unknown/OfferStale", "bravo: "},
		"we_name_it_by_its_id":              {"Import", offer("other", ""), nil, func(f *v1alpha1.SharedFeed, _ *seen) { f.Spec.Import.Collection = id }, "Unknown/Unknown", "alias"},
		"a_revoked_peer":                    {"Import", offer("threats", ""), nil, func(_ *v1alpha1.SharedFeed, s *seen) { s.peers["bravo"].Spec.State = "Revoked" }, "Unknown/Revoked", ""},
		"a_peer_that_is_not_declared":       {"Import", offer("threats", ""), nil, func(_ *v1alpha1.SharedFeed, s *seen) { delete(s.peers, "bravo") }, "Unknown/PeerNotFound", "bravo"},
		"no_LocalCERT":                      {"Import", offer("threats", ""), nil, func(_ *v1alpha1.SharedFeed, s *seen) { s.local = nil }, "Unknown/LocalCERTMissing", ""},
		"the_operator_has_just_started":     {"Import", offer("threats", ""), nil, func(_ *v1alpha1.SharedFeed, s *seen) { s.view = reports.View{} }, "Unknown/Pending", ""},
		"the_relay_cannot_be_read_any_more": {"Import", offer("threats", ""), nil, func(_ *v1alpha1.SharedFeed, s *seen) { s.view.Contact = reports.Lost }, "Unknown/RelayUnreachable", ""},
	} {
		t.Run(name, func(t *testing.T) {
			s := world(&relayreport.Report{Peers: []relayreport.Peer{{Name: "bravo", Offer: tc.bravo}, {Name: "charlie", Offer: tc.charlie}}})
			f := feed(tc.direction)
			if tc.change != nil {
				tc.change(f, s)
			}
			run(t, f, s)
			c := meta.FindStatusCondition(f.Status.Conditions, v1alpha1.ConditionPeerAccepted)
			if got := string(c.Status) + "/" + c.Reason; got != tc.want || !strings.Contains(c.Message, tc.says) {
				t.Errorf("got %s (%s), want %s with %q", got, c.Message, tc.want, tc.says)
			}
		})
	}
}
