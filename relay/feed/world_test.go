// SPDX-FileCopyrightText: The certlink authors
// SPDX-License-Identifier: Apache-2.0

package feed

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/certlink/certlink/internal/teststore"
	"github.com/certlink/certlink/relay/access"
	"github.com/certlink/certlink/relay/config"
	"github.com/certlink/certlink/relay/report"
	"github.com/certlink/certlink/relay/stix"
	"github.com/certlink/certlink/relay/store"
	"github.com/certlink/certlink/relay/store/sqlite"
	"github.com/certlink/certlink/relay/taxii"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const (
	alfaTD, bravoTD, charlieTD = "alfa.example", "bravo.example", "charlie.example"

	clearID = "marking-definition--94868c89-83c2-464b-929b-a1a8aa3c8487"
	greenID = "marking-definition--bab4a63c-aed9-4cf5-a766-dfca5abac2bb"
	redID   = "marking-definition--e828b379-4e03-4974-9ac4-e53a884c97c1"
)

// nation is one side: an engine on a real store, its link port without the TLS,
// and what runs.
type nation struct {
	*Engine
	store   *sqlite.Store
	changed atomic.Int64
	// server is the link port; asking says who asks there.
	server *httptest.Server
	asking atomic.Pointer[access.Peer]
	end    func()
}

// side makes a nation on the store at path; its requests go through transport.
func side(t *testing.T, path string, transport http.RoundTripper) *nation {
	t.Helper()
	return sideOn(t, path, transport, func(s Store) Store { return s })
}

func sideOn(t *testing.T, path string, transport http.RoundTripper, wrap func(Store) Store) *nation {
	t.Helper()
	return sideAs(t, path, transport, wrap, nil)
}

// sideAs makes a nation that signs receipts by an identity, and has changes of its own
// to the configuration of the engine.
func sideAs(t *testing.T, path string, transport http.RoundTripper, wrap func(Store) Store, identity func() Identity, changes ...func(*Config)) *nation {
	t.Helper()
	teststore.Put(t, path)
	s, err := sqlite.Open(t.Context(), sqlite.Config{Path: path})
	if err != nil {
		t.Fatal(err)
	}
	n := &nation{store: s}
	conf := Config{
		Store: wrap(s), Client: func(string) *http.Client { return &http.Client{Transport: transport} },
		Changed: func() { n.changed.Add(1) }, Identity: identity,
	}
	for _, change := range changes {
		change(&conf)
	}
	n.Engine, err = New(conf)
	if err != nil {
		t.Fatal(err)
	}
	n.server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		ctx := r.Context()
		if p := n.asking.Load(); p != nil {
			ctx = access.WithPeer(ctx, *p)
		}
		n.LinkHandler().ServeHTTP(w, r.WithContext(ctx))
	}))
	ctx, cancel := context.WithCancel(context.WithoutCancel(t.Context()))
	done := make(chan error, 1)
	go func() { done <- n.Run(ctx) }()
	stopped := false
	n.end = func() {
		if stopped {
			return
		}
		stopped = true
		cancel()
		if err := <-done; err != nil {
			t.Errorf("run ended with %v", err)
		}
		n.server.Close()
		if err := s.Close(); err != nil {
			t.Errorf("closing store: %v", err)
		}
	}
	t.Cleanup(n.end)
	return n
}

// to is a transport that ends at a nation's link port, whatever the URL says.
func to(n *nation) http.RoundTripper {
	address := n.server.Listener.Addr().String()
	var d net.Dialer
	return &http.Transport{
		DialTLSContext: func(ctx context.Context, network, _ string) (net.Conn, error) {
			return d.DialContext(ctx, network, address)
		},
		DisableKeepAlives: true,
	}
}

func alfaConfig() *config.Config {
	return &config.Config{
		Identity: config.Identity{TrustDomain: alfaTD},
		Peers: []config.Peer{
			{Name: "bravo", TrustDomain: bravoTD, State: config.Active},
			{Name: "charlie", TrustDomain: charlieTD, State: config.Active},
		},
		Exports: []config.Export{{
			Name: "threats", Peers: []string{"bravo"}, Rule: config.Rule{MaxTLP: "GREEN"},
			Sources: []config.Source{{Name: "attack", UnmarkedAs: "CLEAR"}, {Name: "own"}},
		}},
	}
}

func bravoConfig() *config.Config {
	return &config.Config{
		Identity: config.Identity{TrustDomain: bravoTD},
		Peers:    []config.Peer{{Name: "alfa", TrustDomain: alfaTD, State: config.Active}},
		Imports:  []config.Import{{Name: "from-alfa", Peer: "alfa", Collection: "threats", IntervalSeconds: 1}},
	}
}

// pair is alfa, which publishes, and bravo, which collects.
func pair(t *testing.T) (alfa, bravo *nation) {
	t.Helper()
	plain := func(s Store) Store { return s }
	return pairOn(t, plain, plain)
}

func pairOn(t *testing.T, wrapAlfa, wrapBravo func(Store) Store) (alfa, bravo *nation) {
	t.Helper()
	alfa = sideOn(t, filepath.Join(t.TempDir(), "alfa.db"), http.DefaultTransport, wrapAlfa)
	alfa.asking.Store(&access.Peer{Name: "bravo", TrustDomain: bravoTD, State: config.Active, Relay: true})
	alfa.Apply(alfaConfig())
	bravo = sideOn(t, filepath.Join(t.TempDir(), "bravo.db"), to(alfa), wrapBravo)
	bravo.Apply(bravoConfig())
	return alfa, bravo
}

