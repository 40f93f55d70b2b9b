// SPDX-FileCopyrightText: The certlink authors
// SPDX-License-Identifier: Apache-2.0

package transit

import (
	"bytes"
	"context"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/certlink/certlink/relay/config"
	"github.com/certlink/certlink/relay/seal"
)

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
