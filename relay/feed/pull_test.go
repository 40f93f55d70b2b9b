// SPDX-FileCopyrightText: The certlink authors
// SPDX-License-Identifier: Apache-2.0

package feed

import (
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/certlink/certlink/relay/access"
	"github.com/certlink/certlink/relay/config"
	"github.com/certlink/certlink/relay/store"
	"github.com/certlink/certlink/relay/taxii"
)

// cutting is a transport that cuts answers short, or refuses requests, until calm.
type cutting struct {
	http.RoundTripper
	mu     sync.Mutex
	random *rand.Rand
	calm   bool
	cuts   int
}

func (c *cutting) RoundTrip(r *http.Request) (*http.Response, error) {
	c.mu.Lock()
	dice, keep := 5, int64(0)
	if !c.calm {
		dice, keep = c.random.IntN(4), c.random.Int64N(300_000)
		c.cuts++
	}
	c.mu.Unlock()
	if dice == 0 {
		return nil, errors.New("cut")
	}
	resp, err := c.RoundTripper.RoundTrip(r)
	if err == nil && dice < 3 && strings.HasSuffix(r.URL.Path, "/objects/") {
		resp.Body = &cutBody{Reader: io.LimitReader(resp.Body, keep), Closer: resp.Body}
	}
	return resp, err
}

type cutBody struct {
	io.Reader
	io.Closer
}

func (b *cutBody) Read(p []byte) (int, error) {
	n, err := b.Reader.Read(p)
	if errors.Is(err, io.EOF) {
		err = io.ErrUnexpectedEOF
	}
	return n, err
}

// TestImportSurvivesCutsAndKills collects 6,000 objects through a transport that
// fails three times in four, while the collecting side is ended and begun again
// at random moments, and compares at the end.
func TestImportSurvivesCutsAndKills(t *testing.T) {
	alfa := side(t, filepath.Join(t.TempDir(), "alfa.db"), http.DefaultTransport)
	alfa.asking.Store(&access.Peer{Name: "bravo", TrustDomain: bravoTD, State: config.Active})
	alfa.Apply(alfaConfig())
	var want []string
	for i := range 6000 {
		want = append(want, indicator(i, clearID))
	}
	for part := range slices.Chunk(want, 2000) {
		push(t, alfa, "own", envelope(part...))
	}
	eventually(t, "alfa has decided", func() bool { e := exportOf(t, alfa); return e.Stored == 6000 && e.Undecided == 0 })
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	transport := &cutting{RoundTripper: to(alfa), random: rand.New(rand.NewPCG(seed, 1))}
	path := filepath.Join(t.TempDir(), "bravo.db")
	for life := range 12 {
		bravo := side(t, path, transport)
		bravo.Apply(bravoConfig())
		transport.mu.Lock()
		before := transport.cuts
		transport.mu.Unlock()
		eventually(t, "some requests were made", func() bool {
			bravo.Wake("alfa")
			transport.mu.Lock()
			defer transport.mu.Unlock()
			return transport.cuts >= before+1+life%4
		})
		bravo.end()
	}
	transport.mu.Lock()
	transport.calm = true
	transport.mu.Unlock()
	bravo := side(t, path, transport)
	bravo.Apply(bravoConfig())
	eventually(t, "bravo has everything", func() bool { return importOf(t, bravo).Stored == 6000 && importOf(t, bravo).Error == "" })
	got := collected(t, bravo, "from-alfa")
	slices.Sort(got)
	slices.Sort(want)
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("objects differ (-want +got):\n%.1000s", diff)
	}
}

func TestQuota(t *testing.T) {
	alfa, bravo := pair(t)
	limited := bravoConfig()
	limited.Imports[0].MaxObjects = 1500
	bravo.Apply(limited)
	var all []string
	for i := range 2500 {
		all = append(all, indicator(i, clearID))
	}
	push(t, alfa, "own", envelope(all...))
	eventually(t, "the quota is reached", func() bool { return importOf(t, bravo).QuotaReached })
	if got := importOf(t, bravo); got.Stored != 1500 || got.Error != "" {
		t.Errorf("import = %+v", got)
	}
	if got := collected(t, bravo, "from-alfa"); !cmp.Equal(got, all[:1500]) {
		t.Errorf("bravo has %d objects", len(got))
	}
	bravo.Apply(bravoConfig())
	eventually(t, "the rest follows a larger quota", func() bool { i := importOf(t, bravo); return i.Stored == 2500 && !i.QuotaReached })
	if got := collected(t, bravo, "from-alfa"); !cmp.Equal(got, all) {
		t.Errorf("bravo has %d objects", len(got))
	}
}

