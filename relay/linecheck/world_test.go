// SPDX-FileCopyrightText: The certlink authors
// SPDX-License-Identifier: Apache-2.0

package linecheck

import (
	"bytes"
	"context"
	"crypto"
	"crypto/x509"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/spiffe/go-spiffe/v2/bundle/x509bundle"
	"github.com/spiffe/go-spiffe/v2/spiffeid"
	"go.uber.org/goleak"

	"github.com/certlink/certlink/internal/testbubble"
	"github.com/certlink/certlink/internal/testca"
	"github.com/certlink/certlink/internal/teststore"
	"github.com/certlink/certlink/relay/access"
	"github.com/certlink/certlink/relay/config"
	"github.com/certlink/certlink/relay/link"
	"github.com/certlink/certlink/relay/report"
	"github.com/certlink/certlink/relay/store"
	"github.com/certlink/certlink/relay/store/sqlite"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// world is two nations with two paths each, in a synctest bubble.
type world struct {
	t           *testing.T
	alfa, bravo *nation

	mu  sync.Mutex // guards what follows
	cut map[Way]bool
	// spoil changes what an answer says.
	spoil func([]byte) []byte
}

func (w *world) cutPath(way Way, yes bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.cut[way] = yes
}

type nation struct {
	world  *world
	name   string
	other  *nation
	ca     *testca.CA
	pair   testca.Pair
	bundle *x509bundle.Set
	path   string
	config *config.Config

	store *sqlite.Store
	stop  context.CancelFunc
	done  chan error

	mu sync.Mutex // guards what follows
	// engine is written by the test, which may read it as it is; the other nation asks running.
	engine *Engine
	ahead  time.Duration
	acts   []string
	// hidden is an address of ours to which the peer has no connection.
	hidden string
}

func (n *nation) SigningChain() ([]*x509.Certificate, crypto.Signer) { return n.pair.Chain, n.pair.Key }
func (n *nation) TrustDomain() string                                { return n.name + ".example" }
func (n *nation) GetX509BundleForTrustDomain(td spiffeid.TrustDomain) (*x509bundle.Bundle, error) {
	return n.bundle.GetX509BundleForTrustDomain(td)
}

func newWorld(t *testing.T, checks config.LineChecks) *world {
	t.Helper()
	w := &world{t: t, cut: map[Way]bool{}}
	w.alfa, w.bravo = &nation{world: w, name: "alfa"}, &nation{world: w, name: "bravo"}
	w.alfa.other, w.bravo.other = w.bravo, w.alfa
	for _, n := range []*nation{w.alfa, w.bravo} {
		n.ca = testca.New(t, n.TrustDomain(), testca.Options{NotBefore: time.Now().AddDate(0, 0, -3)})
		n.pair = n.ca.Leaf(t, testca.Leaf{Path: "/signing", NotBefore: time.Now().AddDate(0, 0, -3), NotAfter: time.Now().AddDate(1, 0, 0)})
		n.path = filepath.Join(memory(t), "relay.db")
		teststore.Put(t, n.path)
		n.config = &config.Config{
			Peers:    []config.Peer{{Name: n.other.name, TrustDomain: n.other.TrustDomain(), State: config.Active}},
			Hotlines: []config.Hotline{{Name: "to-" + n.other.name, Peer: n.other.name, LineChecks: checks}},
		}
		n.config.SetDefaults()
	}
	for _, n := range []*nation{w.alfa, w.bravo} {
		n.bundle = x509bundle.NewSet()
		for _, ca := range []*testca.CA{w.alfa.ca, w.bravo.ca} {
			n.bundle.Add(x509bundle.FromX509Authorities(spiffeid.RequireTrustDomainFromString(ca.TrustDomain), []*x509.Certificate{ca.Root}))
		}
		n.build()
	}
	w.alfa.run()
	w.bravo.run()
	return w
}

// memory is a directory that is in memory where the machine has one: what a power loss leaves
// is for the tests of the store, and days of checks are many transactions.
func memory(t *testing.T) string {
	t.Helper()
	dir, err := os.MkdirTemp("/dev/shm", "linecheck") //nolint:usetesting // that of the test is on a disk
	if err != nil {
		return t.TempDir()
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	return dir
}

// end stops all; a bubble must be empty at its end.
func (w *world) end() { w.alfa.kill(); w.bravo.kill() }

func (n *nation) now() time.Time {
	n.mu.Lock()
	defer n.mu.Unlock()
	return time.Now().Add(n.ahead)
}

func (n *nation) setClock(ahead time.Duration) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.ahead = ahead
}

func (n *nation) hide(address string) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.hidden = address
}

func (n *nation) begin() { n.build(); n.run() }

