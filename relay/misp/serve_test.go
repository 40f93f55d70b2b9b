// SPDX-FileCopyrightText: The certlink authors
// SPDX-License-Identifier: Apache-2.0

package misp

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/certlink/certlink/relay/config"
	"github.com/certlink/certlink/relay/rule"
	"github.com/certlink/certlink/relay/store"
	"github.com/certlink/certlink/relay/store/sqlite"
)

// shop serves the import "bravo" as a MISP feed, from a store whose clock is ours.
type shop struct {
	t     *testing.T
	clock time.Time
	store *sqlite.Store
	*Server
}

func newShop(t *testing.T) *shop {
	t.Helper()
	s := &shop{t: t, clock: time.Date(2026, 1, 2, 23, 0, 0, 0, time.UTC)}
	var err error
	now := func() time.Time { return s.clock }
	if s.store, err = sqlite.Open(t.Context(), sqlite.Config{Path: filepath.Join(t.TempDir(), "db"), Now: now}); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.store.Close() })
	s.Server, err = NewServer(ServerConfig{Store: s.store, Collection: func(n string) string { return "import/" + n }, Now: now})
	if err != nil {
		t.Fatal(err)
	}
	s.Apply(&config.Config{
		Peers:   []config.Peer{{Name: "bravo", DisplayName: "CERT Bravo"}},
		Imports: []config.Import{{Name: "bravo", Peer: "bravo", Deliveries: []config.Delivery{{Name: "misp", MISP: &config.MISPDelivery{}}}}},
	})
	return s
}

func (s *shop) put(raw ...string) {
	s.t.Helper()
	var list []store.Object
	for _, r := range raw {
		var m struct {
			ID       string    `json:"id"`
			Type     string    `json:"type"`
			Modified time.Time `json:"modified"`
		}
		if err := json.Unmarshal([]byte(r), &m); err != nil {
			s.t.Fatal(err)
		}
		list = append(list, store.Object{ID: m.ID, Type: m.Type, SpecVersion: "2.1", Version: m.Modified, Raw: []byte(r)})
	}
	if _, err := s.store.PutObjects(s.t.Context(), "import/bravo", list, ""); err != nil {
		s.t.Fatal(err)
	}
	s.clock = s.clock.Add(5 * time.Second)
}

func indicatorText(n, version int, pattern string, level rule.Level, more string) string {
	marking := ""
	if level > 0 {
		marking = fmt.Sprintf(`,"object_marking_refs":[%q]`, markingIDs[level])
	}
	return fmt.Sprintf(`{"type":"indicator","spec_version":"2.1","id":"indicator--5c0d1e2f-0000-4000-8000-%012d","created":"2026-01-01T00:00:00.000Z","modified":"2026-01-02T00:00:%02d.000Z",`+
		`"pattern_type":"stix","pattern":%q,"valid_from":"2026-01-01T00:00:00Z"%s%s}`, n, version, pattern, marking, more)
}

func reportText(version int, refs ...int) string {
	var list []string
	for _, n := range refs {
		list = append(list, fmt.Sprintf(`"indicator--5c0d1e2f-0000-4000-8000-%012d"`, n))
	}
	return fmt.Sprintf(`{"type":"report","spec_version":"2.1","id":"report--5c0d1e2f-0000-4000-8000-00000000000a","created":"2026-01-01T00:00:00.000Z","modified":"2026-01-02T00:00:%02d.000Z",`+
		`"name":"Campaign X","published":"2026-01-01T00:00:00Z","object_refs":[%s],"object_marking_refs":[%q]}`, version, strings.Join(list, ","), markingIDs[rule.Green])
}

// get reads a file.
func (s *shop) get(file string, header ...string) *httptest.ResponseRecorder {
	s.t.Helper()
	mux := http.NewServeMux()
	mux.Handle("GET "+Path, s)
	r := httptest.NewRequestWithContext(s.t.Context(), http.MethodGet, "/misp/bravo/misp/"+file, nil)
	for i := 0; i+1 < len(header); i += 2 {
		r.Header.Set(header[i], header[i+1])
	}
	w := httptest.NewRecorder()
	mux.ServeHTTP(w, r)
	return w
}

