// SPDX-FileCopyrightText: The certlink authors
// SPDX-License-Identifier: Apache-2.0

package feed

import (
	"fmt"
	"io"
	"maps"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/certlink/certlink/internal/testca"
	"github.com/certlink/certlink/relay/access"
	"github.com/certlink/certlink/relay/config"
	"github.com/certlink/certlink/relay/report"
)

// fetching is alfa with one source that it fetches, beside one that tools push into.
func fetching(pull config.PulledSource) *config.Config {
	c := alfaConfig()
	if pull.IntervalSeconds == 0 {
		pull.IntervalSeconds = 1
	}
	c.Exports[0].Sources[0].Pull = &pull
	return c
}

func bundleAt(url string) config.PulledSource {
	return config.PulledSource{STIX: &config.Remote{URL: url}}
}

func sourceOf(t *testing.T, n *nation) report.Source {
	t.Helper()
	if list := exportOf(t, n).Sources; len(list) == 1 {
		return list[0]
	}
	return report.Source{}
}

// fetched waits for a number of stored versions and a pull without error.
func fetched(t *testing.T, n *nation, stored int64) {
	t.Helper()
	eventually(t, fmt.Sprintf("%d versions are fetched", stored), func() bool {
		s := sourceOf(t, n)
		return s.Stored == stored && s.Error == "" && !s.LastSuccess.IsZero()
	})
}

func serving(t *testing.T, h http.HandlerFunc) *httptest.Server {
	t.Helper()
	s := httptest.NewServer(h)
	t.Cleanup(s.Close)
	return s
}

func TestABundleIsFetchedOnceAndSharedByTheRule(t *testing.T) {
	all, objects := bundle(t)
	var whole, unchanged atomic.Int32
	server := serving(t, func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("ETag", `"18.1"`)
		if r.Header.Get("If-None-Match") == `"18.1"` {
			unchanged.Add(1)
			w.WriteHeader(http.StatusNotModified)
			return
		}
		whole.Add(1)
		_, _ = w.Write(all)
	})
	path := filepath.Join(t.TempDir(), "alfa.db")
	alfa := side(t, path, http.DefaultTransport)
	alfa.Apply(fetching(bundleAt(server.URL)))
	fetched(t, alfa, int64(len(objects)))
	eventually(t, "all is decided", func() bool {
		e := exportOf(t, alfa)
		return e.Undecided == 0 && len(e.Peers) == 1 && e.Peers[0].Shared > 1000
	})
	eventually(t, "it is asked whether it has changed", func() bool { return unchanged.Load() > 0 })
	if diff := cmp.Diff(objects, collected(t, alfa, "threats.attack")); diff != "" {
		t.Errorf("the objects are not those of the bundle:\n%.1000s", diff)
	}
	resp := local(t, alfa, http.MethodPost, "/taxii2/local/collections/threats.attack/objects/", strings.NewReader(string(envelope(indicator(1)))))
	if resp.StatusCode/100 != 4 {
		t.Errorf("a tool may push into what is fetched: %d", resp.StatusCode)
	}
	alfa.end()
	before := unchanged.Load()
	alfa = side(t, path, http.DefaultTransport)
	alfa.Apply(fetching(bundleAt(server.URL)))
	eventually(t, "it is asked after a restart", func() bool { return unchanged.Load() > before })
	if whole.Load() != 1 {
		t.Errorf("the bundle was read %d times", whole.Load())
	}
}

