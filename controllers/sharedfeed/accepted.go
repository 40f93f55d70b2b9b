// SPDX-FileCopyrightText: The certlink authors
// SPDX-License-Identifier: Apache-2.0

package sharedfeed

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/google/uuid"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/certlink/certlink/api/v1alpha1"
	"github.com/certlink/certlink/controllers/internal/link"
	"github.com/certlink/certlink/controllers/internal/lookup"
	"github.com/certlink/certlink/controllers/internal/status"
	relayreport "github.com/certlink/certlink/relay/report"
)

// accepted says whether the signed offers of the peers declare the other half of
// a feed. One peer that does not makes it False; else one of which that cannot be
// told makes it Unknown.
func (s *seen) accepted(f *v1alpha1.SharedFeed, now time.Time) (status.Fact, time.Duration) {
	if s.local == nil {
		none := lookup.NoLocal()
		return status.Fact{Status: metav1.ConditionUnknown, Reason: none.Reason, Message: none.Message}, 0
	}
	var lacking, open []string
	var why status.Fact
	var again time.Duration
	names := slices.Sorted(slices.Values(lookup.FeedPeers(f)))
	for _, name := range names {
		p := s.peers[name]
		if p == nil {
			open, why = append(open, name), status.Fact{
				Status: metav1.ConditionUnknown, Reason: v1alpha1.ReasonPeerNotFound, Message: "there is no such PeerCERT in this namespace",
			}
			continue
		}
		offer, fact, later := link.Offer(s.view, p, now)
		again = lookup.Soonest(again, later)
		if offer == nil {
			open, why = append(open, name), fact
			continue
		}
		switch has, known := declares(offer, f); {
		case !known:
			open, why = append(open, name), status.Fact{
				Status: metav1.ConditionUnknown, Reason: v1alpha1.ReasonUnknown, Message: "a collection is named by its id, and offers hold names: name it by its alias",
			}
		case !has:
			lacking = append(lacking, name)
		}
	}
	switch {
	case len(lacking) > 0:
		return no(v1alpha1.ReasonNotOffered, ask(f, lacking)), again
	case len(open) > 0:
		why.Message = strings.Join(open, ", ") + ": " + why.Message
		return why, again
	}
	return yes(v1alpha1.ReasonOffered, "the other half is declared in the signed offer of "+strings.Join(names, ", ")), again
}

// declares tells whether an offer has the other half of a feed; known is false
// where it is named by an id, which only the relay can resolve.
func declares(o *relayreport.Offer, f *v1alpha1.SharedFeed) (has, known bool) {
	if f.Spec.Direction == v1alpha1.FeedImport {
		name := f.Spec.Import.Collection
		if slices.Contains(o.Exports, name) {
			return true, true
		}
		return false, uuid.Validate(name) != nil
	}
	if slices.Contains(o.Imports, f.Name) {
		return true, true
	}
	return false, !slices.ContainsFunc(o.Imports, func(name string) bool { return uuid.Validate(name) == nil })
}

// ask says what to ask of the peers whose offers lack the other half.
func ask(f *v1alpha1.SharedFeed, peers []string) string {
	if f.Spec.Direction == v1alpha1.FeedImport {
		return fmt.Sprintf("%s exports no collection %q to us; compare spec.import.collection with the name of their SharedFeed, and ask them to add us to its peerRefs",
			peers[0], f.Spec.Import.Collection)
	}
	return fmt.Sprintf("%s: no import of our collection %q is declared there; ask them for a SharedFeed with direction Import and this collection", strings.Join(peers, ", "), f.Name)
}
