// SPDX-FileCopyrightText: The certlink authors
// SPDX-License-Identifier: Apache-2.0

package transit

import (
	"bytes"
	"io"
	"net/http"
	"net/http/httptest"
	"testing"
	"testing/synctest"
	"time"

	"github.com/certlink/certlink/internal/testbubble"
	"github.com/certlink/certlink/relay/link"
)

// aLittle before the time of a way is over.
const aLittle = 100 * time.Millisecond

// slowly lets charlie answer just before its time is over, and counts what it carries.
func slowly(w *world, carried *int) {
	w.tamper = func(from, to string, r *http.Request, serve http.Handler, out http.ResponseWriter) {
		if from == alfa && to == charlie {
			*carried++
			select {
			case <-time.After(routeTime - aLittle):
			case <-r.Context().Done():
				return
			}
		}
		serve.ServeHTTP(out, r)
	}
}

func TestAPeerInTheMiddleThatDelaysHoldsNothingUpForLonger(t *testing.T) {
	testbubble.Run(t, func(t *testing.T) {
		w := newWorld(t)
		w.setCut(alfa, bravo, true)
		var carried int
		slowly(w, &carried)
		for range 3 {
			begun := time.Now()
			_, answer, err := w.post(t.Context(), text)
			if took := time.Since(begun); err != nil || answer != "receipt for "+text || took > routeTime {
				t.Errorf("%q, %v after %s", answer, err, took)
			}
		}
		begun := time.Now()
		_, answer, err := w.post(link.WithAllPaths(t.Context()), text)
		if took := time.Since(begun); err != nil || answer != "receipt for "+text || took > time.Second {
			t.Errorf("FLASH: %q, %v after %s", answer, err, took)
		}
		synctest.Wait()
		if carried != 4 {
			t.Errorf("charlie got %d requests", carried)
		}
	})
}

// TestWhatComesBackCutOrInAnotherOrderIsNoAnswer lets charlie cut, exchange, double and lengthen the answers of bravo.
func TestWhatComesBackCutOrInAnotherOrderIsNoAnswer(t *testing.T) {
	var last []byte // bravo's answer to the request before
	for name, change := range map[string]func(answer []byte) []byte{
		"cut":           func(a []byte) []byte { return a[:len(a)-1] },
		"cut_to_half":   func(a []byte) []byte { return a[:len(a)/2] },
		"nothing":       func([]byte) []byte { return nil },
		"doubled":       func(a []byte) []byte { return append(bytes.Clone(a), a...) },
		"lengthened":    func(a []byte) []byte { return append(bytes.Clone(a), 0) },
		"out_of_order":  func(a []byte) []byte { before := last; last = bytes.Clone(a); return before },
		"without_end":   func(a []byte) []byte { return append(bytes.Clone(a), make([]byte, maxSealed)...) },
		"the_beginning": func(a []byte) []byte { return a[1:] },
	} {
		t.Run(name, func(t *testing.T) {
			testbubble.Run(t, func(t *testing.T) {
				w := newWorld(t)
				w.setCut(alfa, bravo, true)
				w.setCut(alfa, delta, true)
				w.tamper = func(from, to string, r *http.Request, serve http.Handler, out http.ResponseWriter) {
					if from != charlie || to != bravo {
						serve.ServeHTTP(out, r)
						return
					}
					kept := httptest.NewRecorder()
					serve.ServeHTTP(kept, r)
					out.Header().Set("Content-Type", kept.Header().Get("Content-Type"))
					_, _ = out.Write(change(kept.Body.Bytes()))
				}
				for range 2 {
					begun := time.Now()
					_, answer, err := w.post(t.Context(), text)
					if took := time.Since(begun); err == nil || answer != "" || took > routeTime {
						t.Errorf("%q, %v after %s", answer, err, took)
					}
				}
				// With another way the message gets through, and is stored once more at most.
				w.setCut(alfa, delta, false)
				if _, answer, err := w.post(t.Context(), text); err != nil || answer != "receipt for "+text {
					t.Errorf("by another way: %q, %v", answer, err)
				}
				synctest.Wait()
			})
		})
	}
}

// TestAPeerInTheMiddleThatSendsItsAnswerSlowlyIsLeft sends one byte a second, so that it is under way all the time.
func TestAPeerInTheMiddleThatSendsItsAnswerSlowlyIsLeft(t *testing.T) {
	testbubble.Run(t, func(t *testing.T) {
		w := newWorld(t)
		w.setCut(alfa, bravo, true)
		w.nations[alfa].slow = map[string]bool{charlie: true}
		begun := time.Now()
		_, answer, err := w.post(t.Context(), text)
		if took := time.Since(begun); err != nil || answer != "receipt for "+text || took > routeTime+time.Second {
			t.Errorf("%q, %v after %s", answer, err, took)
		}
		synctest.Wait()
	})
}

// dripping is a body that comes byte by byte.
type dripping struct {
	from io.Reader
	r    *http.Request
}

// Read implements io.Reader.
func (d *dripping) Read(p []byte) (int, error) {
	select {
	case <-time.After(time.Second):
		return d.from.Read(p[:min(1, len(p))])
	case <-d.r.Context().Done():
		return 0, d.r.Context().Err()
	}
}

// Close implements io.Closer.
func (*dripping) Close() error { return nil }
