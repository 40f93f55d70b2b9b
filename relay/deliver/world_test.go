// SPDX-FileCopyrightText: The certlink authors
// SPDX-License-Identifier: Apache-2.0

package deliver

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"path/filepath"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/certlink/certlink/internal/teststore"
	"github.com/certlink/certlink/relay/config"
	"github.com/certlink/certlink/relay/store"
	"github.com/certlink/certlink/relay/store/sqlite"
)

func TestMain(m *testing.M) {
	goleak.VerifyTestMain(m, goleak.IgnoreTopFunction("database/sql.(*DB).connectionOpener"))
}

// world is a store and an engine that delivers the import "bravo" from it.
type world struct {
	t     *testing.T
	path  string
	store *sqlite.Store
	*Engine
	stop func()
}

func newWorld(t *testing.T) *world {
	t.Helper()
	w := &world{t: t, path: filepath.Join(t.TempDir(), "relay.db")}
	teststore.Put(t, w.path)
	w.open()
	t.Cleanup(w.crash)
	return w
}

// open opens the store again, as after a restart.
func (w *world) open() {
	w.t.Helper()
	var err error
	if w.store, err = sqlite.Open(w.t.Context(), sqlite.Config{Path: w.path}); err != nil {
		w.t.Fatal(err)
	}
	w.Engine, err = New(Config{
		Store: w.store, Collection: func(name string) string { return "import/" + name }, Poll: 5 * time.Millisecond,
		Pause: func(int) time.Duration { return 5 * time.Millisecond },
	})
	if err != nil {
		w.t.Fatal(err)
	}
}

// start runs the engine with deliveries.
func (w *world) start(deliveries ...config.Delivery) {
	w.t.Helper()
	w.apply(deliveries...)
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		_ = w.Run(ctx)
	}()
	w.stop = func() {
		cancel()
		<-ended
	}
}

func (w *world) apply(deliveries ...config.Delivery) {
	w.Apply(&config.Config{Imports: []config.Import{{Name: "bravo", Peer: "bravo", Collection: "x", Deliveries: deliveries}}})
}

// crash ends everything and closes the store.
func (w *world) crash() {
	if w.stop != nil {
		w.stop()
		w.stop = nil
	}
	if w.store != nil {
		_ = w.store.Close()
		w.store = nil
	}
}

func objectID(n int) string { return fmt.Sprintf("indicator--5c0d1e2f-0000-4000-8000-%012d", n) }

// put stores objects from to to, without the last.
func (w *world) put(from, to int) {
	w.t.Helper()
	var list []store.Object
	for n := from; n < to; n++ {
		at := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
		raw := fmt.Sprintf(`{"type":"indicator","spec_version":"2.1","id":%q,"created":"2026-01-02T03:04:05.000Z","modified":"2026-01-02T03:04:05.000Z",`+
			`"pattern_type":"stix","pattern":"[domain-name:value = 'a%d.example']","valid_from":"2026-01-02T03:04:05Z"}`, objectID(n), n)
		list = append(list, store.Object{ID: objectID(n), Type: "indicator", SpecVersion: "2.1", Version: at, Raw: []byte(raw)})
	}
	if _, err := w.store.PutObjects(w.t.Context(), "import/bravo", list, ""); err != nil {
		w.t.Fatal(err)
	}
}

func (w *world) state(name string) store.Delivery {
	w.t.Helper()
	d, err := w.store.Delivery(w.t.Context(), "import/bravo", name)
	if err != nil {
		w.t.Fatal(err)
	}
	return d
}

// until waits for a state of a delivery.
func (w *world) until(name, what string, is func(store.Delivery) bool) {
	w.t.Helper()
	w.t.Cleanup(func() {
		if w.t.Failed() {
			list, err := w.ReportDeliveries(context.Background())
			w.t.Logf("report: %+v, %v", list, err)
		}
	})
	eventually(w.t, what, func() bool { return is(w.state(name)) })
}

func (w *world) untilDelivered(name string, n int64) {
	w.t.Helper()
	w.until(name, fmt.Sprint(n, " delivered"), func(d store.Delivery) bool { return d.Delivered == n })
}

func eventually(t *testing.T, what string, is func() bool) {
	t.Helper()
	deadline, tick := time.After(time.Minute), time.NewTicker(2*time.Millisecond)
	defer tick.Stop()
	for !is() {
		select {
		case <-deadline:
			t.Fatalf("never happened: %s", what)
		case <-tick.C:
		}
	}
}

// idsOf are the objects of a bundle or an envelope.
func idsOf(t *testing.T, body []byte) []string {
	t.Helper()
	var bundle struct {
		Objects []struct {
			ID string `json:"id"`
		} `json:"objects"`
	}
	if err := json.Unmarshal(body, &bundle); err != nil {
		t.Errorf("body: %v", err)
	}
	var list []string
	for _, o := range bundle.Objects {
		list = append(list, o.ID)
	}
	return list
}

func idRange(from, to int) []string {
	var list []string
	for n := from; n < to; n++ {
		list = append(list, objectID(n))
	}
	return list
}

func hook(url string) config.Delivery {
	return config.Delivery{Name: "siem", Webhook: &config.Webhook{Remote: config.Remote{URL: url}, MaxAttempts: 3}}
}

func status(code int) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(code) }
}
