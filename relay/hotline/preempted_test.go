// SPDX-FileCopyrightText: The certlink authors
// SPDX-License-Identifier: Apache-2.0

package hotline

import (
	"testing"
	"time"

	"github.com/certlink/certlink/relay/preempt"
)

func TestWhatIsNotFLASHLeavesAfterItAndNotMuchLater(t *testing.T) {
	for name, c := range map[string]struct {
		precedence   string
		least, below time.Duration
	}{
		"ROUTINE":   {"ROUTINE", preempt.Longest, 2 * preempt.Longest},
		"IMMEDIATE": {"IMMEDIATE", preempt.Longest, 2 * preempt.Longest},
		"FLASH":     {"FLASH", 0, preempt.Longest},
	} {
		bubble(t, name, func(t *testing.T, w *world) {
			w.quiet()
			// Another FLASH message is being worked on, and does not get through.
			end := w.alfa.life().gate.Begin()
			defer end()
			begun := time.Now()
			r := request(ulidFor(0, 0), "s0")
			r.Precedence = c.precedence
			w.alfa.send(r)
			for w.alfa.report().Queued > 0 {
				<-time.After(time.Millisecond)
			}
			if took := time.Since(begun); took < c.least || took >= c.below {
				t.Errorf("it took %s", took)
			}
		})
	}
}
