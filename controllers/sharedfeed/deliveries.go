// SPDX-FileCopyrightText: The certlink authors
// SPDX-License-Identifier: Apache-2.0

package sharedfeed

import (
	"fmt"

	"github.com/certlink/certlink/api/v1alpha1"
	"github.com/certlink/certlink/controllers/internal/status"
	relayreport "github.com/certlink/certlink/relay/report"
)

// deliveries writes the status of an import's deliveries, and says what is wrong with
// one; nil if all is well. A delivery that fails comes before one with dead letters: it
// may still get worse.
func (s *seen) deliveries(f *v1alpha1.SharedFeed) *status.Fact {
	f.Status.Deliveries = nil
	var failing, dead *status.Fact
	for _, d := range s.delivered(f.Name) {
		out := v1alpha1.DeliveryStatus{Name: d.Name, Delivered: new(int64), Waiting: new(int64), Dead: new(int64), Message: status.OneLine(d.Error)}
		*out.Delivered, *out.Waiting, *out.Dead = step(d.Delivered), step(d.Waiting), d.Dead
		f.Status.Deliveries = append(f.Status.Deliveries, out)
		if d.Error != "" && failing == nil {
			fact := no(v1alpha1.ReasonDeliveryFailing, fmt.Sprintf("delivery %q does not succeed: %s", d.Name, d.Error))
			failing = &fact
		}
		if d.Dead > 0 && dead == nil {
			fact := no(v1alpha1.ReasonDeadLetters, fmt.Sprintf("the receiver of delivery %q did not take %d objects: kubectl certlink feed dead %s %s says why, feed redeliver sends them again",
				d.Name, d.Dead, f.Name, d.Name))
			dead = &fact
		}
	}
	if failing != nil {
		return failing
	}
	return dead
}

// delivered are the deliveries of an import that its spec names, as the relay reports them.
func (s *seen) delivered(name string) []relayreport.Delivery {
	if s.view.Report == nil {
		return nil
	}
	var list []relayreport.Delivery
	for _, d := range s.view.Report.Deliveries {
		if d.Import == name && len(list) < 8 {
			list = append(list, d)
		}
	}
	return list
}