func TestABundleThatIsCutIsReadAgain(t *testing.T) {
	all, objects := bundle(t)
	var calm, whole atomic.Bool
	server := serving(t, func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("ETag", `"18.1"`)
		if r.Header.Get("If-None-Match") != "" {
			if !whole.Load() {
				t.Error("what was cut is taken for known")
			}
			w.WriteHeader(http.StatusNotModified)
			return
		}
		if calm.Load() {
			whole.Store(true) // asked once more a second later, it may be known
			_, _ = w.Write(all)
			return
		}
		w.Header().Set("Content-Length", strconv.Itoa(len(all)))
		_, _ = w.Write(all[:len(all)/2])
	})
	alfa := side(t, filepath.Join(t.TempDir(), "alfa.db"), http.DefaultTransport)
	alfa.Apply(fetching(bundleAt(server.URL)))
	eventually(t, "a part is stored and the fault told", func() bool {
		s := sourceOf(t, alfa)
		return strings.Contains(s.Error, "cut") && s.Stored > 0 && s.Stored < int64(len(objects)) && !s.Failing.IsZero()
	})
	calm.Store(true)
	alfa.fetchers[0].wake()
	eventually(t, "everything is there", func() bool { return sourceOf(t, alfa).Stored == int64(len(objects)) })
	if diff := cmp.Diff(objects, collected(t, alfa, "threats.attack")); diff != "" {
		t.Errorf("the objects are not those of the bundle:\n%.1000s", diff)
	}
}

func TestAFaultOfASourceIsToldAndPasses(t *testing.T) {
	answer := func(status int, body string, headers ...string) http.HandlerFunc {
		return func(w http.ResponseWriter, _ *http.Request) {
			for i := 0; i+1 < len(headers); i += 2 {
				w.Header().Set(headers[i], headers[i+1])
			}
			w.WriteHeader(status)
			_, _ = io.WriteString(w, body)
		}
	}
	for name, tt := range map[string]struct {
		answer http.HandlerFunc
		want   string
	}{
		"a_password_that_is_wrong": {answer(401, ""), "401 Unauthorized: see whether the credentials"},
		"nothing_there":            {answer(404, ""), "see whether the URL is right"},
		"a_fault_of_the_server":    {answer(500, ""), "500 Internal Server Error"},
		"a_page_for_people":        {answer(200, "<html>", "Content-Type", "text/html"), "is no STIX bundle"},
		"another_host":             {answer(302, "", "Location", "https://192.0.2.1/"), "redirects to elsewhere"},
		"a_list_of_no_objects":     {answer(200, `{"objects":"none"}`), "is no STIX bundle"},
		"half_a_bundle":            {answer(200, `{"objects":[`+indicator(1)+`,`), "was cut before its end"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var mended atomic.Bool
			server := serving(t, func(w http.ResponseWriter, r *http.Request) {
				if mended.Load() {
					_, _ = w.Write(envelope(indicator(1, clearID)))
					return
				}
				tt.answer(w, r)
			})
			alfa := side(t, filepath.Join(t.TempDir(), "alfa.db"), http.DefaultTransport)
			alfa.Apply(fetching(bundleAt(server.URL + "/?key=geheim")))
			eventually(t, "the fault is told", func() bool { return sourceOf(t, alfa).Error != "" })
			if got := sourceOf(t, alfa); !strings.Contains(got.Error, tt.want) || strings.Contains(got.Error, "geheim") || got.Failing.IsZero() {
				t.Errorf("error = %q, failing since %v, want %q", got.Error, got.Failing, tt.want)
			}
			mended.Store(true)
			alfa.fetchers[0].wake()
			fetched(t, alfa, 1)
			if got := sourceOf(t, alfa); !got.Failing.IsZero() {
				t.Errorf("failing since %v", got.Failing)
			}
		})
	}
}

func TestAMendedSecretIsTriedAtOnce(t *testing.T) {
	server := serving(t, func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get("Authorization") != "Bearer right" {
			w.WriteHeader(http.StatusUnauthorized)
			return
		}
		_, _ = w.Write(envelope(indicator(1, clearID)))
	})
	dir := filepath.Join(t.TempDir(), "charlie")
	pull := config.PulledSource{STIX: &config.Remote{URL: server.URL, Directory: dir}, IntervalSeconds: 86_400}
	alfa := side(t, filepath.Join(t.TempDir(), "alfa.db"), http.DefaultTransport)
	alfa.Apply(fetching(pull))
	eventually(t, "the missing Secret is told", func() bool { return strings.Contains(sourceOf(t, alfa).Error, "charlie holds none of ca.crt") })
	for _, tt := range []struct{ token, want string }{{"wrong", "401"}, {"right", ""}} {
		if err := testca.WriteVolume(dir, map[string][]byte{"token": []byte(tt.token)}); err != nil {
			t.Fatal(err)
		}
		eventually(t, "the token was tried", func() bool {
			s := sourceOf(t, alfa)
			return tt.want != "" && strings.Contains(s.Error, tt.want) || tt.want == "" && s.Error == "" && s.Stored == 1
		})
	}
}

