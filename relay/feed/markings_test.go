// SPDX-FileCopyrightText: The certlink authors
// SPDX-License-Identifier: Apache-2.0

package feed

import (
	"context"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"slices"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/certlink/certlink/relay/access"
	"github.com/certlink/certlink/relay/config"
	"github.com/certlink/certlink/relay/store"
	"github.com/certlink/certlink/relay/taxii"
)

// statement is a plain statement marking with more members.
func statement(n, members string) string {
	return `{"type":"marking-definition","spec_version":"2.1","id":"marking-definition--5ca1ab1e-0000-4000-8000-00000000000` + n +
		`","created":"2026-01-01T00:00:00.000Z","definition_type":"statement","definition":{"statement":"Copyright"}` + members + `}`
}

// asPeer asks the link port as a peer.
func asPeer(t *testing.T, n *nation, p access.Peer, path string) (int, []byte) {
	t.Helper()
	r := httptest.NewRequestWithContext(access.WithPeer(t.Context(), p), http.MethodGet, path, http.NoBody)
	r.Header.Set("Accept", taxii.MediaType)
	w := httptest.NewRecorder()
	n.LinkHandler().ServeHTTP(w, r)
	return w.Code, w.Body.Bytes()
}

// sparse is a store whose first page of a selection holds nothing, as that of few among very many may. It counts
// the pages that are asked for without naming what is meant.
type sparse struct {
	Store
	pages atomic.Int64
}

func (s *sparse) HandOut(ctx context.Context, v store.View, collections []string, q store.Query) (store.Page, error) {
	if len(q.IDs) == 0 {
		s.pages.Add(1)
	}
	if q.NoContent && len(q.Types) > 0 && q.After == 0 {
		return store.Page{Next: 1}, nil
	}
	return s.Store.HandOut(ctx, v, collections, q)
}

// TestAPeerIsToldAMarkingThatStandsBehindVeryManyObjects, which are not gone through for it.
func TestAPeerIsToldAMarkingThatStandsBehindVeryManyObjects(t *testing.T) {
	s := &sparse{}
	alfa := sideOn(t, filepath.Join(t.TempDir(), "alfa.db"), http.DefaultTransport, func(inner Store) Store { s.Store = inner; return s })
	alfa.Apply(alfaConfig())
	push(t, alfa, "attack", envelope(statement("1", "")))
	eventually(t, "alfa has decided", func() bool { e := exportOf(t, alfa); return e.Stored == 1 && e.Undecided == 0 })
	s.pages.Store(0)
	m, err := linkBackend{alfa.Engine}.Markings(access.WithPeer(t.Context(), access.Peer{Name: "bravo", TrustDomain: bravoTD, State: config.Active}), "threats")
	if err != nil || s.pages.Load() > 0 || !slices.Contains(m.MarkingRefs, "marking-definition--5ca1ab1e-0000-4000-8000-000000000001") {
		t.Errorf("%+v, %v, after %d pages of everything", m, err, s.pages.Load())
	}
}

// TestAPeerIsToldItsMarkings: what the rule lets it see, and nothing of what it holds
// or of whom else it serves.
func TestAPeerIsToldItsMarkings(t *testing.T) {
	alfa, _ := pair(t)
	push(t, alfa, "attack", envelope(statement("1", ""), statement("2", `,"object_marking_refs":["`+redID+`"]`)))
	eventually(t, "alfa has decided", func() bool { e := exportOf(t, alfa); return e.Stored == 2 && e.Undecided == 0 })
	bravo := access.Peer{Name: "bravo", TrustDomain: bravoTD, State: config.Active}
	_, body := asPeer(t, alfa, bravo, "/taxii2/feeds/collections/threats/")
	var c taxii.Collection
	if err := json.Unmarshal(body, &c); err != nil || c.Markings == "" {
		t.Fatalf("collection = %s, %v", body, err)
	}
	status, body := asPeer(t, alfa, bravo, c.Markings)
	var got taxii.Markings
	if err := json.Unmarshal(body, &got); err != nil || status != http.StatusOK {
		t.Fatalf("%d %s, %v", status, body, err)
	}
	want := taxii.Markings{TLPLevels: []string{"CLEAR", "GREEN"}, MarkingRefs: []string{
		clearID, "marking-definition--613f2e26-407d-48c7-9eca-b8e91df99dc9", greenID, "marking-definition--34098fce-860f-48ae-8e50-ebd3cc5e41da",
		"marking-definition--5ca1ab1e-0000-4000-8000-000000000001",
	}}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("markings (-want +got):\n%s", diff)
	}
	for _, secret := range []string{"charlie", "bravo", "5ca1ab1e-0000-4000-8000-000000000002", redID} {
		if strings.Contains(string(body), secret) {
			t.Errorf("%s stands in %s", secret, body)
		}
	}
	if status, _ := asPeer(t, alfa, access.Peer{Name: "charlie", TrustDomain: charlieTD, State: config.Active}, c.Markings); status != http.StatusNotFound {
		t.Errorf("whom the export does not name: %d", status)
	}
	resp := local(t, alfa, http.MethodGet, "/taxii2/local/collections/threats.own/markings/", http.NoBody)
	if resp.StatusCode != http.StatusNotFound {
		t.Errorf("on the local port: %d", resp.StatusCode)
	}
}
