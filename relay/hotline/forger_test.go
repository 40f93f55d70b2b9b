// SPDX-FileCopyrightText: The certlink authors
// SPDX-License-Identifier: Apache-2.0

package hotline

import (
	"encoding/json"
	"testing"
	"time"

	"golang.org/x/mod/sumdb/tlog"

	"github.com/certlink/certlink/relay/hotline/wire"
	"github.com/certlink/certlink/relay/journal"
)

func payload(from, to string) Payload {
	return Payload{
		Version: Version, ID: firstID, Serial: 1, From: from, To: to, Conversation: "talk", Kind: "INQUIRY",
		Precedence: "ROUTINE", TLP: "AMBER", CreatedAt: time.Unix(1, 0).UTC(), Officer: "Officer One", Subject: "s", Text: "t", Language: "en",
	}
}

func mustJSON(t *testing.T, v any) []byte {
	t.Helper()
	raw, err := json.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	return raw
}

// forger is a log in memory that says what a test wants, under any signature.
type forger struct {
	identity Identity
	origin   string
	tree     tlog.Tree
	hashes   []tlog.Hash
	kinds    []journal.Kind
	bodies   [][]byte
	// change is made to each batch before it is encoded.
	change func(b *wire.Batch)
}

func (f *forger) ReadHashes(indexes []int64) ([]tlog.Hash, error) {
	out := make([]tlog.Hash, len(indexes))
	for i, at := range indexes {
		out[i] = f.hashes[at]
	}
	return out, nil
}

// say enters something and returns its index.
func (f *forger) say(t *testing.T, kind journal.Kind, body []byte) int64 {
	t.Helper()
	tree, added, err := journal.Grow(f.tree, []tlog.Hash{journal.LeafHash(kind, body)}, f)
	if err != nil {
		t.Fatal(err)
	}
	for _, a := range added {
		f.hashes = append(f.hashes, a.Hash)
	}
	f.tree, f.kinds, f.bodies = tree, append(f.kinds, kind), append(f.bodies, body)
	return tree.N - 1
}

// batch encodes entries under the present checkpoint, which continues a log of size from.
func (f *forger) batch(t *testing.T, from int64, indexes ...int64) []byte {
	t.Helper()
	chain, key := f.identity.SigningChain()
	signed, err := journal.Seal(journal.Checkpoint{Origin: f.origin, Tree: f.tree}, key)
	if err != nil {
		signed = []byte("no checkpoint")
	}
	b := &wire.Batch{Checkpoint: signed}
	for _, c := range chain {
		b.Chain = append(b.Chain, c.Raw)
	}
	p := wire.NewProver(b, f.tree, f)
	if err := p.Continue(from); err != nil {
		t.Fatal(err)
	}
	for _, i := range indexes {
		if err := p.Add(wire.Entry{Index: i, Kind: string(f.kinds[i]), Body: f.bodies[i]}); err != nil {
			t.Fatal(err)
		}
	}
	if f.change != nil {
		f.change(b)
	}
	raw, err := b.Encode()
	if err != nil {
		t.Fatal(err)
	}
	return raw
}

// forges is a log of alfa for bravo that the test writes itself.
func (w *world) forges() *forger {
	return &forger{identity: w.alfa.who(), origin: journal.Origin("alfa.example", "bravo.example")}
}

// message makes a batch of one message in a fresh log.
func (w *world) message(t *testing.T, raw []byte) []byte {
	t.Helper()
	f := w.forges()
	return f.batch(t, 0, f.say(t, journal.Message, raw))
}

// sayAfter enters a message.
func (f *forger) sayAfter(t *testing.T, raw []byte) int64 {
	t.Helper()
	return f.say(t, journal.Message, raw)
}
