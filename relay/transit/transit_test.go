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
	"github.com/certlink/certlink/relay/config"
	"github.com/certlink/certlink/relay/link"
	"github.com/certlink/certlink/relay/report"
	"github.com/certlink/certlink/relay/seal"
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

func TestARequestIsTakenOnce(t *testing.T) {
	w := newWorld(t)
	w.setCut(alfa, bravo, true)
	var again *httptest.ResponseRecorder
	w.tamper = func(from, _ string, r *http.Request, serve http.Handler, out http.ResponseWriter) {
		body, _ := io.ReadAll(r.Body)
		r.Body = io.NopCloser(bytes.NewReader(body))
		serve.ServeHTTP(out, r)
		if from == charlie {
			again = httptest.NewRecorder()
			r.Body = io.NopCloser(bytes.NewReader(body))
			serve.ServeHTTP(again, r)
		}
	}
	if _, _, err := w.post(t.Context(), text); err != nil {
		t.Fatal(err)
	}
	if again == nil || again.Code != http.StatusConflict || len(w.nations[bravo].served) != 1 {
		t.Errorf("it was taken %d times, %+v", len(w.nations[bravo].served), again)
	}
}

func TestAClockThatJumpsByADayAndBackLetsNothingInTwice(t *testing.T) {
	w := newWorld(t)
	w.setCut(alfa, bravo, true)
	var replay func() int
	w.tamper = func(from, _ string, r *http.Request, serve http.Handler, out http.ResponseWriter) {
		body, _ := io.ReadAll(r.Body)
		if from == charlie && replay == nil {
			kept := r.Clone(context.WithoutCancel(r.Context()))
			replay = func() int {
				again := httptest.NewRecorder()
				kept.Body = io.NopCloser(bytes.NewReader(body))
				serve.ServeHTTP(again, kept)
				return again.Code
			}
		}
		r.Body = io.NopCloser(bytes.NewReader(body))
		serve.ServeHTTP(out, r)
	}
	clocks := func(ahead time.Duration) {
		for _, n := range w.nations {
			n.ahead = ahead
		}
	}
	if _, _, err := w.post(t.Context(), text); err != nil || replay == nil {
		t.Fatal(err)
	}
	clocks(23 * time.Hour)
	replay()
	if n := len(w.nations[bravo].served); n != 1 {
		t.Errorf("a request of yesterday was taken: %d were", n)
	}
	if _, _, err := w.post(t.Context(), text); err != nil { // which lets go of what is old
		t.Error(err)
	}
	clocks(0)
	if code := replay(); code != http.StatusConflict {
		t.Errorf("after the clock was set back it is answered with %d, want %d", code, http.StatusConflict)
	}
	served := len(w.nations[bravo].served)
	if status, answer, err := w.post(t.Context(), text); err != nil || status != http.StatusCreated {
		t.Errorf("a new request after the clock was set back: %d %q, %v", status, answer, err)
	}
	if n := len(w.nations[bravo].served); n != served+1 {
		t.Errorf("%d requests were served, want one more than %d", n, served)
	}
}

func TestNothingCrossesUnlessAllThreeDeclareIt(t *testing.T) {
	edit := func(td string, change func(c *config.Config)) func(w *world) {
		return func(w *world) {
			n := w.nations[td]
			change(n.config)
			n.engine.Apply(n.config)
		}
	}
	peer := func(c *config.Config, name string) *config.Peer {
		for i := range c.Peers {
			if c.Peers[i].Name == name {
				return &c.Peers[i]
			}
		}
		return nil
	}
	for name, tt := range map[string]struct {
		change func(w *world)
		want   string
	}{
		"the middle denies the sender":     {edit(charlie, func(c *config.Config) { peer(c, "alfa").Transit = config.TransitDenied }), "we carry nothing for alfa.example"},
		"the middle denies the receiver":   {edit(charlie, func(c *config.Config) { peer(c, "bravo").Transit = config.TransitDenied }), "we carry nothing to that peer"},
		"the middle drains the receiver":   {edit(charlie, func(c *config.Config) { peer(c, "bravo").State = config.Drained }), "we carry nothing to that peer"},
		"the middle does not know it":      {edit(charlie, func(c *config.Config) { peer(c, "bravo").TrustDomain = "other.example" }), "we carry nothing to that peer"},
		"the receiver names another":       {edit(bravo, func(c *config.Config) { c.Hotlines[0].Transit = []string{"delta"} }), "does not name it"},
		"the receiver has no hotline":      {edit(bravo, func(c *config.Config) { c.Hotlines = nil }), "does not name it"},
		"the receiver revoked the sender":  {edit(bravo, func(c *config.Config) { peer(c, "alfa").State = config.Revoked }), "does not name it"},
		"the receiver suspends the middle": {edit(bravo, func(c *config.Config) { peer(c, "charlie").State = config.Drained }), "does not name it"},
	} {
		t.Run(strings.ReplaceAll(name, " ", "_"), func(t *testing.T) {
			w := newWorld(t)
			w.setCut(alfa, bravo, true)
			w.setCut(alfa, delta, true)
			tt.change(w)
			_, _, err := w.post(t.Context(), text)
			if err == nil || !strings.Contains(err.Error(), tt.want) || len(w.nations[bravo].served) > 0 {
				t.Errorf("error is %v", err)
			}
		})
	}
}