func TestSuspendedImportStandsStill(t *testing.T) {
	alfa, bravo := pair(t)
	push(t, alfa, "own", envelope(indicator(1, clearID)))
	eventually(t, "bravo has the object", func() bool { return importOf(t, bravo).Stored == 1 })
	suspended := bravoConfig()
	suspended.Peers[0].State = config.Suspended
	bravo.Apply(suspended)
	eventually(t, "the new importer has looked", func() bool { return importOf(t, bravo).Stored == 1 })
	push(t, alfa, "own", envelope(indicator(2, clearID)))
	bravo.WakeAll()
	eventually(t, "alfa has decided", func() bool { e := exportOf(t, alfa); return e.Stored == 2 && e.Undecided == 0 })
	if got := importOf(t, bravo); got.Stored != 1 || got.Error != "" {
		t.Errorf("import = %+v", got)
	}
	if got := collected(t, bravo, "from-alfa"); len(got) != 1 {
		t.Errorf("local tools see %d objects", len(got))
	}
	bravo.Apply(bravoConfig())
	eventually(t, "bravo catches up", func() bool { return importOf(t, bravo).Stored == 2 })
}

// scripted serves a TAXII server's discovery and whatever objects says.
func scripted(t *testing.T, objects http.HandlerFunc) http.RoundTripper {
	t.Helper()
	mux := http.NewServeMux()
	answer := func(body string) http.HandlerFunc {
		return func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Type", taxii.MediaType)
			_, _ = io.WriteString(w, body)
		}
	}
	mux.HandleFunc("/taxii2/", answer(`{"title":"x","api_roots":["/root/"]}`))
	mux.HandleFunc("/root/collections/", answer(`{"collections":[{"id":"c1","alias":"threats","title":"x","can_read":true,"can_write":false}]}`))
	mux.HandleFunc("/root/collections/c1/objects/", objects)
	server := httptest.NewServer(mux)
	t.Cleanup(server.Close)
	return to(&nation{server: server})
}

// page answers with a page of TAXII.
func page(w http.ResponseWriter, last, body string) {
	w.Header().Set("Content-Type", taxii.MediaType)
	if last != "" {
		w.Header().Set("X-TAXII-Date-Added-Last", last)
	}
	_, _ = io.WriteString(w, body)
}

func TestImportFromOtherServers(t *testing.T) {
	const first, second = "2026-01-01T00:00:00.000001Z", "2026-01-01T00:00:00.000002Z"
	for name, tt := range map[string]struct {
		serve http.HandlerFunc
		check func(stored, refused int64, err string) bool
	}{
		"more_without_next_goes_on_by_date": {func(w http.ResponseWriter, r *http.Request) {
			switch after := r.URL.Query().Get("added_after"); {
			case after == "":
				page(w, first, `{"more":true,"objects":[`+indicator(1)+`]}`)
			case after < second:
				page(w, second, `{"objects":[`+indicator(1)+`,`+indicator(2)+`]}`)
			default:
				page(w, "", `{}`)
			}
		}, func(stored, _ int64, err string) bool { return stored == 2 && err == "" }},
		"all_in_one_page_at_every_pull": {func(w http.ResponseWriter, _ *http.Request) {
			page(w, "", `{"objects":[`+indicator(1)+`,`+indicator(2)+`]}`)
		}, func(stored, _ int64, err string) bool { return stored == 2 && err == "" }},
		"bad_objects_do_not_stop_the_others": {func(w http.ResponseWriter, r *http.Request) {
			if r.URL.Query().Get("added_after") != "" {
				page(w, "", `{}`)
				return
			}
			page(w, first, `{"objects":[5,`+indicator(1)+`,{"id":"not-an-id"},`+indicator(1, redID)+`,`+indicator(2)+`]}`)
		}, func(stored, refused int64, err string) bool { return stored == 2 && refused == 2 && err == "" }},
		"a_cursor_that_is_refused_costs_a_new_walk": {func() http.HandlerFunc {
			var forgot atomic.Bool
			return func(w http.ResponseWriter, r *http.Request) {
				switch {
				case r.URL.Query().Get("next") == "n1" && !forgot.Swap(true):
					w.Header().Set("Content-Type", taxii.MediaType)
					w.WriteHeader(http.StatusBadRequest)
					_, _ = io.WriteString(w, `{"title":"unknown next"}`)
				case r.URL.Query().Get("next") == "n1":
					page(w, second, `{"objects":[`+indicator(2)+`]}`)
				default:
					page(w, first, `{"more":true,"next":"n1","objects":[`+indicator(1)+`]}`)
				}
			}
		}(), func(stored, _ int64, err string) bool { return stored == 2 && err == "" }},
		"a_walk_that_does_not_move_ends": {func(w http.ResponseWriter, _ *http.Request) {
			page(w, "", `{"more":true,"next":"same","objects":[`+indicator(1)+`]}`)
		}, func(stored, _ int64, err string) bool {
			return stored == 1 && strings.Contains(err, "does not move on")
		}},
		"a_walk_through_empty_pages_ends": {func() http.HandlerFunc {
			var n atomic.Int64
			return func(w http.ResponseWriter, _ *http.Request) {
				page(w, "", fmt.Sprintf(`{"more":true,"next":"%d"}`, n.Add(1)))
			}
		}(), func(_, _ int64, err string) bool { return strings.Contains(err, "does not move on") }},
		"an_answer_that_is_no_page": {func(w http.ResponseWriter, _ *http.Request) { page(w, "", `[]`) },
			func(_, _ int64, err string) bool {
				return err == "what alfa answers is not TAXII 2.1 as it must be (not a STIX bundle or TAXII envelope): ask alfa to mend its server"
			}},
		"a_refusal": {func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Type", taxii.MediaType)
			w.WriteHeader(http.StatusForbidden)
			_, _ = io.WriteString(w, `{"title":"No","description":"feeds to you are suspended by this side"}`)
		}, func(_, _ int64, err string) bool {
			return err == "alfa refuses us (feeds to you are suspended by this side): ask alfa to resume"
		}},
	} {
		t.Run(name, func(t *testing.T) {
			bravo := side(t, filepath.Join(t.TempDir(), "bravo.db"), scripted(t, tt.serve))
			bravo.Apply(bravoConfig())
			eventually(t, "the pull ends as it should", func() bool {
				i := importOf(t, bravo)
				return (!i.LastSuccess.IsZero() || !i.Failing.IsZero()) && tt.check(i.Stored, i.Refused, i.Error)
			})
		})
	}
}

