// SPDX-FileCopyrightText: The certlink authors
// SPDX-License-Identifier: Apache-2.0

package attachment

import (
	"bytes"
	"errors"
	"net/http"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/certlink/certlink/internal/testbubble"
	"github.com/certlink/certlink/relay/message"
	"github.com/certlink/certlink/relay/store"
)

// The line is cut in the middle of a file, for months, and both relays are down for most of them. What the
// waiting message names stays here; the half that nobody there can name is let go of, and comes again.
func TestAFileWaitsForMonthsWithItsMessage(t *testing.T) {
	testbubble.Run(t, func(t *testing.T) {
		w := newWorld(t)
		content, a := file("evidence", 3<<20)
		stray, b := file("stray", 100<<10)
		w.alfa.upload(content, a, store.MaxChunk)
		w.alfa.upload(stray, b, store.MaxChunk)
		w.alfa.sent("m", "ROUTINE", a)
		var chunks atomic.Int32
		w.faults(func(r *http.Request, answered bool) error {
			if r.Method == http.MethodPut && !answered && chunks.Add(1) > 1 {
				return errors.New("the link is down")
			}
			return nil
		})
		for chunks.Load() < 2 {
			if ok, err := w.alfa.engine.Ready(t.Context(), "bravo.example", []message.Attachment{a}); ok || err != nil {
				t.Fatalf("ready: %v, %v", ok, err)
			}
			<-afterRest()
			synctest.Wait()
		}
		if got := w.bravo.stored(a); got.Stored == 0 || got.Complete {
			t.Fatalf("bravo has %+v", got)
		}
		for range 7 {
			w.alfa.kill()
			w.bravo.kill()
			<-time.After(30 * 24 * time.Hour)
			w.alfa.start()
			w.bravo.start()
			<-time.After(2 * sweepEvery)
		}
		if got := w.bravo.stored(a); got.Stored != 0 {
			t.Errorf("bravo keeps a part that no message names: %+v", got)
		}
		lost := store.AttachmentKey{Direction: store.Out, Peer: "bravo.example", SHA256: sumOf(t, b)}
		if got, err := w.alfa.store.GetAttachment(t.Context(), lost); !errors.Is(err, store.ErrNotFound) {
			t.Errorf("alfa keeps what no message names: %+v, %v", got, err)
		}
		w.faults(nil)
		w.alfa.await(a)
		if err := w.bravo.received("m", 1, a); err != nil {
			t.Fatal(err)
		}
		if !bytes.Equal(w.bravo.download(store.In, "m", a), content) {
			t.Error("the content changed on its way")
		}
	})
}
