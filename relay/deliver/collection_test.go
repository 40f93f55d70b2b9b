// SPDX-FileCopyrightText: The certlink authors
// SPDX-License-Identifier: Apache-2.0

package deliver

import (
	"context"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/certlink/certlink/relay/config"
	"github.com/certlink/certlink/relay/stix"
	"github.com/certlink/certlink/relay/store"
	"github.com/certlink/certlink/relay/taxii"
)

const collectionID = "91a7b528-80eb-42ed-a74d-c6fbd5a26116"

// shelf is a TAXII collection of certlink's own server over a store.
type shelf struct{ store.Store }

func (shelf) Caller(context.Context) (string, error) { return "tool", nil }

func (s shelf) Collections(ctx context.Context) ([]taxii.Collection, error) {
	c, err := s.Collection(ctx, collectionID)
	return []taxii.Collection{c}, err
}

func (shelf) Collection(context.Context, string) (taxii.Collection, error) {
	return taxii.Collection{ID: collectionID, Title: "From bravo", Alias: "from-bravo", CanRead: true, CanWrite: true}, nil
}

func (s shelf) Objects(ctx context.Context, _ string, q store.Query) (store.Page, error) {
	return s.ListObjects(ctx, "shelf", q)
}

func (s shelf) Add(ctx context.Context, _ string, objects []stix.Object) ([]store.Outcome, error) {
	list := make([]store.Object, len(objects))
	for i, o := range objects {
		list[i] = store.Object{ID: o.ID, Type: o.Type, SpecVersion: o.SpecVersion, Version: o.Version, Raw: o.Raw}
	}
	return s.PutObjects(ctx, "shelf", list, "")
}

func (s shelf) Delete(ctx context.Context, _ string, q store.Query) (int, error) {
	return s.DeleteObjects(ctx, "shelf", q)
}

// serveTAXII is certlink's own server; around sees each request first, and says whether it answered it.
func serveTAXII(t *testing.T, db store.Store, around func(w http.ResponseWriter, r *http.Request, inner http.Handler)) config.Remote {
	t.Helper()
	inner := taxii.NewHandler(taxii.Options{Root: "local", Title: "Receiver", Backend: shelf{db}})
	server := httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if around == nil {
			inner.ServeHTTP(w, r)
			return
		}
		around(w, r, inner)
	}))
	server.Config.ErrorLog = log.New(io.Discard, "", 0)
	t.Cleanup(server.Close)
	ca := filepath.Join(t.TempDir(), "ca.crt")
	text := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: server.Certificate().Raw})
	if err := os.WriteFile(ca, text, 0o600); err != nil {
		t.Fatal(err)
	}
	return config.Remote{URL: server.URL, CAFile: ca}
}

func toTAXII(to config.Remote) config.Delivery {
	return config.Delivery{Name: "opencti", TAXII: &config.TAXIISource{Remote: to, Collection: "from-bravo"}}
}

func shelved(t *testing.T, db store.Store) []string {
	t.Helper()
	page, err := db.ListObjects(t.Context(), "shelf", store.Query{Limit: store.MaxRecords})
	if err != nil {
		t.Fatal(err)
	}
	var list []string
	for _, r := range page.Records {
		list = append(list, r.ID)
	}
	return list
}

func TestATAXIICollectionGetsEveryObject(t *testing.T) {
	w := newWorld(t)
	w.put(0, 600)
	w.start(toTAXII(serveTAXII(t, w.store, nil)))
	w.untilDelivered("opencti", 600)
	if diff := cmp.Diff(idRange(0, 600), shelved(t, w.store)); diff != "" {
		t.Error(diff)
	}
}

