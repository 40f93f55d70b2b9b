// SPDX-FileCopyrightText: The certlink authors
// SPDX-License-Identifier: Apache-2.0

package linecheck

import (
	"strings"
	"testing"
	"time"

	"github.com/certlink/certlink/internal/testca"
	"github.com/certlink/certlink/internal/teststore"
	"github.com/certlink/certlink/relay/config"
	"github.com/certlink/certlink/relay/desk"
)

// renew gives a nation that does not run a signing certificate that lasts a little longer than a month.
func (n *nation) renew(t *testing.T) {
	t.Helper()
	n.pair = n.ca.Leaf(t, testca.Leaf{Path: "/signing", NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().AddDate(0, 0, 40)})
}

// Each record was signed as its month was over, by a certificate that has ended since. The peer
// was away, and our own relay for most of the time.
func TestMonthsWithoutThePeerAreCountersignedOnceItIsBack(t *testing.T) {
	bubble(t, config.LineChecks{IntervalSeconds: 86_400, MissedAfterSeconds: 100_000}, func(t *testing.T, w *world) {
		pass(26 * time.Hour)
		w.end()
		var months []string
		for range 7 {
			over := firstOfNext()
			pass(time.Until(over.Add(-30 * time.Hour)))
			months = append(months, time.Now().UTC().Format("2006-01"))
			w.alfa.renew(t)
			w.alfa.begin()
			pass(time.Until(over.Add(12 * time.Hour)))
			if a, err := w.alfa.engine.Availability(t.Context(), "to-bravo", months[len(months)-1]); err != nil || a.State != desk.AvailabilityUnsigned {
				t.Errorf("the record of %s is %s before the peer has seen it, %v", months[len(months)-1], a.State, err)
			}
			w.alfa.kill()
		}
		pass(3 * 24 * time.Hour)
		w.alfa.renew(t)
		w.bravo.renew(t)
		w.alfa.begin()
		w.bravo.begin()
		pass(6 * time.Hour)
		for _, month := range months {
			w.expectAgreed(t, month)
			for _, n := range []*nation{w.alfa, w.bravo} {
				if a, err := n.engine.Availability(t.Context(), "to-"+n.other.name, month); err != nil || !a.Ours.CounterVerified || !a.Theirs.CounterVerified {
					t.Errorf("%s: the record of %s is not verified: %+v, %v", n.name, month, a, err)
				}
			}
		}
	})
}

// bravo's database is lost in the middle of the month: it cannot confirm what alfa holds receipts for, and says so.
func TestARecordThatTheOtherSideCannotConfirmIsSignedWithTheDifferences(t *testing.T) {
	bubble(t, sixHourly, func(t *testing.T, w *world) {
		month := time.Now().UTC().Format("2006-01")
		pass(20 * time.Hour)
		w.bravo.kill()
		w.bravo.path += ".lost"
		teststore.Put(t, w.bravo.path)
		w.bravo.begin()
		pass(time.Until(firstOfNext().Add(12 * time.Hour)))
		for _, n := range []*nation{w.alfa, w.bravo} {
			a, err := n.engine.Availability(t.Context(), "to-"+n.other.name, month)
			if err != nil {
				t.Fatal(err)
			}
			said := a.Ours // what the other side says of it
			if n == w.bravo {
				said = a.Theirs
			}
			if a.State != desk.AvailabilityDisagreed || said.Agreed || !strings.Contains(strings.Join(said.Differences, "\n"), "alfa.example holds") {
				t.Errorf("at %s the record is %s: %q", n.name, a.State, said.Differences)
			}
		}
	})
}