// TestATAXIISourceSurvivesCutsAndKills fetches 3,000 objects from a TAXII server that
// cuts or refuses two answers in three, while the fetching side is ended and begun
// again at random moments.
func TestATAXIISourceSurvivesCutsAndKills(t *testing.T) {
	charlie := side(t, filepath.Join(t.TempDir(), "charlie.db"), http.DefaultTransport)
	charlie.asking.Store(&access.Peer{Name: "bravo", TrustDomain: bravoTD, State: config.Active})
	charlie.Apply(alfaConfig())
	var want []string
	for i := range 3000 {
		want = append(want, indicator(i, clearID))
	}
	for part := range slices.Chunk(want, 1000) {
		push(t, charlie, "own", envelope(part...))
	}
	eventually(t, "the server has decided", func() bool { e := exportOf(t, charlie); return e.Stored == 3000 && e.Undecided == 0 })
	var calm atomic.Bool
	var cuts atomic.Int32
	back := charlie.server.Config.Handler
	server := serving(t, func(w http.ResponseWriter, r *http.Request) {
		dice := rand.IntN(3)
		if calm.Load() || dice == 0 {
			back.ServeHTTP(w, r)
			return
		}
		cuts.Add(1)
		if dice == 1 {
			w.WriteHeader(http.StatusInternalServerError)
			return
		}
		answer := httptest.NewRecorder()
		back.ServeHTTP(answer, r)
		maps.Copy(w.Header(), answer.Header())
		w.WriteHeader(answer.Code)
		_, _ = w.Write(answer.Body.Bytes()[:rand.IntN(answer.Body.Len()+1)])
		_ = http.NewResponseController(w).Flush()
		panic(http.ErrAbortHandler)
	})
	pull := config.PulledSource{TAXII: &config.TAXIISource{Remote: config.Remote{URL: server.URL + "/taxii2/" + LinkRoot + "/"}, Collection: "threats"}}
	path := filepath.Join(t.TempDir(), "alfa.db")
	for life := range 6 {
		alfa := side(t, path, http.DefaultTransport)
		alfa.Apply(fetching(pull))
		before := cuts.Load()
		eventually(t, "some answers were cut", func() bool {
			alfa.mu.Lock()
			alfa.fetchers[0].wake()
			alfa.mu.Unlock()
			return calm.Load() || cuts.Load() >= before+1+int32(life%3) || sourceOf(t, alfa).Stored == 3000
		})
		alfa.end()
	}
	calm.Store(true)
	alfa := side(t, path, http.DefaultTransport)
	alfa.Apply(fetching(pull))
	fetched(t, alfa, 3000)
	got := collected(t, alfa, "threats.attack")
	slices.Sort(got)
	slices.Sort(want)
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("objects differ (-want +got):\n%.1000s", diff)
	}
}

func TestAnAPIRootWillDoInPlaceOfDiscovery(t *testing.T) {
	charlie := side(t, filepath.Join(t.TempDir(), "charlie.db"), http.DefaultTransport)
	charlie.asking.Store(&access.Peer{Name: "bravo", TrustDomain: bravoTD, State: config.Active})
	charlie.Apply(alfaConfig())
	push(t, charlie, "own", envelope(indicator(1, clearID)))
	eventually(t, "the server has decided", func() bool { e := exportOf(t, charlie); return e.Stored == 1 && e.Undecided == 0 })
	alfa := side(t, filepath.Join(t.TempDir(), "alfa.db"), http.DefaultTransport)
	remote := config.Remote{URL: charlie.server.URL + "/taxii2/" + LinkRoot + "/"}
	alfa.Apply(fetching(config.PulledSource{TAXII: &config.TAXIISource{Remote: remote, Collection: "nothing"}}))
	eventually(t, "a wrong name is told", func() bool { return strings.Contains(sourceOf(t, alfa).Error, "no such collection") })
	alfa.Apply(fetching(config.PulledSource{TAXII: &config.TAXIISource{Remote: remote, Collection: "threats"}}))
	fetched(t, alfa, 1)
}

