// SPDX-FileCopyrightText: The certlink authors
// SPDX-License-Identifier: Apache-2.0

package linecheck

import (
	"testing"
	"time"

	"github.com/certlink/certlink/relay/config"
)

func TestAPathThatComesUpWithinASlotIsCheckedInIt(t *testing.T) {
	bubble(t, config.LineChecks{IntervalSeconds: 3600, MissedAfterSeconds: 5400}, func(t *testing.T, w *world) {
		const address = "alfa-2:1"
		sent := func() (n int) {
			w.alfa.mu.Lock()
			defer w.alfa.mu.Unlock()
			for _, act := range w.alfa.acts {
				if act == "LINE_CHECK_SENT bravo.example "+address {
					n++
				}
			}
			return n
		}
		pass(time.Minute)
		w.alfa.hide(address)
		before := sent()
		pass(time.Hour)
		if n := sent() - before; n != 0 {
			t.Fatalf("%d checks went over a path that was not there", n)
		}
		w.alfa.hide("")
		pass(10 * time.Minute)
		if n := sent() - before; n != 1 {
			t.Errorf("%d checks went over the path when it was there, want 1", n)
		}
		pass(time.Hour)
		if n := sent() - before; n != 2 {
			t.Errorf("%d checks went over the path in the next slot, want 2", n)
		}
	})
}