func TestFaultsOfATAXIIServerLoseNothingAndKillNothing(t *testing.T) {
	for name, fault := range map[string]func(w http.ResponseWriter, r *http.Request, inner http.Handler){
		"cut": func(w http.ResponseWriter, r *http.Request, _ http.Handler) { cut(w, r) },
		"broken": func(w http.ResponseWriter, _ *http.Request, _ http.Handler) {
			w.WriteHeader(http.StatusInternalServerError)
		},
		"not for us": func(w http.ResponseWriter, _ *http.Request, _ http.Handler) { w.WriteHeader(http.StatusUnauthorized) },
		"gone":       func(w http.ResponseWriter, _ *http.Request, _ http.Handler) { w.WriteHeader(http.StatusNotFound) },
		"too much": func(w http.ResponseWriter, _ *http.Request, _ http.Handler) {
			w.WriteHeader(http.StatusRequestEntityTooLarge)
		},
		"lost answer": func(w http.ResponseWriter, r *http.Request, inner http.Handler) {
			inner.ServeHTTP(httptest.NewRecorder(), r)
			cut(w, r)
		},
		"no TAXII": func(w http.ResponseWriter, _ *http.Request, _ http.Handler) { fmt.Fprint(w, "<html>") },
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			left := 5
			var mu sync.Mutex
			url := serveTAXII(t, w.store, func(rw http.ResponseWriter, r *http.Request, inner http.Handler) {
				mu.Lock()
				faulty := r.Method == http.MethodPost && left > 0
				if faulty {
					left--
				}
				mu.Unlock()
				if faulty {
					fault(rw, r, inner)
					return
				}
				inner.ServeHTTP(rw, r)
			})
			w.put(0, 40)
			w.start(toTAXII(url))
			w.untilDelivered("opencti", 40)
			if diff := cmp.Diff(idRange(0, 40), shelved(t, w.store)); diff != "" {
				t.Error(diff)
			}
			if d := w.state("opencti"); d.Dead != 0 {
				t.Errorf("state %+v", d)
			}
		})
	}
}

func TestAnObjectThatAServerRefusesIsADeadLetterAndTheOthersAreTaken(t *testing.T) {
	w := newWorld(t)
	// The server has another content for one version.
	if _, err := w.store.PutObjects(t.Context(), "shelf", []store.Object{{
		ID: objectID(7), Type: "indicator", SpecVersion: "2.1", Version: mustVersion(w), Raw: []byte(`{"other":"content"}`),
	}}, ""); err != nil {
		t.Fatal(err)
	}
	w.put(0, 20)
	w.start(toTAXII(serveTAXII(t, w.store, nil)))
	w.until("opencti", "all are done with", func(d store.Delivery) bool { return d.Delivered == 19 && d.Dead == 1 })
	letters, err := w.Dead(t.Context(), "bravo", "opencti", 0, 10)
	if err != nil || len(letters) != 1 || letters[0].ID != objectID(7) || !strings.Contains(letters[0].Reason, "other content") {
		t.Errorf("letters %+v, %v", letters, err)
	}
}

// mustVersion is the version of the objects of put.
func mustVersion(w *world) time.Time {
	w.put(7, 8)
	page, err := w.store.ListObjects(w.t.Context(), "import/bravo", store.Query{IDs: []string{objectID(7)}, Limit: 1})
	if err != nil || len(page.Records) != 1 {
		w.t.Fatalf("%+v, %v", page, err)
	}
	if _, err := w.store.DeleteObjects(w.t.Context(), "import/bravo", store.Query{IDs: []string{objectID(7)}, Limit: 1}); err != nil {
		w.t.Fatal(err)
	}
	return page.Records[0].Version
}

// pending answers a POST with a pending status, and has the objects taken when it is asked
// the second time.
type pending struct {
	mu    sync.Mutex
	posts int
	asked int
	body  []byte
}

func (p *pending) around(w http.ResponseWriter, r *http.Request, inner http.Handler) {
	p.mu.Lock()
	defer p.mu.Unlock()
	answer := func(code int, s taxii.Status) {
		w.Header().Set("Content-Type", taxii.MediaType)
		w.WriteHeader(code)
		_ = json.NewEncoder(w).Encode(s)
	}
	switch {
	case r.Method == http.MethodPost:
		p.posts++
		p.body, _ = io.ReadAll(r.Body)
		answer(http.StatusAccepted, taxii.Status{ID: collectionID, Status: taxii.Pending, TotalCount: 3, PendingCount: 3})
	case strings.Contains(r.URL.Path, "/status/"):
		p.asked++
		switch p.asked {
		case 1:
			answer(http.StatusOK, taxii.Status{ID: collectionID, Status: taxii.Pending, TotalCount: 3, PendingCount: 3})
		case 2:
			w.WriteHeader(http.StatusNotFound) // it has forgotten
		default:
			answer(http.StatusOK, taxii.Status{ID: collectionID, Status: taxii.Complete, TotalCount: 3, SuccessCount: 3})
		}
	default:
		inner.ServeHTTP(w, r)
	}
}

