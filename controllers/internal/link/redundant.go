// SPDX-FileCopyrightText: The certlink authors
// SPDX-License-Identifier: Apache-2.0

package link

import (
	"fmt"
	"strings"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/certlink/certlink/api/v1alpha1"
	"github.com/certlink/certlink/controllers/internal/status"
	"github.com/certlink/certlink/relay/report"
)

// Redundant judges whether a path can fail without the link: two are proven in
// both directions. Connected is the judgement about the link, seen what the
// relay reports of the peer, if it does.
func Redundant(connected status.Fact, seen *report.Peer) status.Fact {
	if connected.Status == metav1.ConditionFalse && connected.Reason != v1alpha1.ReasonRevoked {
		return status.Fact{
			Status:  metav1.ConditionFalse,
			Reason:  v1alpha1.ReasonLinkDown,
			Message: "no path to the peer is proven in both directions; the condition Connected says why",
		}
	}
	if connected.Status != metav1.ConditionTrue || seen == nil {
		return connected
	}
	up, rest := 0, []string(nil)
	for _, path := range seen.Paths {
		if path.State != report.Recovering && Proven(seen, path) {
			up++
			continue
		}
		who := ""
		if path.Accepted {
			who = ", which the peer dials,"
		}
		rest = append(rest, fmt.Sprintf("%s%s is %s", path.Address, who, path.State))
	}
	switch {
	case up >= 2:
		return status.Fact{
			Status:  metav1.ConditionTrue,
			Reason:  v1alpha1.ReasonPathsProven,
			Message: "at least two paths are proven in both directions",
		}
	case len(seen.Paths) > 1:
		return status.Fact{
			Status:  metav1.ConditionFalse,
			Reason:  v1alpha1.ReasonPathDown,
			Message: "the link hangs on its last path: " + strings.Join(rest, "; ") + "; status.paths says why",
		}
	}
	return status.Fact{
		Status: metav1.ConditionFalse,
		Reason: v1alpha1.ReasonSinglePath,
		Message: "there is one path only; add an endpoint of the peer that takes another way to spec.endpoints, " +
			"or an address of ours to the LocalCERT and send the peer the new card",
	}
}
