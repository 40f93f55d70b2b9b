// SPDX-FileCopyrightText: The certlink authors
// SPDX-License-Identifier: Apache-2.0

package feed

import (
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/certlink/certlink/internal/teststore"
	"github.com/certlink/certlink/relay/access"
	"github.com/certlink/certlink/relay/config"
	"github.com/certlink/certlink/relay/stix"
	"github.com/certlink/certlink/relay/store"
	"github.com/certlink/certlink/relay/store/sqlite"
	"github.com/certlink/certlink/relay/taxii"
)

// TestNoObjectLeavesWithoutARuleThatAllowsIt does random things to an export, step by
// step, and reads as the peer in between. What it reads is compared with an oracle that
// knows nothing but what was pushed and which rule is in force: every object that leaves
// must be allowed by it at that moment, with nothing in it that is to be left out. And
// what the peer keeps, dropping what notices withdraw, must in the end be what the
// rule allows: nothing that it should not have any more, and nothing less.
func TestNoObjectLeavesWithoutARuleThatAllowsIt(t *testing.T) {
	for range 6 {
		seed := rand.Uint64()
		t.Run(fmt.Sprint(seed), func(t *testing.T) { play(t, seed) })
	}
}

func play(t *testing.T, seed uint64) { played(t, seed).compare() }

func played(t *testing.T, seed uint64) *theWorld {
	w := newWorld(t, seed)
	for range 120 {
		switch n := w.IntN(20); {
		case n < 7:
			w.push()
		case n < 9:
			w.delete()
		case n < 11:
			w.change()
		case n < 12:
			w.now = w.now.Add(time.Duration(w.IntN(20)) * 24 * time.Hour)
		case n < 16:
			w.turn()
		default:
			w.peerReads()
		}
	}
	for range 40 { // until all is decided and announced
		w.turn()
	}
	for before := "-"; before != w.after; {
		before = w.after
		w.peerReads()
	}
	return w
}

// thing is an object that was pushed.
type thing struct {
	source, id, typ string
	version         time.Time
	own             []string // markings
	refs            []string
	confidence      int
	raw             string
}

type theWorld struct {
	*rand.Rand
	t      *testing.T
	engine *Engine
	store  *sqlite.Store
	now    time.Time
	conf   *config.Config
	there  map[string]thing // by source, id and version
	// kept is what the peer has, by id and version, and after how far it has read.
	kept  map[string]string
	after string
}

func newWorld(t *testing.T, seed uint64) *theWorld {
	t.Helper()
	w := &theWorld{
		Rand: rand.New(rand.NewPCG(seed, 7)), t: t, now: time.Date(2026, 6, 1, 0, 0, 0, 0, time.UTC),
		conf: alfaConfig(), there: map[string]thing{}, kept: map[string]string{},
	}
	clock := func() time.Time { w.now = w.now.Add(time.Microsecond); return w.now }
	path := filepath.Join(t.TempDir(), "alfa.db")
	teststore.Put(t, path)
	s, err := sqlite.Open(t.Context(), sqlite.Config{Path: path, Now: clock})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.Close() })
	w.store = s
	if w.engine, err = New(Config{Store: s, Client: func(string) *http.Client { return nil }, Now: clock}); err != nil {
		t.Fatal(err)
	}
	w.engine.Apply(w.conf)
	return w
}

var types = []string{"indicator", "report", "identity", "note", "relationship", "malware"}

func (w *theWorld) idOf(n int) (typ, id string) {
	typ = types[n%len(types)]
	return typ, fmt.Sprintf("%s--00000000-0000-4000-8000-%012d", typ, n)
}

// push pushes one object, a new one or another version of one that is there.
func (w *theWorld) push() {
	n := w.IntN(24)
	typ, id := w.idOf(n)
	one := thing{source: []string{"attack", "own"}[w.IntN(2)], id: id, typ: typ, confidence: w.IntN(100), version: w.now.UTC().Truncate(time.Millisecond)}
	w.now = w.now.Add(time.Second)
	members := map[string]any{
		"type": typ, "id": id, "spec_version": "2.1", "created": "2026-01-01T00:00:00.000Z", "modified": stixTime(one.version),
		"name": "secret name", "x_secret": "secret", "confidence": one.confidence,
	}
	pool := []string{clearID, greenID, "marking-definition--f88d31f6-486f-44da-b317-01333bde0b82", redID, "marking-definition--613f2e26-407d-48c7-9eca-b8e91df99dc9", "marking-definition--00000000-0000-4000-8000-000000000000"}
	if w.IntN(3) > 0 {
		one.own = []string{pool[min(w.IntN(8), 5)]}
		if w.IntN(4) == 0 {
			one.own = append(one.own, pool[w.IntN(len(pool))])
		}
		if w.IntN(3) == 0 {
			members["granular_markings"] = []any{map[string]any{"selectors": []string{"x_secret"}, "marking_ref": one.own[0]}}
			members["object_marking_refs"] = one.own[1:]
			if len(one.own) == 1 {
				delete(members, "object_marking_refs")
			}
		} else {
			members["object_marking_refs"] = one.own
		}
	}
	switch typ {
	case "report", "note":
		for range w.IntN(4) {
			_, ref := w.idOf(w.IntN(24))
			one.refs = append(one.refs, ref)
		}
		members["object_refs"] = one.refs
	case "relationship":
		_, members["target_ref"] = w.idOf(2 + 6*w.IntN(4))
		members["relationship_type"] = []string{"targets", "uses"}[w.IntN(2)]
		one.refs = []string{fmt.Sprint(members["relationship_type"]), fmt.Sprint(members["target_ref"])}
	}
	raw, err := json.Marshal(members)
	if err != nil {
		w.t.Fatal(err)
	}
	one.raw = string(raw)
	o, err := stix.Parse(raw)
	if err != nil {
		w.t.Fatal(err)
	}
	outcomes, err := localBackend{w.engine}.Add(w.t.Context(), "threats."+one.source, []stix.Object{o})
	if err != nil {
		w.t.Fatal(err)
	}
	if outcomes[0] == store.Added {
		w.there[one.source+id+stixTime(one.version)] = one
	}
}

