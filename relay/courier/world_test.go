// SPDX-FileCopyrightText: The certlink authors
// SPDX-License-Identifier: Apache-2.0

package courier

import (
	"bytes"
	"context"
	"crypto"
	"crypto/sha256"
	"crypto/x509"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"path/filepath"
	"testing"

	"github.com/spiffe/go-spiffe/v2/bundle/x509bundle"
	"github.com/spiffe/go-spiffe/v2/spiffeid"
	"go.uber.org/goleak"

	"github.com/certlink/certlink/internal/testca"
	"github.com/certlink/certlink/relay/config"
	"github.com/certlink/certlink/relay/seal"
	"github.com/certlink/certlink/relay/store"
	"github.com/certlink/certlink/relay/store/sqlite"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// nation is one side, with the hotline behind the courier played by lists.
type nation struct {
	*x509bundle.Set
	pair   testca.Pair
	td     string
	key    seal.PrivateKey
	peer   *nation
	stored *sqlite.Store
	engine *Engine

	queued   [][]byte // requests
	payloads []string // of their messages, one in each
	got      map[string]int
	settled  map[string]int
	acts     []string
	refuses  string
	missing  []string
}

func (n *nation) SigningChain() ([]*x509.Certificate, crypto.Signer) { return n.pair.Chain, n.pair.Key }

func (n *nation) TrustDomain() string { return n.td }

func (n *nation) Private(context.Context, seal.KeyID) []seal.PrivateKey {
	return []seal.PrivateKey{n.key}
}

func (n *nation) Peer(context.Context, string) (seal.PublicKey, error) {
	return n.peer.key.Public(), nil
}

func (n *nation) ComposeQueued(_ context.Context, _ string, batch func([]byte, []store.Message) error) (bool, error) {
	for i, request := range n.queued {
		if n.settled[string(request)] > 0 {
			continue
		}
		if err := batch(request, []store.Message{{ID: fmt.Sprint(i), Payload: []byte(n.payloads[i])}}); err != nil {
			return false, err
		}
	}
	return false, nil
}

func (n *nation) Receive(_ context.Context, _ string, request []byte) ([]byte, error) {
	if n.refuses != "" {
		return nil, errors.New(n.refuses)
	}
	n.got[string(request)]++
	return append([]byte("answer to "), request...), nil
}

func (n *nation) NotStored(context.Context, string, []byte, []byte) ([]string, error) {
	return n.missing, nil
}

func (n *nation) Settle(_ context.Context, _ string, answer []byte) error {
	request, ok := bytes.CutPrefix(answer, []byte("answer to "))
	if !ok {
		return errors.New("no answer")
	}
	n.settled[string(request)]++
	return nil
}

func (n *nation) RecordAct(_ context.Context, _, name, _ string, details map[string]string) error {
	n.acts = append(n.acts, name+" "+details["messages"])
	return nil
}

func newPair(t testing.TB) (a, b *nation) {
	t.Helper()
	bundles := x509bundle.NewSet()
	raise := func(td string) *nation {
		ca := testca.New(t, td)
		bundles.Add(x509bundle.FromX509Authorities(spiffeid.RequireTrustDomainFromString(td), []*x509.Certificate{ca.Root}))
		key, err := seal.NewPrivateKey()
		if err != nil {
			t.Fatal(err)
		}
		stored, err := sqlite.Open(t.Context(), sqlite.Config{Path: filepath.Join(t.TempDir(), "relay.db")})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = stored.Close() })
		return &nation{
			Set: bundles, pair: ca.Leaf(t, testca.Leaf{Path: "/signing"}), td: td, key: key, stored: stored,
			got: map[string]int{}, settled: map[string]int{},
		}
	}
	a, b = raise(alfa), raise(bravo)
	a.peer, b.peer = b, a
	for _, n := range []*nation{a, b} {
		var err error
		n.engine, err = New(Config{Identity: func() Identity { return n }, Keys: n, Lines: n, Store: n.stored, Log: slog.New(slog.DiscardHandler)})
		if err != nil {
			t.Fatal(err)
		}
		n.engine.Apply(&config.Config{
			Peers:    []config.Peer{{Name: "peer", TrustDomain: n.peer.td}},
			Hotlines: []config.Hotline{{Name: "line", Peer: "peer"}},
		})
	}
	return a, b
}

func (n *nation) queue(request, payload string) {
	n.queued, n.payloads = append(n.queued, []byte(request)), append(n.payloads, payload)
}

// attach stores an attachment of ours and queues a message that names it.
func (n *nation) attach(t *testing.T, content []byte) store.Hash {
	t.Helper()
	sum := sha256.Sum256(content)
	k := store.AttachmentKey{Direction: store.Out, Peer: n.peer.td, SHA256: sum}
	for at := 0; at < len(content); at += store.MaxChunk {
		part := content[at:min(len(content), at+store.MaxChunk)]
		if _, err := n.stored.AppendAttachment(t.Context(), k, int64(len(content)), int64(at), part, looseLimits); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := n.stored.CompleteAttachment(t.Context(), k); err != nil {
		t.Fatal(err)
	}
	n.queue("with attachment "+hex.EncodeToString(sum[:4]), fmt.Sprintf(`{"attachments":[{"name":"x.bin","size":%d,"sha256":"%x"}]}`, len(content), sum))
	return sum
}

// export writes files of a size into a new directory.
func (n *nation) export(t testing.TB, size int64) (Summary, []string) {
	t.Helper()
	b, err := n.engine.Begin(t.Context(), "line", "eve")
	if err != nil {
		t.Fatal(err)
	}
	split, err := NewSplitter(t.TempDir(), "to-"+n.peer.td, b.Set, b.From, b.To, size)
	if err != nil {
		t.Fatal(err)
	}
	s, err := b.Write(t.Context(), split)
	if err != nil {
		t.Fatal(err)
	}
	files, err := split.Commit()
	if err != nil {
		t.Fatal(err)
	}
	return s, files
}

// imports takes files in as the command does: sort, check, import.
func (n *nation) imports(t testing.TB, files ...string) (Summary, error) {
	t.Helper()
	sets, bad := Sort(files)
	if len(bad) > 0 || len(sets) != 1 {
		return Summary{}, errors.Join(append(bad, fmt.Errorf("%d sets", len(sets)))...)
	}
	var s Summary
	for _, step := range []func(context.Context, string, io.Reader) (Summary, error){
		n.engine.Check,
		func(ctx context.Context, from string, r io.Reader) (Summary, error) {
			return n.engine.Import(ctx, from, "eve", r)
		},
	} {
		r, err := sets[0].Open()
		if err != nil {
			return s, err
		}
		s, err = step(t.Context(), sets[0].From, r)
		if err := errors.Join(err, r.Close()); err != nil {
			return s, err
		}
	}
	return s, nil
}
