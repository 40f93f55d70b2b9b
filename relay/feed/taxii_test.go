// SPDX-FileCopyrightText: The certlink authors
// SPDX-License-Identifier: Apache-2.0

package feed

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/certlink/certlink/relay/access"
	"github.com/certlink/certlink/relay/config"
	"github.com/certlink/certlink/relay/report"
	"github.com/certlink/certlink/relay/store"
)

const statementID = "marking-definition--00000000-0000-4000-8000-000000000077"

// versionOf is a version of an indicator, with markings.
func versionOf(n, day int, markings ...string) string {
	return strings.Replace(indicator(n, markings...), `"modified":"2026-01-01`, fmt.Sprintf(`"modified":"2026-01-%02d`, day), 1)
}

func indicatorID(n int) string {
	return fmt.Sprintf("indicator--00000000-0000-4000-8000-%012d", n)
}

// peerAsks makes a request at the link port.
func peerAsks(t *testing.T, n *nation, method, path string) (status int, body string) {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), method, "https://"+alfaTD+"/taxii2/feeds/collections/threats/"+path, http.NoBody)
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Accept", "application/taxii+json;version=2.1")
	resp, err := (&http.Client{Transport: to(n)}).Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = resp.Body.Close() }()
	text, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return resp.StatusCode, string(text)
}

// asked is alfa on its own, with bravo asking.
func asked(t *testing.T, wrap func(Store) Store) *nation {
	t.Helper()
	alfa := sideOn(t, t.TempDir()+"/alfa.db", http.DefaultTransport, wrap)
	alfa.Apply(alfaConfig())
	alfa.asking.Store(&access.Peer{Name: "bravo", TrustDomain: bravoTD, State: config.Active})
	return alfa
}

func plainStore(s Store) Store { return s }

func decided(t *testing.T, n *nation, stored int64) {
	t.Helper()
	eventually(t, "all is decided", func() bool { e := exportOf(t, n); return e.Stored == stored && e.Undecided == 0 })
}

// TestHeldIsNowhere: what the rule holds shows in no answer, whatever is asked.
func TestHeldIsNowhere(t *testing.T) {
	alfa := asked(t, plainStore)
	push(t, alfa, "own", envelope(versionOf(1, 1, clearID), versionOf(1, 2, redID), versionOf(2, 1, redID)))
	decided(t, alfa, 3)
	const all = "match[version]=all&match[spec_version]=2.0,2.1"
	for name, tt := range map[string]struct {
		path   string
		status int
	}{
		"objects":                    {"objects/?" + all, 200},
		"last_versions":              {"objects/", 200},
		"manifest":                   {"manifest/?" + all, 200},
		"last_versions_in_manifest":  {"manifest/", 200},
		"object":                     {"objects/" + indicatorID(1) + "/?" + all, 200},
		"last_version_of_object":     {"objects/" + indicatorID(1) + "/", 200},
		"versions":                   {"objects/" + indicatorID(1) + "/versions/", 200},
		"a_held_object":              {"objects/" + indicatorID(2) + "/", 404},
		"all_of_a_held_object":       {"objects/" + indicatorID(2) + "/?" + all, 404},
		"versions_of_a_held_object":  {"objects/" + indicatorID(2) + "/versions/", 404},
		"an_object_that_never_was":   {"objects/" + indicatorID(3) + "/", 404},
		"deleting_what_is_shared":    {"objects/" + indicatorID(1) + "/", 403},
		"deleting_what_is_held":      {"objects/" + indicatorID(2) + "/", 403},
		"deleting_what_never_was":    {"objects/" + indicatorID(3) + "/", 403},
		"the_held_version_by_time":   {"objects/?match[version]=2026-01-02T00:00:00Z", 200},
		"the_held_version_of_object": {"objects/" + indicatorID(1) + "/?match[version]=2026-01-02T00:00:00Z", 404},
		"a_version_that_never_was":   {"objects/" + indicatorID(1) + "/?match[version]=2026-01-09T00:00:00Z", 404},
	} {
		t.Run(name, func(t *testing.T) {
			method := http.MethodGet
			if strings.HasPrefix(name, "deleting") {
				method = http.MethodDelete
			}
			status, body := peerAsks(t, alfa, method, tt.path)
			if status != tt.status || strings.Contains(body, "2026-01-02") || strings.Contains(body, indicatorID(2)) {
				t.Errorf("answer = %d %s", status, body)
			}
			shows := strings.Contains(body, indicatorID(1)) || strings.Contains(body, "2026-01-01T00:00:00.000000Z")
			if want := status == 200 && !strings.HasPrefix(name, "the_held"); shows != want {
				t.Errorf("it shows the shared version: %v, want %v; %s", shows, want, body)
			}
		})
	}
	for _, object := range []int{2, 3} {
		_, held := peerAsks(t, alfa, http.MethodGet, "objects/"+indicatorID(object)+"/")
		_, never := peerAsks(t, alfa, http.MethodGet, "objects/"+indicatorID(9)+"/")
		if held != never {
			t.Errorf("a held object answers %s, one that never was %s", held, never)
		}
	}
}