func (w *theWorld) delete() {
	_, id := w.idOf(w.IntN(24))
	source := []string{"attack", "own"}[w.IntN(2)]
	if _, err := (localBackend{w.engine}).Delete(w.t.Context(), "threats."+source, store.Query{IDs: []string{id}}); err != nil {
		w.t.Fatal(err)
	}
	for key, one := range w.there {
		if one.id == id && one.source == source {
			delete(w.there, key)
		}
	}
}

// change changes the rule or the redaction.
func (w *theWorld) change() {
	next := alfaConfig()
	x := &next.Exports[0]
	x.Rule.MaxTLP = []string{"CLEAR", "GREEN", "AMBER"}[w.IntN(3)]
	x.Rule.MinConfidence = []int32{0, 0, 50}[w.IntN(3)]
	x.Rule.MaxAgeDays = []int32{0, 0, 10}[w.IntN(3)]
	x.Rule.Types = [][]string{nil, nil, {"indicator", "report", "identity"}}[w.IntN(3)]
	x.Rule.CEL = []string{"", "", `object.confidence % 2 == 0`}[w.IntN(3)]
	x.Redaction.Properties = [][]string{nil, nil, {"x_secret"}}[w.IntN(3)]
	x.Redaction.VictimIdentities = []string{"", config.VictimsStrip}[w.IntN(2)]
	x.Sources[0].UnmarkedAs = []string{"CLEAR", "GREEN", ""}[w.IntN(3)]
	w.conf = next
	w.engine.Apply(next)
}

// turn decides one batch.
func (w *theWorld) turn() {
	p := w.engine.live.Load()
	if _, err := w.engine.exporter.turn(w.t.Context(), p, p.exports[0]); err != nil {
		w.t.Fatal(err)
	}
}

// get makes one request of the peer.
func (w *theWorld) get(path string) *httptest.ResponseRecorder {
	ctx := access.WithPeer(w.t.Context(), access.Peer{Name: "bravo", TrustDomain: bravoTD, State: config.Active, Relay: true})
	r := httptest.NewRequestWithContext(ctx, http.MethodGet, "/taxii2/feeds/collections/threats/"+path, http.NoBody)
	r.Header.Set("Accept", taxii.MediaType)
	answer := httptest.NewRecorder()
	w.engine.LinkHandler().ServeHTTP(answer, r)
	return answer
}

// peerReads reads on from where the peer has come to, some pages.
func (w *theWorld) peerReads() {
	for range 1 + w.IntN(60) {
		query := fmt.Sprintf("objects/?match[version]=all&match[spec_version]=2.0,2.1&limit=%d", 1+w.IntN(8))
		if w.after != "" {
			query += "&added_after=" + w.after
		}
		answer := w.get(query)
		if answer.Code == http.StatusServiceUnavailable {
			return
		}
		if answer.Code != http.StatusOK {
			w.t.Fatalf("the peer is answered %d %s", answer.Code, answer.Body)
		}
		r := stix.NewReader(answer.Body)
		n := 0
		for ; ; n++ {
			o, err := r.Read()
			if err != nil {
				break
			}
			w.receive(o)
		}
		if n == 0 {
			return
		}
		w.after = answer.Header().Get("X-TAXII-Date-Added-Last")
	}
}

// receive is what an importing relay does, and what must hold of each object.
func (w *theWorld) receive(o stix.Object) {
	w.t.Helper()
	if o.CreatedBy == identityID(alfaTD) || o.ID == identityID(alfaTD) {
		for _, d := range (&intake{puller: &puller{Engine: knowing(alfaTD), peer: "alfa"}}).drops(o) {
			delete(w.kept, d.ID+d.Version)
		}
		return
	}
	var found bool
	for _, one := range w.there {
		if one.id != o.ID || !one.version.Equal(o.Version) || !w.allowedAtLeastSoon(one) {
			continue
		}
		found = true
	}
	if !found {
		w.t.Fatalf("left without a rule that allows it: %s\nrule %+v at %v", o.Raw, w.conf.Exports[0], w.now)
	}
	raw := string(o.Raw)
	x := w.conf.Exports[0]
	if slices.Contains(x.Redaction.Properties, "x_secret") && strings.Contains(raw, `"x_secret":"secret"`) {
		w.t.Fatalf("left with what is to be left out: %s", raw)
	}
	key := o.ID + stixTime(o.Version)
	if old, ok := w.kept[key]; ok && old != raw {
		w.t.Fatalf("came a second time with other content, without a withdrawal in between:\n%s\n%s", old, raw)
	}
	w.kept[key] = raw
}
