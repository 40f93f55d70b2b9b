// SPDX-FileCopyrightText: The certlink authors
// SPDX-License-Identifier: Apache-2.0

package transit

import (
	"bytes"
	"context"
	"crypto"
	"crypto/x509"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/spiffe/go-spiffe/v2/bundle/x509bundle"
	"github.com/spiffe/go-spiffe/v2/spiffeid"
	"go.uber.org/goleak"

	"github.com/certlink/certlink/internal/testca"
	"github.com/certlink/certlink/relay/access"
	"github.com/certlink/certlink/relay/config"
	"github.com/certlink/certlink/relay/link"
	"github.com/certlink/certlink/relay/report"
	"github.com/certlink/certlink/relay/seal"
	"github.com/certlink/certlink/relay/store/sqlite"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const (
	alfa, bravo, charlie, delta = "alfa.example", "bravo.example", "charlie.example", "delta.example"
	messages                    = link.PathHotline + "messages"
	text                        = "the dam at the upper lake was opened from outside"
)

// world is four nations and the wires between them, in one process.
type world struct {
	t       *testing.T
	nations map[string]*nation

	mu   sync.Mutex // guards what follows
	cut  map[string]bool
	seen [][]byte // bodies on wires from and to charlie
	// tamper changes what a handler gets or says; nil changes nothing.
	tamper func(from, to string, r *http.Request, serve http.Handler, w http.ResponseWriter)
}

// nation is one relay.
type nation struct {
	*testIdentity
	name   string
	world  *world
	key    seal.PrivateKey
	peers  map[string]seal.PublicKey
	config *config.Config
	engine *Engine
	served []served
	files  http.Handler    // behind transit, in place of serve
	ahead  time.Duration   // of its clock
	slow   map[string]bool // trust domains whose answers come byte by byte
}

// served is a request that reached the handlers of a hotline.
type served struct {
	from, method, path, body, contentType string
	relay                                 bool
}

type testIdentity struct {
	*x509bundle.Set
	pair        testca.Pair
	trustDomain string
}

func (i *testIdentity) SigningChain() ([]*x509.Certificate, crypto.Signer) {
	return i.pair.Chain, i.pair.Key
}
func (i *testIdentity) TrustDomain() string { return i.trustDomain }

func newWorld(t *testing.T) *world {
	t.Helper()
	w := &world{t: t, nations: map[string]*nation{}, cut: map[string]bool{}}
	bundles := x509bundle.NewSet()
	for _, td := range []string{alfa, bravo, charlie, delta} {
		ca := testca.New(t, td)
		bundles.Add(x509bundle.FromX509Authorities(spiffeid.RequireTrustDomainFromString(td), []*x509.Certificate{ca.Root}))
		key, err := seal.NewPrivateKey()
		if err != nil {
			t.Fatal(err)
		}
		w.nations[td] = &nation{
			testIdentity: &testIdentity{Set: bundles, pair: ca.Leaf(t, testca.Leaf{Path: "/signing"}), trustDomain: td},
			name:         short(td), world: w, key: key, peers: map[string]seal.PublicKey{},
		}
	}
	for _, n := range w.nations {
		for td, other := range w.nations {
			n.peers[td] = other.key.Public()
		}
		n.start(t)
	}
	return w
}

func short(td string) string { return strings.TrimSuffix(td, ".example") }

func (n *nation) start(t *testing.T) {
	t.Helper()
	c := &config.Config{}
	for td, other := range n.world.nations {
		if td == n.trustDomain {
			continue
		}
		c.Peers = append(c.Peers, config.Peer{Name: other.name, TrustDomain: td, State: config.Active, Transit: config.TransitAllowed})
	}
	switch n.trustDomain {
	case alfa:
		c.Hotlines = []config.Hotline{{Name: "to-bravo", Peer: "bravo", Transit: []string{"charlie", "delta"}}}
	case bravo:
		c.Hotlines = []config.Hotline{{Name: "to-alfa", Peer: "alfa", Transit: []string{"charlie", "delta"}}}
	}
	c.SetDefaults()
	stored, err := sqlite.Open(t.Context(), sqlite.Config{Path: filepath.Join(t.TempDir(), "relay.db")})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = stored.Close() })
	n.config = c
	n.engine, err = New(Config{
		Identity: func() Identity { return n.testIdentity }, Keys: n, Store: stored, Direct: n.direct,
		Down:    func(td string) bool { return n.world.isCut(n.trustDomain, td) },
		Carries: func(string) (bool, bool) { return true, true },
		Through: func(string) ([]string, bool) { return []string{charlie, delta}, true },
		Serve:   http.HandlerFunc(n.serve), Now: func() time.Time { return time.Now().Add(n.ahead) }, Log: slog.New(slog.DiscardHandler),
	})
	if err != nil {
		t.Fatal(err)
	}
	n.engine.Apply(c)
}

