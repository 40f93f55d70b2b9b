// SPDX-FileCopyrightText: The certlink authors
// SPDX-License-Identifier: Apache-2.0

package linecheck

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/certlink/certlink/relay/link"
	"github.com/certlink/certlink/relay/message"
	"github.com/certlink/certlink/relay/store"
)

// A peer says from which address it dials, and may say another each time.
func TestAPeerThatDialsFromMoreAndMoreAddressesFillsNoTable(t *testing.T) {
	bubble(t, quick, func(t *testing.T, w *world) {
		pass(time.Minute)
		l, refused := w.alfa.engine.line("bravo.example"), 0
		s := newSchedule(time.Minute, "alfa.example", "bravo.example")
		send := func(at link.Path) outcome {
			return l.check(t.Context(), s, at, Check{
				Version: Version, From: "alfa.example", To: "bravo.example", Path: way("alfa.example", at), Slot: time.Now().UTC(),
				RSIT: message.TestCode, TextID: "fox", Text: "fox", IntervalSeconds: 60,
			})
		}
		for i := range 4 * maxPaths {
			o := send(link.Path{TrustDomain: "bravo.example", Address: fmt.Sprintf("from-%d:1", i), Accepted: true})
			if strings.Contains(o.Failure, "others were checked") {
				refused++
			}
		}
		kept := 0
		if err := l.each(t.Context(), time.Unix(0, 0), time.Now().Add(time.Hour), func(c store.LineCheck) {
			if c.Direction == store.Out && c.Number == 1 {
				kept++
			}
		}); err != nil {
			t.Fatal(err)
		}
		if kept > 2*maxPaths || refused < 2*maxPaths {
			t.Errorf("%d paths are kept, %d were refused", kept, refused)
		}
		if o := send(link.Path{TrustDomain: "bravo.example", Address: "bravo-3:1"}); strings.Contains(o.Failure, "our own relay") {
			t.Errorf("a path that we dial ourselves is crowded out: %s", o.Failure)
		}
		if o := send(link.Path{TrustDomain: "bravo.example", Address: "alfa-1:1", Accepted: true}); o.Failure != "" {
			t.Errorf("a path that was there before is crowded out: %s", o.Failure)
		}
	})
}