// feed is the directory as a reader of feeds sees it.
func (s *shop) feed() Feed {
	return Feed{Get: func(_ context.Context, name string, _ int64) (io.ReadCloser, error) {
		w := s.get(name)
		if w.Code != http.StatusOK {
			return nil, fmt.Errorf("%s: %d %s", name, w.Code, w.Body)
		}
		return io.NopCloser(w.Body), nil
	}}
}

// events are the attributes by title of event.
func (s *shop) events() map[string][]string {
	s.t.Helper()
	var manifest map[string]entryOf
	if err := json.Unmarshal(s.get("manifest.json").Body.Bytes(), &manifest); err != nil {
		s.t.Fatal(err)
	}
	all := map[string][]string{}
	for uuid, e := range manifest {
		var event struct {
			Event struct{ Attribute []Attribute }
		}
		if err := json.Unmarshal(s.get(uuid+".json").Body.Bytes(), &event); err != nil {
			s.t.Fatal(err)
		}
		list := []string{}
		for _, a := range event.Event.Attribute {
			text := a.Type + "=" + a.Value
			for _, t := range a.Tags {
				text += " " + t.Name
			}
			if a.Deleted {
				text += " deleted"
			}
			list = append(list, text)
		}
		all[e.Info] = list
	}
	return all
}

func TestADirectoryHasAnEventForEachReportAndOneForEachDay(t *testing.T) {
	s := newShop(t)
	s.put(indicatorText(1, 1, "[domain-name:value = 'one.example']", rule.Green, ""), indicatorText(2, 1, "[domain-name:value = 'two.example']", 0, ""),
		indicatorText(3, 1, "[domain-name:value = 'three.example']", rule.Red, ""), reportText(1, 1))
	s.clock = s.clock.Add(2 * time.Hour)
	s.put(indicatorText(4, 1, "[domain-name:value = 'four.example']", rule.Clear, ""))
	want := map[string][]string{
		"Campaign X":       {"domain=one.example tlp:green"},
		"bravo 2026-01-02": {"domain=two.example", "domain=three.example tlp:red"},
		"bravo 2026-01-03": {"domain=four.example tlp:clear"},
	}
	if diff := cmp.Diff(want, s.events()); diff != "" {
		t.Error(diff)
	}
	// A later version stays in the event of the day on which the object came first.
	s.put(indicatorText(2, 2, "[domain-name:value = 'two.example']", rule.Amber, `,"revoked":true`), reportText(2, 1, 3))
	want["bravo 2026-01-02"] = []string{"domain=two.example tlp:amber deleted"}
	want["Campaign X"] = []string{"domain=one.example tlp:green", "domain=three.example tlp:red"}
	if diff := cmp.Diff(want, s.events()); diff != "" {
		t.Error(diff)
	}
}

func TestADirectoryIsAFeedThatComesBackAsItWas(t *testing.T) {
	s := newShop(t)
	s.put(indicatorText(1, 1, "[domain-name:value = 'one.example']", rule.Green, ""), indicatorText(2, 1, "[ipv4-addr:value = '192.0.2.1']", 0, ""))
	got, cursor, c := pulled(t, s.feed(), "")
	if c.lost != 0 || len(got) != 1 {
		t.Fatalf("%d lost of %d events", c.lost, len(got))
	}
	levels := map[rule.Level]int{}
	for _, list := range got {
		for _, o := range list {
			if o.Type == "indicator" {
				levels[levelOf(t, o)]++
			}
		}
	}
	// What carries no marking is ours alone.
	if diff := cmp.Diff(map[rule.Level]int{rule.Green: 1, rule.AmberStrict: 1}, levels); diff != "" {
		t.Error(diff)
	}
	// With the checksums of what was read in the manifest, the same is read, and nothing anew.
	if !strings.Contains(s.get("manifest.json").Body.String(), `"integrity:sha256":"`) {
		t.Error("the manifest has no checksum")
	}
	if again, _, _ := pulled(t, s.feed(), ""); len(again) != 1 || again == nil {
		t.Errorf("%d events with checksums", len(again))
	}
	if again, _, _ := pulled(t, s.feed(), cursor); len(again) != 0 {
		t.Errorf("%d events again", len(again))
	}
	s.put(indicatorText(1, 2, "[domain-name:value = 'one.example']", rule.Green, `,"revoked":true`))
	again, _, _ := pulled(t, s.feed(), cursor)
	if len(again) != 1 {
		t.Errorf("%d events after a change", len(again))
	}
}

