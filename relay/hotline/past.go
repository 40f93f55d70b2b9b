// SPDX-FileCopyrightText: The certlink authors
// SPDX-License-Identifier: Apache-2.0

package hotline

import (
	"cmp"
	"fmt"
	"slices"

	"github.com/go-json-experiment/json"
	"golang.org/x/mod/sumdb/tlog"

	"github.com/certlink/certlink/relay/hotline/wire"
	"github.com/certlink/certlink/relay/journal"
	"github.com/certlink/certlink/relay/store"
)

// Bounds of what is kept of a history that the peer has left: the links from the largest sizes, which are those of the
// batches that can still be on their way when its database was lost. The store shows 16 notes of the peer at most.
const (
	keptLinks     = 32
	keptLinkBytes = 32 << 10
)

// leftNote is a note of the peer as it is stored: what the peer said, and what we know of the history which it leaves, so that
// a batch of that one is known as such after a restart, and by another replica.
type leftNote struct {
	continuation `json:",inline"`
	Links        []keptLink `json:"links,omitempty"`
}

// keptLink proves that a state of From entries is of the history that was left: the path leads from it to one of Size entries
// with this root, which we held.
type keptLink struct {
	From int64  `json:"from"`
	Size int64  `json:"size"`
	Root []byte `json:"root"`
	Path []byte `json:"path,omitempty"`
}

// leadsFrom tells whether it is this state that the link begins at.
func (k *keptLink) leadsFrom(c journal.Checkpoint) bool {
	if k.From != c.Tree.N || len(k.Root) != tlog.HashSize || len(k.Path)%tlog.HashSize != 0 {
		return false
	}
	held := journal.Checkpoint{Origin: c.Origin, Tree: tlog.Tree{N: k.Size, Hash: tlog.Hash(k.Root)}}
	o := &wire.Opened{Batch: &wire.Batch{Steps: []wire.Step{{From: k.From, Path: k.Path}}}, Log: held}
	return holds(o.Continues(c.Tree))
}

// keepLeft is the note that is stored with the history which the peer leaves.
func (p *peerLog) keepLeft(said *continuation) ([]byte, error) {
	note, err := json.Marshal(&leftNote{*said, p.lastLinks()}, json.Deterministic(true))
	if err != nil {
		return nil, fmt.Errorf("encoding a note of the peer: %w", err)
	}
	return note, nil
}

// readLeft reads what keepLeft wrote, or an earlier release, which kept no links; nil if it is no such note.
func readLeft(note []byte) (*continuation, []keptLink) {
	var n leftNote
	if err := json.Unmarshal(note, &n); err != nil || n.Version != 1 || n.Note != noteContinued {
		return nil, nil
	}
	return &n.continuation, n.Links
}

// lastLinks are those from the largest sizes of the present history, within the bounds.
func (p *peerLog) lastLinks() []keptLink {
	p.mu.Lock()
	defer p.mu.Unlock()
	sizes := slices.SortedFunc(slices.Values(p.order), func(a, b int64) int { return cmp.Compare(b, a) })
	var out []keptLink
	bytes := 0
	for _, from := range sizes[:min(len(sizes), keptLinks)] {
		o := p.links[from]
		k := keptLink{From: from, Size: o.Log.Tree.N, Root: o.Log.Tree.Hash[:]}
		if len(o.Steps) > 0 {
			k.Path = o.Steps[0].Path
		}
		if bytes += len(k.Path) + len(k.Root); bytes > keptLinkBytes {
			break
		}
		out = append(out, k)
	}
	return out
}

// continuedPast is continues for the history that the peer left last.
func (p *peerLog) continuedPast(c journal.Checkpoint) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return leads(p.past, c)
}

// stateLeft is the state of a batch that belongs to a history which the peer has said that it left: it was
// late on its way, and speaks neither for nor against what is held. It is answered like wire.Behind.
const stateLeft = "Left"

// ofThePast tells whether a batch that excludes what is held is of a history which the peer has left: that it
// continues the state which was left, or comes before that. One of a third history is not excused.
func (l *line) ofThePast(r store.LineReader, o *wire.Opened) (bool, error) {
	if l.peerLog.continuedPast(o.Log) {
		return true, nil
	}
	list, err := r.Breaks(false)
	if err != nil {
		return false, fmt.Errorf("reading what the peer has left: %w", err)
	}
	for _, b := range list {
		said, links := readLeft(b.Note)
		if said == nil {
			continue
		}
		if left, ok := said.left(); ok && left.N > 0 && left.N <= o.Log.Tree.N && holds(o.Continues(left)) {
			return true, nil
		}
		if slices.ContainsFunc(links, func(k keptLink) bool { return k.leadsFrom(o.Log) }) {
			return true, nil
		}
	}
	return false, nil
}
