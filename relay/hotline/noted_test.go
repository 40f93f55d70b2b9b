// SPDX-FileCopyrightText: The certlink authors
// SPDX-License-Identifier: Apache-2.0

package hotline

import (
	"fmt"
	"testing"
	"testing/synctest"

	"golang.org/x/mod/sumdb/tlog"

	"github.com/certlink/certlink/relay/store"
)

// TestWhatThePeerHoldsIsNotNotedForEachEntry: the states that follow what is noted lead a courier there as well. After the
// peer was found to hold less, what is noted is wrong, and noted again at once.
func TestWhatThePeerHoldsIsNotNotedForEachEntry(t *testing.T) {
	bubble(t, "and_at_once_where_nothing_is_known", func(t *testing.T, w *world) {
		w.quiet()
		var v leaving
		for _, step := range []struct {
			forget    bool
			confirmed int64
			want      int64
		}{
			{confirmed: 1, want: 1},
			{confirmed: unnoted, want: 1},
			{confirmed: unnoted + 1, want: unnoted + 1},
			{confirmed: unnoted + 2, want: unnoted + 1},
			{forget: true, confirmed: 2, want: 2},
			{confirmed: 100, want: 100},
		} {
			if step.forget {
				v.forget()
			}
			v.confirm(tlog.Tree{N: step.confirmed})
			if err := w.alfa.life().store.ChangeLine(t.Context(), "bravo.example", v.note); err != nil {
				t.Fatal(err)
			}
			if err := w.alfa.life().store.ReadLine(t.Context(), "bravo.example", func(r store.LineReader) error {
				held, err := r.PeerHeld()
				if held != step.want {
					err = fmt.Errorf("%d entries are noted of %d, want %d: %w", held, step.confirmed, step.want, err)
				}
				return err
			}); err != nil {
				t.Error(err)
			}
		}
	})
}

// TestACourierLeadsToWhatThePeerHoldsAndIsNotNoted exchanges one message more each time, so that all distances
// between what is noted and what the peer holds come up.
func TestACourierLeadsToWhatThePeerHoldsAndIsNotNoted(t *testing.T) {
	for messages := 1; messages <= 2*unnoted; messages++ {
		bubble(t, fmt.Sprint("after_", messages, "_messages"), func(t *testing.T, w *world) {
			for range messages {
				w.alfa.send(request("", "by wire"))
				w.quiet()
			}
			w.faults(func(s step) outcome {
				if s.what == "request" {
					return fails
				}
				return works
			})
			w.alfa.kill()
			w.alfa.start()
			w.alfa.send(request("", "by hand"))
			synctest.Wait() // what goes by wire has failed
			byHand(t, w.alfa, w.bravo)
			if got := len(w.bravo.list(store.In)); got != messages+1 {
				t.Errorf("bravo has %d messages, want %d", got, messages+1)
			}
		})
	}
}