func TestAForgedRequestIsRefused(t *testing.T) {
	w := newWorld(t)
	forge := func(signer *nation, mods ...func(*request)) []byte {
		once, err := seal.NewPrivateKey()
		if err != nil {
			t.Fatal(err)
		}
		asked := request{
			Version: 1, ID: newID(), From: alfa, To: bravo, Via: charlie, At: time.Now(), Method: http.MethodPost, Path: messages,
			Body: digest([]byte("x")), AnswerKey: once.Public().Bytes(),
		}
		for _, mod := range mods {
			mod(&asked)
		}
		packed, _, err := pack(signer.testIdentity, TypeRequest, asked, []byte("x"))
		if err != nil {
			t.Fatal(err)
		}
		sealed, err := seal.Seal(w.nations[bravo].key.Public(), envelope(purposeRequest, alfa, bravo), packed)
		if err != nil {
			t.Fatal(err)
		}
		return sealed
	}
	good := w.nations[alfa]
	for name, tt := range map[string]struct {
		sealed []byte
		status int
	}{
		"as it should be":            {forge(good), http.StatusOK},
		"signed by the middle":       {forge(w.nations[charlie]), http.StatusForbidden},
		"for another way":            {forge(good, func(r *request) { r.Via = delta }), http.StatusForbidden},
		"for another receiver":       {forge(good, func(r *request) { r.To = delta }), http.StatusForbidden},
		"with another body":          {forge(good, func(r *request) { r.Body = digest([]byte("y")) }), http.StatusForbidden},
		"with an id that is none":    {forge(good, func(r *request) { r.ID = "1" }), http.StatusForbidden},
		"with a long path":           {forge(good, func(r *request) { r.Path = messages + strings.Repeat("x", maxPath) }), http.StatusForbidden},
		"of another version":         {forge(good, func(r *request) { r.Version = 2 }), http.StatusForbidden},
		"with no key for the answer": {forge(good, func(r *request) { r.AnswerKey = nil }), http.StatusBadRequest},
		"nothing sealed":             {[]byte("text"), http.StatusBadRequest},
		"sealed to another":          {mustSeal(t, w.nations[delta].key.Public()), http.StatusUnprocessableEntity},
		"sealed, and nothing in it":  {mustSeal(t, w.nations[bravo].key.Public()), http.StatusForbidden},
		"more than fits":             {make([]byte, maxSealed+1), http.StatusRequestEntityTooLarge},
	} {
		resp, err := w.nations[charlie].direct(bravo).Post("https://"+bravo+PathFrom+alfa, ContentType, bytes.NewReader(tt.sealed))
		if err != nil {
			t.Fatal(err)
		}
		resp.Body.Close()
		if resp.StatusCode != tt.status {
			t.Errorf("%s: %d, want %d", name, resp.StatusCode, tt.status)
		}
	}
	if n := len(w.nations[bravo].served); n != 1 {
		t.Errorf("%d requests were served", n)
	}
}

func mustSeal(t *testing.T, to seal.PublicKey) []byte {
	t.Helper()
	sealed, err := seal.Seal(to, envelope(purposeRequest, alfa, bravo), []byte("x"))
	if err != nil {
		t.Fatal(err)
	}
	return sealed
}

func TestOnlyPathsOfTheHotlineAreReachedAndNoSecondHop(t *testing.T) {
	w := newWorld(t)
	engine := w.nations[bravo].engine
	for _, path := range []string{"/taxii2/", "/metrics", PathTo + delta, PathFrom + delta, "//x" + messages, "https://x" + messages, "/certlink/v1/hotline/../../../taxii2/"} {
		got := engine.act(t.Context(), request{Method: http.MethodPost, Path: path, From: alfa}, nil)
		if got.status != http.StatusNotFound || len(w.nations[bravo].served) > 0 {
			t.Errorf("%s: %d", path, got.status)
		}
	}
}

func TestClocksThatAreFarApartAreNamedToTheSender(t *testing.T) {
	w := newWorld(t)
	w.setCut(alfa, bravo, true)
	w.nations[alfa].ahead = 2 * time.Hour
	status, answer, err := w.post(t.Context(), text)
	if err != nil || status != http.StatusForbidden || !strings.Contains(answer, "clocks") {
		t.Errorf("%d %q, %v", status, answer, err)
	}
}

func FuzzASealedRequestOfAnySortIsRefusedInWords(f *testing.F) {
	f.Add([]byte("\x00\x00\x00\x03e30.x"))
	f.Add([]byte{0xff, 0xff, 0xff, 0xff})
	f.Fuzz(func(t *testing.T, data []byte) {
		if jws, body, err := unpack(data); err == nil && len(jws)+len(body)+4 != len(data) {
			t.Error("bytes are missing")
		}
		if _, _, _, err := openRequest(emptyBundles{}, data, alfa, bravo, charlie, time.Now()); err == nil {
			t.Error("it was taken")
		}
		if _, _, err := openAnswer(emptyBundles{}, data, nil, request{}, time.Now()); err == nil {
			t.Error("it was taken")
		}
	})
}