// local makes a request of a tool on the local port.
func local(t *testing.T, n *nation, method, path string, body io.Reader) *http.Response {
	t.Helper()
	r := httptest.NewRequestWithContext(access.WithRole(t.Context(), access.RoleTool), method, path, body)
	r.Header.Set("Accept", taxii.MediaType)
	r.Header.Set("Content-Type", taxii.MediaType)
	w := httptest.NewRecorder()
	n.LocalHandler().ServeHTTP(w, r)
	return w.Result()
}

// push posts an envelope or bundle to a source.
func push(t *testing.T, n *nation, source string, envelope []byte) taxii.Status {
	t.Helper()
	resp := local(t, n, http.MethodPost, "/taxii2/local/collections/threats."+source+"/objects/", bytes.NewReader(envelope))
	var s taxii.Status
	if err := json.NewDecoder(resp.Body).Decode(&s); err != nil || resp.StatusCode != http.StatusAccepted {
		t.Fatalf("pushing to %s: %d, %v", source, resp.StatusCode, err)
	}
	eventually(t, "what was pushed is stored", func() bool {
		if s.Status == taxii.Pending {
			resp := local(t, n, http.MethodGet, "/taxii2/local/status/"+s.ID+"/", http.NoBody)
			if err := json.NewDecoder(resp.Body).Decode(&s); err != nil {
				t.Fatal(err)
			}
		}
		return s.Status == taxii.Complete
	})
	return s
}

func envelope(objects ...string) []byte {
	return []byte(`{"objects":[` + strings.Join(objects, ",") + `]}`)
}

func indicator(n int, markings ...string) string {
	refs := ""
	if len(markings) > 0 {
		refs = fmt.Sprintf(`,"object_marking_refs":["%s"]`, strings.Join(markings, `","`))
	}
	return fmt.Sprintf(`{"type": "indicator","spec_version":"2.1","id":"indicator--00000000-0000-4000-8000-%012d","created":"2026-01-01T00:00:00.000Z","modified":"2026-01-01T00:00:00.000Z","name":"\u0041 %d"%s}`, n, n, refs)
}

// collected reads a collection of the local port to its end.
func collected(t *testing.T, n *nation, name string) []string {
	t.Helper()
	var all []string
	query := "?limit=700"
	for {
		resp := local(t, n, http.MethodGet, "/taxii2/local/collections/"+name+"/objects/"+query, http.NoBody)
		if resp.StatusCode != http.StatusOK {
			t.Fatalf("reading %s: %d", name, resp.StatusCode)
		}
		r := stix.NewReader(resp.Body)
		for {
			o, err := r.Read()
			if errors.Is(err, io.EOF) {
				break
			}
			if err != nil {
				t.Fatal(err)
			}
			all = append(all, string(o.Raw))
		}
		if !r.More() {
			return all
		}
		query = "?limit=700&next=" + r.Next()
	}
}

// eventually waits for a condition.
func eventually(t *testing.T, what string, holds func() bool) {
	t.Helper()
	deadline := time.After(time.Minute)
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	for !holds() {
		select {
		case <-deadline:
			t.Fatalf("in a minute it did not come about that %s", what)
		case <-tick.C:
		}
	}
}

func exportOf(t *testing.T, n *nation) report.Export {
	t.Helper()
	list, err := n.ReportExports(t.Context())
	if err != nil || len(list) > 1 {
		t.Fatalf("exports = %v, %v", list, err)
	}
	if len(list) == 0 {
		return report.Export{}
	}
	return list[0]
}

func importOf(t *testing.T, n *nation) report.Import {
	t.Helper()
	list, err := n.ReportImports(t.Context())
	if err != nil || len(list) > 1 {
		t.Fatalf("imports = %v, %v", list, err)
	}
	if len(list) == 0 {
		return report.Import{}
	}
	return list[0]
}

func bundle(t *testing.T) (all []byte, objects []string) {
	t.Helper()
	all, err := os.ReadFile("../../test/data/ics-attack-18.1.json")
	if err != nil {
		t.Fatal(err)
	}
	var b struct{ Objects []json.RawMessage }
	if err := json.Unmarshal(all, &b); err != nil {
		t.Fatal(err)
	}
	for _, o := range b.Objects {
		objects = append(objects, string(o))
	}
	return all, objects
}

// hooked is a store whose calls can be made to fail.
type hooked struct {
	Store
	put, decide func() error
}

func (h *hooked) PutObjects(ctx context.Context, c string, o []store.Object, cursor string) ([]store.Outcome, error) {
	if h.put != nil {
		if err := h.put(); err != nil {
			return nil, err
		}
	}
	return h.Store.PutObjects(ctx, c, o, cursor)
}

func (h *hooked) Decide(ctx context.Context, v store.View, d []store.Decision) error {
	if h.decide != nil {
		if err := h.decide(); err != nil {
			return err
		}
	}
	return h.Store.Decide(ctx, v, d)
}
