// SPDX-FileCopyrightText: The certlink authors
// SPDX-License-Identifier: Apache-2.0

package faults

import (
	"testing"

	"github.com/certlink/certlink/relay/config"
	"github.com/certlink/certlink/relay/report"
)

// checked waits until every path of the only hotline is checked in both directions.
func (n *nation) checked(t *testing.T, paths int) {
	t.Helper()
	n.until(t, "has checked every path in both directions", func(r report.Report) bool {
		if len(r.Hotlines) != 1 || len(r.Hotlines[0].LineChecks) != paths {
			return false
		}
		for _, c := range r.Hotlines[0].LineChecks {
			if c.Sent != report.LineAnswered || c.Received != report.LineAnswered {
				return false
			}
		}
		return true
	})
}

// TestTwoReplicasCheckTheLineAsOne: of two relays on one database one checks the line, and the
// other what ends at itself. No path is missed, on either side.
func TestTwoReplicasCheckTheLineAsOne(t *testing.T) {
	often := config.LineChecks{IntervalSeconds: 10, MissedAfterSeconds: 20}
	alfa, bravo := newNation(t, "alfa"), newNation(t, "bravo")
	alfa.onPostgres(t)
	alfa.join(bravo)
	bravo.join(alfa)
	alfa.cfg.Hotlines[0].LineChecks, bravo.cfg.Hotlines[0].LineChecks = often, often
	two := alfa.replica(t, "alfa-two")
	endpoints := &bravo.cfg.Peers[0].Endpoints
	*endpoints = append(*endpoints, config.Endpoint{Address: two.cfg.Listen.Link})
	alfa.start(t)
	two.start(t)
	bravo.start(t)
	bravo.connected(t)
	for _, n := range []*nation{alfa, two, bravo} {
		n.checked(t, 3)
	}
}
