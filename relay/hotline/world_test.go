// SPDX-FileCopyrightText: The certlink authors
// SPDX-License-Identifier: Apache-2.0

package hotline

import (
	"context"
	"crypto"
	"crypto/x509"
	"errors"
	"net/http"
	"path/filepath"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/spiffe/go-spiffe/v2/bundle/x509bundle"
	"github.com/spiffe/go-spiffe/v2/spiffeid"
	"go.uber.org/goleak"

	"github.com/certlink/certlink/internal/testca"
	"github.com/certlink/certlink/internal/teststore"
	"github.com/certlink/certlink/relay/config"
	"github.com/certlink/certlink/relay/preempt"
	"github.com/certlink/certlink/relay/report"
	"github.com/certlink/certlink/relay/store"
	"github.com/certlink/certlink/relay/store/sqlite"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

var (
	errDead     = errors.New("the process is dead")
	errUnsynced = errors.New("what is shown may not be on the disk yet")
)

// world is two nations and the wire between them, in one process. It runs in a
// synctest bubble: time passes when everybody waits.
type world struct {
	alfa, bravo *nation

	mu    sync.Mutex         // guards what follows, and lets one step be judged at a time
	fault func(step) outcome // nil: everything works
}

// faults makes f judge every step of every nation from now on.
func (w *world) faults(f func(step) outcome) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.fault = f
}

// step is a moment at which things can go wrong.
type step struct {
	nation string // who does it
	what   string // commit, Enqueue, Accept, Append, PutReceipts, Pending, Placed, sign, request, response
}

// outcome of a step.
type outcome int

const (
	works outcome = iota
	// fails: an error, and nothing was done.
	fails
	// lies: an error, though it was done.
	lies
	// full: the disk is full.
	full
)

func (w *world) at(nation, what string) outcome {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.fault == nil {
		return works
	}
	return w.fault(step{nation, what})
}

// nation is one side. It can die and come back with the same disk.
type nation struct {
	t           *testing.T
	world       *world
	name        string
	trustDomain string
	path        string
	ca          *testca.CA
	config      *config.Config
	pages       pages // of a recovery; zero: as usual
	changes     atomic.Int64
	// ahead is how far its clock is ahead of the bubble's, in nanoseconds.
	ahead atomic.Int64
	// late is how long what it asked for is on its way back, in nanoseconds.
	late atomic.Int64

	// moves is how many transactions gave messages other serials, mostMoved and mostBytes the most of one.
	moves, mostMoved, mostBytes atomic.Int64
	// mostLooked is how many places one transaction looked at, the most.
	mostLooked atomic.Int64

	mu       sync.Mutex // guards what follows
	identity Identity
	alive    *life
}

// life is one process of a nation.
type life struct {
	dead atomic.Bool
	// unflushed: what was written last could not be synced; the store does nothing more.
	unflushed atomic.Bool
	// unsynced: what was written last is not on the disk yet; who glances is refused, so that a test sees who does.
	unsynced atomic.Bool
	// untold: the next change of a line is made, and the connection breaks before the relay learns of it.
	untold atomic.Bool
	// unreadable: messages cannot be listed.
	unreadable atomic.Bool
	store      *sqlite.Store
	engine     *Engine
	gate       *preempt.Gate
	stop       context.CancelFunc
	done       chan error
}

func newWorld(t *testing.T) *world {
	t.Helper()
	w := &world{}
	w.alfa, w.bravo = newNation(t, w, "alfa"), newNation(t, w, "bravo")
	for _, n := range []*nation{w.alfa, w.bravo} {
		n.identity = n.newIdentity(w.alfa.ca, w.bravo.ca)
		n.start()
		t.Cleanup(n.kill)
	}
	return w
}

func newNation(t *testing.T, w *world, name string) *nation {
	t.Helper()
	other := map[string]string{"alfa": "bravo", "bravo": "alfa"}[name]
	c := &config.Config{
		Peers:    []config.Peer{{Name: other, TrustDomain: other + ".example", DisplayName: "CERT " + other, State: config.Active}},
		Hotlines: []config.Hotline{{Name: "to-" + other, Peer: other}},
	}
	c.SetDefaults()
	path := filepath.Join(t.TempDir(), "relay.db")
	teststore.Put(t, path)
	return &nation{
		t: t, world: w, name: name, trustDomain: name + ".example", path: path,
		ca: testca.New(t, name+".example"), config: c,
	}
}

// testIdentity is who a nation is and whom it trusts.
type testIdentity struct {
	*x509bundle.Set
	pair        testca.Pair
	trustDomain string
}