func TestImportTurnedToAnotherCollectionBeginsAgain(t *testing.T) {
	c := cursor{Peer: alfaTD, Collection: "threats", After: "x", Next: "y"}
	if got := startAt(c.text(), alfaTD, "threats"); got != c {
		t.Errorf("cursor = %+v", got)
	}
	for _, other := range []cursor{{Peer: alfaTD, Collection: "other"}, {Peer: bravoTD, Collection: "threats"}} {
		if got := startAt(c.text(), other.Peer, other.Collection); got != other {
			t.Errorf("cursor = %+v, want %+v", got, other)
		}
	}
	if got := startAt("{", alfaTD, "threats"); got != (cursor{Peer: alfaTD, Collection: "threats"}) {
		t.Errorf("cursor = %+v", got)
	}
}

func TestUnreachablePeer(t *testing.T) {
	bravo := side(t, filepath.Join(t.TempDir(), "bravo.db"), failing{})
	bravo.Apply(bravoConfig())
	eventually(t, "the report says why", func() bool { return importOf(t, bravo).Error == "alfa cannot be reached" })
	if importOf(t, bravo).Failing.IsZero() {
		t.Error("failing since never")
	}
}

type failing struct{}

func (failing) RoundTrip(*http.Request) (*http.Response, error) {
	return nil, errors.New("alfa cannot be reached")
}

// TestFullStorage has our own disk full, in an import and in an export.
func TestFullStorage(t *testing.T) {
	var room [2]atomic.Bool // at alfa, at bravo
	fail := func(at int) func() error {
		return func() error {
			if room[at].Load() {
				return nil
			}
			return fmt.Errorf("storing: %w", store.ErrFull)
		}
	}
	alfa, bravo := pairOn(t, func(s Store) Store { return &hooked{Store: s, decide: fail(0)} }, func(s Store) Store { return &hooked{Store: s, put: fail(1)} })
	push(t, alfa, "own", envelope(indicator(1, clearID)))
	eventually(t, "alfa's report says so", func() bool { return strings.Contains(exportOf(t, alfa).Error, "our storage is full") })
	if got := exportOf(t, alfa); got.Undecided != 1 {
		t.Errorf("export = %+v", got)
	}
	room[0].Store(true)
	alfa.Apply(alfaConfig())
	eventually(t, "alfa's report is clean", func() bool { e := exportOf(t, alfa); return e.Error == "" && e.Undecided == 0 })
	eventually(t, "bravo's report says so", func() bool { return strings.Contains(importOf(t, bravo).Error, "our storage is full") })
	room[1].Store(true)
	bravo.Wake(alfaTD)
	eventually(t, "bravo's report is clean", func() bool { i := importOf(t, bravo); return i.Error == "" && i.Stored == 1 })
}

func TestNewRefuses(t *testing.T) {
	if _, err := New(Config{}); err == nil {
		t.Error("an empty configuration is accepted")
	}
}

func TestRetryPause(t *testing.T) {
	for failures := range 100 {
		if got := retryPause(failures, time.Minute); got < 750*time.Millisecond || got > time.Minute {
			t.Errorf("after %d failures: %v", failures, got)
		}
	}
}
