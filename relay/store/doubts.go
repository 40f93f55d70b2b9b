// SPDX-FileCopyrightText: The certlink authors
// SPDX-License-Identifier: Apache-2.0

package store

import (
	"encoding/json"
	"fmt"
	"time"
)

// Kinds of doubts about a peer's journal.
const (
	// DoubtForked: no proof holds between two of its checkpoints.
	DoubtForked = "Forked"
	// DoubtOlder: for some time it has shown nothing but what is older than what we hold.
	DoubtOlder = "Older"
)

// MaxDoubts is how many settled doubts about a peer are kept, the newest.
const MaxDoubts = 16

// Doubt is what speaks against a peer's journal: two checkpoints that it signed, with the
// chains of their signers, so that it can be judged without anything else of the store.
type Doubt struct {
	// Kind is DoubtForked or DoubtOlder.
	Kind string
	// At is when it was found.
	At time.Time
	// Held is the checkpoint that we held, Shown the one that came.
	Held, Shown Checkpoint
	// SettledAt is when it ended and SettledBy who or what ended it; zero while it is open.
	SettledAt time.Time
	SettledBy string
}

// DoubtReader reads what speaks against the peer's journal of a line.
type DoubtReader interface {
	// Doubts returns all that are kept, the newest first.
	Doubts() ([]Doubt, error)
}

// DoubtWriter keeps it.
type DoubtWriter interface {
	// KeepDoubt keeps a doubt, unless one of its kind is open: then nothing was done. So a
	// peer cannot make the store grow, and the first evidence stays.
	KeepDoubt(d Doubt) (kept bool, err error)
	// SettleDoubt ends the open doubt of a kind, and drops the oldest settled ones beyond
	// MaxDoubts. ErrNotFound when none is open.
	SettleDoubt(kind string, at time.Time, by string) error
}

// EncodeEvidence writes both checkpoints of a doubt as engines store them; DecodeEvidence reads
// them into one.
func (d *Doubt) EncodeEvidence() ([]byte, error) {
	return json.Marshal(&evidence{evidenceOf(&d.Held), evidenceOf(&d.Shown)})
}

// DecodeEvidence reads what EncodeEvidence wrote.
func (d *Doubt) DecodeEvidence(raw []byte) error {
	var e evidence
	if err := json.Unmarshal(raw, &e); err != nil {
		return fmt.Errorf("reading two checkpoints of a peer: %w", err)
	}
	d.Held, d.Shown = e.Held.checkpoint(), e.Shown.checkpoint()
	return nil
}

type evidence struct {
	Held  checkpointJSON `json:"held"`
	Shown checkpointJSON `json:"shown"`
}

type checkpointJSON struct {
	Size   int64     `json:"size"`
	Root   []byte    `json:"root"`
	Signed []byte    `json:"signed"`
	Chain  []byte    `json:"chain"`
	At     time.Time `json:"at,omitzero"`
}

func evidenceOf(c *Checkpoint) checkpointJSON {
	return checkpointJSON{c.Size, c.Root[:], c.Signed, c.Chain, c.At}
}

func (c *checkpointJSON) checkpoint() Checkpoint {
	out := Checkpoint{Size: c.Size, Signed: c.Signed, Chain: c.Chain, At: c.At}
	copy(out.Root[:], c.Root)
	return out
}