func (i *testIdentity) SigningChain() ([]*x509.Certificate, crypto.Signer) {
	return i.pair.Chain, i.pair.Key
}
func (i *testIdentity) TrustDomain() string { return i.trustDomain }

func (n *nation) newIdentity(trusted ...*testca.CA) *testIdentity {
	set := x509bundle.NewSet()
	for _, ca := range trusted {
		set.Add(x509bundle.FromX509Authorities(spiffeid.RequireTrustDomainFromString(ca.TrustDomain), []*x509.Certificate{ca.Root}))
	}
	return &testIdentity{Set: set, pair: n.ca.Leaf(n.t, testca.Leaf{Path: "/signing"}), trustDomain: n.trustDomain}
}

func (n *nation) become(i Identity) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.identity = i
}

func (n *nation) who() Identity {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.identity
}

// start starts the process over what is on the disk.
func (n *nation) start() {
	n.t.Helper()
	s, err := sqlite.Open(context.Background(), sqlite.Config{Path: n.path})
	if err != nil {
		n.t.Fatal(err)
	}
	l := &life{store: s, done: make(chan error, 1), gate: preempt.New()}
	l.engine, err = New(Config{
		Store:    &faultyStore{Store: s, nation: n, life: l},
		Identity: func() Identity { return &faultyIdentity{Identity: n.who(), nation: n, life: l} },
		Client:   func(string) *http.Client { return &http.Client{Transport: &cable{from: n, life: l}} },
		Now:      func() time.Time { return time.Now().Add(time.Duration(n.ahead.Load())) },
		Changed:  func() { n.changes.Add(1) },
		Preempt:  l.gate,
		Registry: prometheus.NewRegistry(),
	})
	if err != nil {
		n.t.Fatal(err)
	}
	if n.pages != (pages{}) {
		l.engine.pages = n.pages
	}
	l.engine.Apply(n.config)
	ctx, cancel := context.WithCancel(context.Background())
	l.stop = cancel
	go func() { l.done <- l.engine.Run(ctx) }()
	n.mu.Lock()
	n.alive = l
	n.mu.Unlock()
}

// kill ends the process, if it runs.
func (n *nation) kill() {
	n.mu.Lock()
	l := n.alive
	n.alive = nil
	n.mu.Unlock()
	if l == nil {
		return
	}
	l.dead.Store(true)
	l.stop()
	if err := <-l.done; err != nil {
		n.t.Errorf("Run of %s: %v", n.name, err)
	}
	if err := l.store.Close(); err != nil {
		n.t.Errorf("closing the store of %s: %v", n.name, err)
	}
}

// life returns the process; it may be dying.
func (n *nation) life() *life {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.alive
}

func (n *nation) engine() *Engine { return n.life().engine }

// revive starts a nation that died.
func (n *nation) revive() {
	if l := n.life(); l == nil || l.dead.Load() {
		n.kill()
		n.start()
	}
}

// quiet lets an hour pass, with every nation alive.
func (w *world) quiet() { w.pass(60) }

// pass lets so many minutes pass, with every nation alive.
func (w *world) pass(minutes int) {
	for range minutes {
		w.alfa.revive()
		w.bravo.revive()
		<-time.After(time.Minute)
	}
}

// do applies the outcome of a step to an operation of a process. A crash that is
// wanted there happens in fault, which marks the process as dead.
func do(n *nation, l *life, what string, op func() error) error {
	if l.dead.Load() {
		return errDead
	}
	switch n.world.at(n.name, what) {
	case fails:
		return errDead
	case full:
		return store.ErrFull
	case lies:
		_ = op()
		return errDead
	}
	return op()
}

// faultyIdentity signs, unless the process dies before.
type faultyIdentity struct {
	Identity
	nation *nation
	life   *life
}

func (i *faultyIdentity) SigningChain() (chain []*x509.Certificate, key crypto.Signer) {
	_ = do(i.nation, i.life, "sign", func() error {
		chain, key = i.Identity.SigningChain()
		return nil
	})
	return chain, key
}

func (w *world) nation(trustDomain string) *nation {
	if trustDomain == w.alfa.trustDomain {
		return w.alfa
	}
	return w.bravo
}

// report returns the state of a nation's only hotline.
func (n *nation) report() report.Hotline {
	n.t.Helper()
	hotlines, err := n.engine().ReportHotlines(n.t.Context())
	if err != nil || len(hotlines) != 1 {
		n.t.Fatalf("report of %s: %v, %v", n.name, hotlines, err)
	}
	return hotlines[0]
}