func TestAMISPFeedBecomesObjects(t *testing.T) {
	const id = "5f1c2d3e-0000-4000-8000-000000000001"
	event := `{"Event":{"uuid":"` + id + `","info":"x","date":"2026-01-01","timestamp":"1767225600","published":true,"distribution":"3","Tag":[{"name":"tlp:clear"}],` +
		`"Orgc":{"name":"CERT Alfa","uuid":"5f1c2d3e-0000-4000-8000-0000000000aa"},` +
		`"Attribute":[{"uuid":"5f1c2d3e-0000-4000-8000-0000000000bb","type":"ip-dst","category":"Network activity","value":"192.0.2.1","to_ids":true,"timestamp":"1767225600","distribution":"5"}]}}`
	var events atomic.Int32
	server := serving(t, func(w http.ResponseWriter, r *http.Request) {
		switch r.URL.Path {
		case "/feed/manifest.json":
			_, _ = io.WriteString(w, `{"`+id+`":{"timestamp":"1767225600","info":"x"}}`)
		case "/feed/" + id + ".json":
			events.Add(1)
			_, _ = io.WriteString(w, event)
		default:
			w.WriteHeader(http.StatusNotFound)
		}
	})
	alfa := side(t, filepath.Join(t.TempDir(), "alfa.db"), http.DefaultTransport)
	alfa.Apply(fetching(config.PulledSource{MISP: &config.Remote{URL: server.URL + "/feed/"}}))
	eventually(t, "the event is fetched", func() bool { s := sourceOf(t, alfa); return s.Stored > 1 && s.Error == "" })
	if all := strings.Join(collected(t, alfa, "threats.attack"), "\n"); !strings.Contains(all, "192.0.2.1") {
		t.Errorf("the attribute is not there:\n%s", all)
	}
	first := sourceOf(t, alfa).Stored
	alfa.fetchers[0].wake()
	alfa.fetchers[0].wake()
	eventually(t, "it is looked at again", func() bool { return sourceOf(t, alfa).Error == "" })
	if events.Load() != 1 || sourceOf(t, alfa).Stored != first {
		t.Errorf("the event was read %d times, %d and %d objects", events.Load(), first, sourceOf(t, alfa).Stored)
	}
	alfa.Apply(fetching(config.PulledSource{MISP: &config.Remote{URL: server.URL + "/elsewhere/"}}))
	eventually(t, "a wrong place is told", func() bool { return strings.Contains(sourceOf(t, alfa).Error, "404") })
}

func TestAnotherConfigurationLeavesSourcesAlone(t *testing.T) {
	var asked atomic.Int32
	server := serving(t, func(w http.ResponseWriter, _ *http.Request) {
		asked.Add(1)
		_, _ = w.Write(envelope(indicator(1, clearID)))
	})
	pull := bundleAt(server.URL)
	pull.IntervalSeconds = 86_400
	alfa := side(t, filepath.Join(t.TempDir(), "alfa.db"), http.DefaultTransport)
	alfa.Apply(fetching(pull))
	fetched(t, alfa, 1)
	other := fetching(pull)
	other.Exports[0].Rule.MaxTLP = "CLEAR"
	alfa.Apply(other)
	eventually(t, "the new rule counts", func() bool { e := exportOf(t, alfa); return e.Undecided == 0 && len(e.Peers) == 1 })
	if asked.Load() != 1 {
		t.Errorf("the source was asked %d times", asked.Load())
	}
	alfa.Apply(alfaConfig())
	eventually(t, "nothing is fetched any more", func() bool { return len(exportOf(t, alfa).Sources) == 0 })
	push(t, alfa, "attack", envelope(indicator(2, clearID)))
}