func TestAPendingStatusIsFollowedAndAForgottenOneSentAgain(t *testing.T) {
	w, p := newWorld(t), &pending{}
	w.put(0, 3)
	w.start(toTAXII(serveTAXII(t, w.store, p.around)))
	w.untilDelivered("opencti", 3)
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.posts != 2 || p.asked != 3 {
		t.Errorf("%d posts, asked %d times", p.posts, p.asked)
	}
	if diff := cmp.Diff(idRange(0, 3), idsOf(t, p.body)); diff != "" {
		t.Error(diff)
	}
}

func TestAStatusThatDoesNotAddUpIsNoSuccess(t *testing.T) {
	for name, tc := range map[string]struct{ total, success, failure, pending int }{
		"one_is_missing":           {3, 2, 0, 0},
		"one_is_still_pending":     {3, 2, 0, 1},
		"it_counts_nothing":        {0, 0, 0, 0},
		"it_counts_less":           {2, 2, 0, 0},
		"it_counts_more":           {3, 4, -1, 0},
		"the_total_is_out_of_this": {1 << 62, 1 << 62, 0, 0},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			var posts atomic.Int64
			mended := make(chan struct{})
			mend := sync.OnceFunc(func() { close(mended) })
			url := serveTAXII(t, w.store, func(rw http.ResponseWriter, r *http.Request, inner http.Handler) {
				if r.Method != http.MethodPost {
					inner.ServeHTTP(rw, r)
					return
				}
				s := taxii.Status{ID: collectionID, Status: taxii.Complete, TotalCount: 3, SuccessCount: 3}
				if posts.Add(1) == 1 {
					s.TotalCount, s.SuccessCount, s.FailureCount, s.PendingCount = tc.total, tc.success, tc.failure, tc.pending
				} else {
					<-mended
				}
				answerStatus(rw, s)
			})
			t.Cleanup(mend)
			w.put(0, 3)
			w.start(toTAXII(url))
			eventually(t, "the report says it", func() bool {
				list, err := w.ReportDeliveries(t.Context())
				return err == nil && len(list) == 1 && strings.Contains(list[0].Error, "does not add up") && list[0].Delivered == 0
			})
			mend() // it is sent again
			w.untilDelivered("opencti", 3)
			if d := w.state("opencti"); d.Dead != 0 {
				t.Errorf("state %+v", d)
			}
		})
	}
}

func TestRefusalsWithoutNamesAreFoundByHalving(t *testing.T) {
	w := newWorld(t)
	var mu sync.Mutex
	var taken []string
	url := serveTAXII(t, w.store, func(rw http.ResponseWriter, r *http.Request, inner http.Handler) {
		if r.Method != http.MethodPost {
			inner.ServeHTTP(rw, r)
			return
		}
		body, _ := io.ReadAll(r.Body)
		ids := idsOf(t, body)
		s := taxii.Status{ID: collectionID, Status: taxii.Complete, TotalCount: len(ids), SuccessCount: len(ids)}
		if strings.Contains(string(body), objectID(5)) {
			s.FailureCount, s.SuccessCount = 1, len(ids)-1
		} else {
			mu.Lock()
			taken = append(taken, ids...)
			mu.Unlock()
		}
		answerStatus(rw, s)
	})
	w.put(0, 16)
	w.start(toTAXII(url))
	w.until("opencti", "one is dead", func(d store.Delivery) bool { return d.Delivered == 15 && d.Dead == 1 })
	mu.Lock()
	defer mu.Unlock()
	if len(taken) < 15 {
		t.Errorf("taken %v", taken)
	}
}

func TestACollectionThatWeMayNotWriteIsSaidSo(t *testing.T) {
	w := newWorld(t)
	url := serveTAXII(t, w.store, func(rw http.ResponseWriter, r *http.Request, inner http.Handler) {
		if !strings.HasSuffix(r.URL.Path, "/collections/") {
			inner.ServeHTTP(rw, r)
			return
		}
		rw.Header().Set("Content-Type", taxii.MediaType)
		fmt.Fprintf(rw, `{"collections":[{"id":%q,"title":"x","alias":"from-bravo","can_read":true,"can_write":false}]}`, collectionID)
	})
	w.put(0, 1)
	w.start(toTAXII(url))
	eventually(t, "the report says it", func() bool {
		list, err := w.ReportDeliveries(t.Context())
		return err == nil && len(list) == 1 && strings.Contains(list[0].Error, "not writable")
	})
}
