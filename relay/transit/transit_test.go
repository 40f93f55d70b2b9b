// SPDX-FileCopyrightText: The certlink authors
// SPDX-License-Identifier: Apache-2.0

package transit

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/certlink/certlink/internal/testbubble"
	"github.com/certlink/certlink/relay/link"
	"github.com/certlink/certlink/relay/report"
)

func TestWhileTheDirectPathIsCutARequestGoesThroughAnother(t *testing.T) {
	w := newWorld(t)
	w.setCut(alfa, bravo, true)
	status, answer, err := w.post(t.Context(), text)
	if err != nil || status != http.StatusCreated || answer != "receipt for "+text {
		t.Fatalf("answer is %d %q, %v", status, answer, err)
	}
	want := served{alfa, http.MethodPost, messages + "?a=b", text, "application/jose", true}
	if got := w.nations[bravo].served; len(got) != 1 || got[0] != want {
		t.Errorf("bravo served %v", got)
	}
	for _, wire := range w.seen {
		for _, secret := range []string{text, "messages", "receipt for", "jose"} {
			if bytes.Contains(wire, []byte(secret)) {
				t.Errorf("charlie's wires show %q", secret)
			}
		}
	}
	if len(w.seen) == 0 {
		t.Error("nothing went through charlie")
	}
	h := report.Hotline{Peer: "bravo"}
	w.nations[alfa].engine.Complete(&h)
	if h.Via != "charlie" || len(h.Transit) != 2 || h.Transit[0].State != report.TransitReady || h.Transit[1].State != report.TransitUnproven {
		t.Errorf("report is %+v", h)
	}
}

func TestWithADirectPathNothingGoesThroughOthers(t *testing.T) {
	w := newWorld(t)
	if _, answer, err := w.post(t.Context(), text); err != nil || answer != "receipt for "+text {
		t.Fatal(answer, err)
	}
	if len(w.seen) > 0 {
		t.Error("something went through charlie")
	}
	w.setCut(alfa, bravo, true)
	if _, _, err := w.post(t.Context(), text); err != nil {
		t.Fatal(err)
	}
	w.setCut(alfa, bravo, false)
	n := len(w.seen)
	if _, _, err := w.post(t.Context(), text); err != nil || len(w.seen) != n {
		t.Errorf("after the direct path came back charlie saw %d more, %v", len(w.seen)-n, err)
	}
	h := report.Hotline{Peer: "bravo"}
	if w.nations[alfa].engine.Complete(&h); h.Via != "" {
		t.Errorf("it is said to go through %q", h.Via)
	}
}

func TestFLASHGoesEveryWayAtOnce(t *testing.T) {
	testbubble.Run(t, func(t *testing.T) {
		w := newWorld(t)
		direct := make(chan struct{})
		w.tamper = func(from, to string, r *http.Request, serve http.Handler, out http.ResponseWriter) {
			if from == alfa && to == bravo {
				<-direct // it is slow
			}
			serve.ServeHTTP(out, r)
		}
		begun := time.Now()
		_, answer, err := w.post(link.WithAllPaths(t.Context()), text)
		if err != nil || answer != "receipt for "+text || time.Since(begun) > patience/2 {
			t.Errorf("%q, %v after %s", answer, err, time.Since(begun))
		}
		begun = time.Now()
		if _, _, err = w.post(t.Context(), text); err != nil || time.Since(begun) != patience {
			t.Errorf("another waits %s, %v", time.Since(begun), err)
		}
		close(direct)
		synctest.Wait()
	})
}

// What the peer in the middle may try, and what the sender then knows.
func TestThePeerInTheMiddleCanNeitherAlterForgeNorDrop(t *testing.T) {
	flip := func(b []byte, i int) []byte {
		changed := bytes.Clone(b)
		changed[i] ^= 1
		return changed
	}
	var kept []byte // an answer to an earlier request
	for name, tamper := range map[string]func(r *http.Request, serve http.Handler, out http.ResponseWriter){
		"drops it":                   func(r *http.Request, _ http.Handler, _ http.ResponseWriter) { <-r.Context().Done() },
		"says that it was delivered": func(_ *http.Request, _ http.Handler, out http.ResponseWriter) { out.WriteHeader(http.StatusCreated) },
		"makes up an answer": func(_ *http.Request, _ http.Handler, out http.ResponseWriter) {
			out.Header().Set("Content-Type", ContentType)
			_, _ = io.WriteString(out, "receipt for "+text)
		},
		"returns an older answer": func(r *http.Request, serve http.Handler, out http.ResponseWriter) {
			w := httptest.NewRecorder()
			serve.ServeHTTP(w, r)
			out.Header().Set("Content-Type", ContentType)
			if kept == nil {
				kept = w.Body.Bytes()
				_, _ = out.Write(flip(kept, len(kept)-1))
				return
			}
			_, _ = out.Write(kept)
		},
		"changes the request": func(r *http.Request, serve http.Handler, out http.ResponseWriter) {
			body, _ := io.ReadAll(r.Body)
			r.Body = io.NopCloser(bytes.NewReader(flip(body, len(body)/2)))
			serve.ServeHTTP(out, r)
		},
		"changes the answer": func(r *http.Request, serve http.Handler, out http.ResponseWriter) {
			w := httptest.NewRecorder()
			serve.ServeHTTP(w, r)
			out.Header().Set("Content-Type", w.Header().Get("Content-Type"))
			_, _ = out.Write(flip(w.Body.Bytes(), w.Body.Len()/2))
		},
	} {
		t.Run(strings.ReplaceAll(name, " ", "_"), func(t *testing.T) {
			testbubble.Run(t, func(t *testing.T) {
				w := newWorld(t)
				w.setCut(alfa, bravo, true)
				w.setCut(alfa, delta, true)
				w.tamper = func(from, to string, r *http.Request, serve http.Handler, out http.ResponseWriter) {
					if from == charlie && to == bravo || from == alfa && to == charlie && strings.HasPrefix(name, "says") {
						tamper(r, serve, out)
						return
					}
					serve.ServeHTTP(out, r)
				}
				for range 2 {
					ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
					begun := time.Now()
					_, answer, err := w.post(ctx, text)
					cancel()
					failure, ok := errors.AsType[*link.Error](err)
					if !ok || answer != "" || !strings.Contains(failure.Message, "through charlie.example: ") || !strings.Contains(failure.Message, "through delta.example: ") {
						t.Errorf("answer is %q, %v", answer, err)
					}
					if took := time.Since(begun); took > 10*time.Second {
						t.Errorf("the sender knows after %s", took)
					}
				}
				h := report.Hotline{Peer: "bravo"}
				if w.nations[alfa].engine.Complete(&h); h.Via != "" || h.Transit[0].State != report.TransitFailed || h.Transit[0].Error == "" {
					t.Errorf("report is %+v", h)
				}
			})
		})
	}
}

func TestWhenOnePeerInTheMiddleDropsTheNextIsTried(t *testing.T) {
	testbubble.Run(t, func(t *testing.T) {
		w := newWorld(t)
		w.setCut(alfa, bravo, true)
		w.tamper = func(from, _ string, r *http.Request, serve http.Handler, out http.ResponseWriter) {
			if from == charlie {
				<-r.Context().Done()
				return
			}
			serve.ServeHTTP(out, r)
		}
		_, answer, err := w.post(t.Context(), text)
		if err != nil || answer != "receipt for "+text || len(w.nations[bravo].served) != 1 {
			t.Errorf("%q, %v", answer, err)
		}
	})
}
