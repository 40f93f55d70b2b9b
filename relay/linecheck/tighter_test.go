// SPDX-FileCopyrightText: The certlink authors
// SPDX-License-Identifier: Apache-2.0

package linecheck

import (
	"strings"
	"testing"
	"time"

	"github.com/certlink/certlink/relay/config"
)

func TestAScheduleThatIsMadeTighterIsNoFaultOfTheLine(t *testing.T) {
	bubble(t, config.LineChecks{IntervalSeconds: 3600, MissedAfterSeconds: 5400}, func(t *testing.T, w *world) {
		pass(70 * time.Minute)
		cut := Way{DialledBy: "alfa.example", Address: "bravo-2:1"}
		w.cutPath(cut, true)
		for _, n := range []*nation{w.alfa, w.bravo} {
			tighter := *n.config
			tighter.Hotlines = []config.Hotline{n.config.Hotlines[0]}
			tighter.Hotlines[0].LineChecks = config.LineChecks{IntervalSeconds: 10, MissedAfterSeconds: 20}
			n.engine.Apply(&tighter)
		}
		for range 19 {
			for _, n := range []*nation{w.alfa, w.bravo} {
				for address, state := range n.states() {
					if strings.Contains(state, Missed) {
						t.Fatalf("%s: %s is %s before the time that is declared now", n.name, address, state)
					}
				}
			}
			pass(time.Second)
		}
		pass(2 * time.Second)
		missed := map[string]string{"bravo-2:1": "Missed/Missed"}
		w.alfa.expect("Answered/Answered", missed)
		w.bravo.expect("Answered/Answered", missed)
	})
}