// Private implements Keys.
func (n *nation) Private(context.Context, seal.KeyID) []seal.PrivateKey {
	return []seal.PrivateKey{n.key}
}

// Peer implements Keys.
func (n *nation) Peer(_ context.Context, td string) (seal.PublicKey, error) { return n.peers[td], nil }

// serve are the handlers of the hotline behind transit.
func (n *nation) serve(w http.ResponseWriter, r *http.Request) {
	if n.files != nil {
		n.files.ServeHTTP(w, r)
		return
	}
	peer, _ := access.PeerFrom(r.Context())
	body, _ := io.ReadAll(r.Body)
	n.world.mu.Lock()
	n.served = append(n.served, served{peer.TrustDomain, r.Method, r.RequestURI, string(body), r.Header.Get("Content-Type"), peer.Relay})
	n.world.mu.Unlock()
	w.Header().Set("Content-Type", "text/plain")
	w.WriteHeader(http.StatusCreated)
	_, _ = io.WriteString(w, "receipt for "+string(body))
}

func (w *world) isCut(a, b string) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.cut[a+b] || w.cut[b+a]
}

func (w *world) setCut(a, b string, cut bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.cut[a+b] = cut
}

// direct is the wire between two nations.
func (n *nation) direct(td string) *http.Client {
	return &http.Client{Transport: roundTrip(func(r *http.Request) (*http.Response, error) {
		w := n.world
		if w.isCut(n.trustDomain, td) {
			return nil, &link.Error{Cause: report.CauseUnreachable, Message: "no answer in time"}
		}
		body := []byte{}
		if r.Body != nil {
			body, _ = io.ReadAll(r.Body)
		}
		to := w.nations[td]
		in := httptest.NewRequestWithContext(
			access.WithPeer(r.Context(), access.Peer{Name: n.name, TrustDomain: n.trustDomain, State: config.Active, Relay: true}),
			r.Method, r.URL.RequestURI(), bytes.NewReader(body))
		in.Header = r.Header.Clone()
		serve := http.Handler(http.HandlerFunc(to.serve))
		if strings.HasPrefix(r.URL.Path, pathTransit) {
			serve = to.engine.Handler()
		}
		out := httptest.NewRecorder()
		w.mu.Lock()
		tamper := w.tamper
		w.mu.Unlock()
		if tamper != nil {
			tamper(n.trustDomain, td, in, serve, out)
		} else {
			serve.ServeHTTP(out, in)
		}
		if err := r.Context().Err(); err != nil {
			return nil, err
		}
		if n.trustDomain == charlie || td == charlie {
			w.mu.Lock()
			w.seen = append(w.seen, body, out.Body.Bytes())
			w.mu.Unlock()
		}
		resp := out.Result()
		if n.slow[td] {
			resp.Body = &dripping{from: resp.Body, r: r}
		}
		return resp, nil
	})}
}

type roundTrip func(*http.Request) (*http.Response, error)

func (f roundTrip) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }

// post sends a message from alfa to bravo.
func (w *world) post(ctx context.Context, body string) (status int, answer string, err error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, "https://"+bravo+messages+"?a=b", strings.NewReader(body))
	if err != nil {
		return 0, "", err
	}
	req.Header.Set("Content-Type", "application/jose")
	resp, err := w.nations[alfa].engine.Client(bravo).Do(req)
	if err != nil {
		return 0, "", err
	}
	defer resp.Body.Close()
	content, err := io.ReadAll(resp.Body)
	return resp.StatusCode, string(content), err
}

// emptyBundles trusts nobody.
type emptyBundles struct{}

func (emptyBundles) GetX509BundleForTrustDomain(spiffeid.TrustDomain) (*x509bundle.Bundle, error) {
	return nil, http.ErrNoLocation
}