func (n *nation) build() {
	t := n.world.t
	t.Helper()
	var err error
	if n.store, err = sqlite.Open(context.Background(), sqlite.Config{Path: n.path, Now: n.now}); err != nil {
		t.Fatal(err)
	}
	engine, err := New(Config{
		Store: n.store,
		Change: func(ctx context.Context, peer string, do func(store.LineTx) (*store.JournalEntry, error)) error {
			return n.store.ChangeLine(ctx, peer, func(tx store.LineTx) error { _, err := do(tx); return err })
		},
		Act: func(name string, _ time.Time, details map[string]string) (*store.JournalEntry, error) {
			n.mu.Lock()
			defer n.mu.Unlock()
			n.acts = append(n.acts, name+" "+details["path"]+details["part"])
			return nil, nil
		},
		Identity: func() Identity { return n },
		Paths: func(td string) []link.Path {
			var all []link.Path
			for _, a := range []string{"1:1", "2:1"} {
				all = append(all, link.Path{TrustDomain: td, Address: n.other.name + "-" + a}, link.Path{TrustDomain: td, Address: n.name + "-" + a, Accepted: true})
			}
			n.mu.Lock()
			defer n.mu.Unlock()
			return slices.DeleteFunc(all, func(p link.Path) bool { return p.Address == n.hidden })
		},
		PathOf: func(ctx context.Context) (link.Path, bool) { p, ok := ctx.Value(pathKey{}).(link.Path); return p, ok },
		Client: func(at link.Path) *http.Client { return &http.Client{Transport: wire{n, at}} },
		Now:    n.now,
	})
	if err != nil {
		t.Fatal(err)
	}
	engine.Apply(n.config)
	n.becomes(engine)
}

// becomes takes an engine, or none, for the one that the other nation reaches.
func (n *nation) becomes(e *Engine) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.engine = e
}

func (n *nation) running() *Engine {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.engine
}

func (n *nation) run() {
	ctx, cancel := context.WithCancel(context.Background())
	n.stop, n.done = cancel, make(chan error, 1)
	go func() { n.done <- n.engine.Run(ctx) }()
}

func (n *nation) kill() {
	if n.engine == nil {
		return
	}
	n.stop()
	<-n.done
	n.becomes(nil)
	if err := n.store.Close(); err != nil {
		n.world.t.Error(err)
	}
}

type pathKey struct{}

// wire carries a request over a path to the other nation.
type wire struct {
	from *nation
	at   link.Path
}

func (c wire) RoundTrip(r *http.Request) (*http.Response, error) {
	w, to := c.from.world, c.from.other
	w.mu.Lock()
	cut, spoil := w.cut[way(c.from.TrustDomain(), c.at)], w.spoil
	w.mu.Unlock()
	engine := to.running()
	if cut || engine == nil {
		<-r.Context().Done() // nothing answers
		return nil, r.Context().Err()
	}
	there := link.Path{TrustDomain: c.from.TrustDomain(), Address: c.at.Address, Accepted: !c.at.Accepted}
	ctx := access.WithPeer(r.Context(), access.Peer{Name: c.from.name, TrustDomain: c.from.TrustDomain(), State: config.Active, Relay: true})
	answer := httptest.NewRecorder()
	engine.Handler().ServeHTTP(answer, r.WithContext(context.WithValue(ctx, pathKey{}, there)))
	resp := answer.Result()
	if spoil != nil {
		resp.Body = nopCloser{bytes.NewReader(spoil(answer.Body.Bytes()))}
	}
	return resp, nil
}

type nopCloser struct{ *bytes.Reader }

func (nopCloser) Close() error { return nil }

// states are those of the report, by path, as sent/received.
func (n *nation) states() map[string]string {
	n.world.t.Helper()
	hotlines := []report.Hotline{{Name: "to-" + n.other.name}}
	if err := n.engine.Complete(context.Background(), hotlines); err != nil {
		n.world.t.Fatal(err)
	}
	out := map[string]string{}
	for _, c := range hotlines[0].LineChecks {
		out[c.Address] = fmt.Sprintf("%s/%s", c.Sent, c.Received)
	}
	return out
}

func (n *nation) expect(all string, except map[string]string) {
	n.world.t.Helper()
	got := n.states()
	if len(got) != 4 {
		n.world.t.Errorf("%s knows the paths %v", n.name, got)
	}
	for address, state := range got {
		want := all
		if other, ok := except[address]; ok {
			want = other
		}
		if state != want {
			n.world.t.Errorf("%s: %s is %s, want %s", n.name, address, state, want)
		}
	}
}

func bubble(t *testing.T, checks config.LineChecks, f func(t *testing.T, w *world)) {
	t.Helper()
	bubbleAt(t, 29*24*time.Hour, checks, f) // the month ends in two days
}

// atTheEndOfAMonth is a world that checks each six hours, twice or thrice before its month is over.
func atTheEndOfAMonth(t *testing.T, f func(t *testing.T, w *world)) {
	t.Helper()
	bubbleAt(t, 31*24*time.Hour-14*time.Hour, sixHourly, f)
}

// bubbleAt begins so long after the first of a January.
func bubbleAt(t *testing.T, after time.Duration, checks config.LineChecks, f func(t *testing.T, w *world)) {
	t.Helper()
	testbubble.Run(t, func(t *testing.T) {
		<-time.After(after)
		w := newWorld(t, checks)
		defer w.end()
		f(t, w)
	})
}

// pass lets time pass.
func pass(d time.Duration) {
	<-time.After(d)
	synctest.Wait()
}

func isNotFound(err error) bool { return errors.Is(err, store.ErrNotFound) }