func TestFilesAreNotSentTwice(t *testing.T) {
	s := newShop(t)
	s.put(indicatorText(1, 1, "[file:hashes.MD5 = 'aa' AND file:name = 'x']", rule.Green, ""))
	w := s.get("hashes.csv")
	lines := strings.Split(strings.TrimSpace(w.Body.String()), "\n")
	if len(lines) != 2 || !strings.HasPrefix(lines[0], md5Of("x")+",") || !strings.HasPrefix(lines[1], md5Of("aa")+",") {
		t.Errorf("hashes %q", lines)
	}
	for _, file := range []string{"hashes.csv", "manifest.json", lines[0][33:] + ".json"} {
		first := s.get(file)
		if again := s.get(file, "If-None-Match", first.Header().Get("ETag")); file != "manifest.json" && again.Code != http.StatusNotModified || first.Code != http.StatusOK {
			t.Errorf("%s: %d, then %d", file, first.Code, again.Code)
		}
		if first.Header().Get("Last-Modified") == "" {
			t.Errorf("%s has no date", file)
		}
	}
}

func TestWhatIsNotThereIsNotFound(t *testing.T) {
	s := newShop(t)
	for _, file := range []string{"x", "manifest.json.asc", "5c0d1e2f-0000-4000-8000-000000000001.json"} {
		if w := s.get(file); w.Code != http.StatusNotFound {
			t.Errorf("%s: %d", file, w.Code)
		}
	}
	s.Apply(&config.Config{})
	if w := s.get("manifest.json"); w.Code != http.StatusNotFound {
		t.Errorf("a delivery that was taken away: %d", w.Code)
	}
}

func TestARestartGivesTheSameDirectory(t *testing.T) {
	s := newShop(t)
	s.put(indicatorText(1, 1, "[domain-name:value = 'one.example']", rule.Green, ""), reportText(1, 1))
	s.put(indicatorText(2, 1, "[domain-name:value = 'two.example']", rule.Green, ""))
	s.get("manifest.json")
	s.put(indicatorText(1, 2, "[domain-name:value = 'one.example']", rule.Red, ""))
	before := s.get("manifest.json").Body.String()
	old := s.directories
	s.directories = map[string]*directory{}
	for key, d := range old {
		s.directories[key] = &directory{
			imported: d.imported, conf: d.conf, creator: d.creator, sums: map[string]summed{},
			catalogue: NewCatalogue(s.store, "import/bravo", "bravo", func() time.Time { return s.clock }),
		}
	}
	if diff := cmp.Diff(before, s.get("manifest.json").Body.String()); diff != "" {
		t.Error(diff)
	}
}

// patient is a port that can be told how long an answer may take.
type patient struct {
	*httptest.ResponseRecorder
	until time.Time
}

// SetWriteDeadline is for http.ResponseController.
func (p *patient) SetWriteDeadline(at time.Time) error {
	p.until = at
	return nil
}

func TestALongEventMayTakeLongerThanOtherAnswersOfThePort(t *testing.T) {
	s := newShop(t)
	r := httptest.NewRequestWithContext(t.Context(), http.MethodGet, "/misp/bravo/misp/manifest.json", nil)
	for name, value := range map[string]string{"import": "bravo", "delivery": "misp", "file": "manifest.json"} {
		r.SetPathValue(name, value)
	}
	w := &patient{ResponseRecorder: httptest.NewRecorder()}
	s.ServeHTTP(w, r)
	if left := time.Until(w.until); w.Code != http.StatusOK || left < renderTimeout-time.Minute || left > renderTimeout {
		t.Errorf("answer %d, %v are left to write it", w.Code, left)
	}
}