func TestImportKeepsAllVersions(t *testing.T) {
	alfa, bravo := pair(t)
	all := []string{
		versionOf(1, 1, clearID), versionOf(1, 3, clearID), versionOf(1, 2, clearID),
		strings.Replace(versionOf(1, 4, clearID), `"spec_version":"2.1"`, `"spec_version":"2.0"`, 1),
	}
	push(t, alfa, "own", envelope(all...))
	eventually(t, "bravo has all versions", func() bool { return importOf(t, bravo).Stored == int64(len(all)) })
	if status := local(t, bravo, http.MethodDelete, "/taxii2/local/collections/from-alfa/objects/"+indicatorID(1)+"/", http.NoBody).StatusCode; status != http.StatusForbidden {
		t.Errorf("deleting from an import answers %d", status)
	}
}

func TestDeletedIsGone(t *testing.T) {
	alfa := asked(t, plainStore)
	push(t, alfa, "own", envelope(versionOf(1, 1, clearID), versionOf(1, 2, clearID), versionOf(2, 1, clearID), versionOf(3, 1, redID)))
	decided(t, alfa, 4)
	remove := func(id, query string, want int) {
		t.Helper()
		path := "/taxii2/local/collections/threats.own/objects/" + id + "/" + query
		if got := local(t, alfa, http.MethodDelete, path, http.NoBody).StatusCode; got != want {
			t.Errorf("deleting %s%s = %d, want %d", id, query, got, want)
		}
	}
	remove(indicatorID(1), "?match[version]=all", http.StatusOK)
	if status, body := peerAsks(t, alfa, http.MethodGet, "objects/"+indicatorID(1)+"/"); status != http.StatusNotFound {
		t.Errorf("the peer is answered %d %s", status, body)
	}
	if _, body := peerAsks(t, alfa, http.MethodGet, "manifest/?match[version]=all"); strings.Contains(body, indicatorID(1)) || !strings.Contains(body, indicatorID(2)) {
		t.Errorf("manifest = %s", body)
	}
	remove(indicatorID(3), "", http.StatusOK)
	remove(indicatorID(1), "", http.StatusNotFound)
	want := report.Export{Name: "threats", Stored: 1, Peers: []report.ExportPeer{{Peer: "bravo", Shared: 1}}}
	eventually(t, "alfa counts what is left", func() bool { return cmp.Equal(exportOf(t, alfa), want) })
	if got := collected(t, alfa, "threats.own"); !cmp.Equal(got, []string{versionOf(2, 1, clearID)}) {
		t.Errorf("left = %v", got)
	}
}

// TestDeletedStatementIsUnknownAgain: a text that nobody can read any more must
// not let pass what it marks.
func TestDeletedStatementIsUnknownAgain(t *testing.T) {
	alfa := asked(t, plainStore)
	statement := `{"type":"marking-definition","spec_version":"2.1","id":"` + statementID +
		`","created":"2026-01-01T00:00:00Z","definition_type":"statement","definition":{"statement":"Copyright alfa"},"object_marking_refs":["` + clearID + `"]}`
	push(t, alfa, "own", envelope(statement, indicator(1, statementID, clearID), indicator(2, clearID)))
	decided(t, alfa, 3)
	_, body := peerAsks(t, alfa, http.MethodGet, "objects/")
	if !strings.Contains(body, `"id":"`+indicatorID(1)+`","created"`) {
		t.Fatalf("with its statement = %s", body)
	}
	if resp := local(t, alfa, http.MethodDelete, "/taxii2/local/collections/threats.own/objects/"+statementID+"/", http.NoBody); resp.StatusCode != http.StatusOK {
		t.Fatalf("deleting the statement = %d", resp.StatusCode)
	}
	for range 20 {
		if _, body := peerAsks(t, alfa, http.MethodGet, "objects/"); strings.Contains(body, `"id":"`+indicatorID(1)+`","created"`) {
			t.Fatalf("without its statement = %s", body)
		}
	}
	eventually(t, "the other is shown", func() bool {
		_, body := peerAsks(t, alfa, http.MethodGet, "objects/")
		return strings.Contains(body, `"id":"`+indicatorID(2)+`","created"`) && !strings.Contains(body, `"id":"`+indicatorID(1)+`","created"`)
	})
}

// deleting deletes an object between the look for undecided records and the decision.
type deleting struct {
	Store
	id string
}

func (d *deleting) Decide(ctx context.Context, v store.View, decisions []store.Decision) error {
	if _, err := d.DeleteObjects(ctx, sourceName("threats", "own"), store.Query{IDs: []string{d.id}, Limit: 1}); err != nil {
		return err
	}
	return d.Store.Decide(ctx, v, decisions)
}

func TestDeletedWhileItIsDecided(t *testing.T) {
	alfa := asked(t, func(s Store) Store { return &deleting{Store: s, id: indicatorID(1)} })
	push(t, alfa, "own", envelope(indicator(1, clearID), indicator(2, clearID)))
	want := report.Export{Name: "threats", Stored: 1, Peers: []report.ExportPeer{{Peer: "bravo", Shared: 1}}}
	eventually(t, "the other is shared, and nothing has failed", func() bool {
		got := exportOf(t, alfa)
		if got.Error != "" {
			t.Fatal(got.Error)
		}
		return cmp.Equal(got, want)
	})
}
