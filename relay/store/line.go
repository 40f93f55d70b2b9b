// SPDX-FileCopyrightText: The certlink authors
// SPDX-License-Identifier: Apache-2.0

package store

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"
	"time"
)

// Hash is a SHA-256 hash of a journal.
type Hash = [32]byte

// Limits of a journal.
const (
	// MaxJournalEntries is the largest number of entries in a batch.
	MaxJournalEntries = 1024
	// MaxJournalBody is the largest body of an entry that is no message, in bytes.
	MaxJournalBody = 64 << 10
	// KeptBreaks is how many breaks of each journal of a line are kept: the newest, beside the
	// first. KeptEras is of how many eras of a peer's journal checkpoints are kept, the newest.
	// So a peer that breaks its journal again and again does not make the store grow.
	KeptBreaks = 64
	KeptEras   = 16
)

// JournalEntry is an entry of our journal of a line.
type JournalEntry struct {
	// Kind as package journal has it.
	Kind string `json:"kind"`
	// Message is the id of the message that holds the body: as its payload, or of a receipt
	// that of the received message, as its receipt; empty for an entry with a body of its own.
	Message string `json:"message,omitempty"`
	// Body as it was hashed. Where Message is set it is left out when it is stored, and
	// filled in when it is read.
	Body []byte `json:"body,omitempty"`
}

// Receipt tells whether the body is the receipt of a received message.
func (e *JournalEntry) Receipt() bool { return strings.HasPrefix(e.Kind, "receipt/") }

// Checkpoint is a state of a journal, as it was signed.
type Checkpoint struct {
	// Size is the number of entries and Root the hash over them.
	Size int64
	Root Hash
	// Signed is the signed checkpoint, Chain the signer's certificates in DER, one
	// after the other, the leaf first.
	Signed, Chain []byte
	// At is when it was stored.
	At time.Time
	// Era of the peer's journal, one more after each BreakPeerJournal; PeerCheckpoint and
	// PeerCheckpoints tell it, and nothing else has it.
	Era int64
}

// JournalBatch is what one commit adds to a journal: entries, the hashes that come with
// them, and the checkpoint over all up to the last.
type JournalBatch struct {
	// First is the index of the first entry: the size before.
	First   int64
	Entries []JournalEntry
	// FirstHash is the index of the first of Hashes, as package tlog numbers them: so many entries
	// have less than twice as many hashes.
	FirstHash int64
	Hashes    []Hash
	// Checkpoint over First + len(Entries) entries.
	Checkpoint Checkpoint
}

// Check tells whether a batch continues a journal of so many entries and hashes.
func (b *JournalBatch) Check(size, hashes int64) error {
	switch {
	case b.First != size || b.FirstHash != hashes:
		return fmt.Errorf("the journal has %d entries and %d hashes, the batch begins at %d and %d: %w", size, hashes, b.First, b.FirstHash, ErrConflict)
	case len(b.Entries) == 0 || len(b.Entries) > MaxJournalEntries || len(b.Hashes) < len(b.Entries) ||
		b.FirstHash+int64(len(b.Hashes)) > 2*(b.First+int64(len(b.Entries))):
		return fmt.Errorf("a batch of %d entries and %d hashes is out of bounds", len(b.Entries), len(b.Hashes))
	case b.Checkpoint.Size != size+int64(len(b.Entries)) || len(b.Checkpoint.Signed) == 0:
		return fmt.Errorf("the checkpoint is of %d entries, the batch ends at %d", b.Checkpoint.Size, size+int64(len(b.Entries)))
	}
	for _, e := range b.Entries {
		if len(e.Body) > MaxJournalBody && e.Message == "" {
			return fmt.Errorf("an entry of %d bytes is larger than %d", len(e.Body), MaxJournalBody)
		}
	}
	return nil
}

// EncodeEntries writes the entries of a batch as engines store them, without the
// payloads of messages; DecodeEntries reads them. Nearly all are of messages with plain ids: these are
// written as package json would, at a tenth of its cost.
func EncodeEntries(entries []JournalEntry) ([]byte, error) {
	const entrySize = 64
	out := append(make([]byte, 0, 2+entrySize*len(entries)), '[')
	for i := range entries {
		e := &entries[i]
		if i > 0 {
			out = append(out, ',')
		}
		if e.Message != "" && plain(e.Kind) && plain(e.Message) {
			out = append(append(out, `{"kind":"`...), e.Kind...)
			out = append(append(out, `","message":"`...), e.Message...)
			out = append(out, `"}`...)
			continue
		}
		lean := *e
		if lean.Message != "" {
			lean.Body = nil
		}
		text, err := json.Marshal(lean)
		if err != nil {
			return nil, fmt.Errorf("writing entries of a journal: %w", err)
		}
		out = append(out, text...)
	}
	return append(out, ']'), nil
}

// plain tells whether JSON has a text as it is.
func plain(text string) bool {
	for i := range len(text) {
		switch c := text[i]; {
		case c < ' ', c > '~', c == '"', c == '\\', c == '<', c == '>', c == '&':
			return false
		}
	}
	return true
}

// DecodeEntries reads what EncodeEntries wrote.
func DecodeEntries(raw []byte) (entries []JournalEntry, err error) {
	if err := json.Unmarshal(raw, &entries); err != nil {
		return nil, fmt.Errorf("reading entries of a journal: %w", err)
	}
	return entries, nil
}

// Lines keeps, for each peer, the messages of the hotline and our journal of it as one:
// what one ChangeLine does is one transaction.
type Lines interface {
	// ChangeLine runs change over the line with a peer, alone. What it did is on stable
	// storage when ChangeLine returns nil, and undone when it does not; an error of
	// change is returned as it is. change must not block or use the store otherwise.
	ChangeLine(ctx context.Context, peer string, change func(LineTx) error) error
	// ReadLine runs read over one unchanging state of the line with a peer. What it showed is on
	// stable storage when ReadLine returns nil; after an error nothing of it may be used.
	ReadLine(ctx context.Context, peer string, read func(LineReader) error) error
	// GlanceLine is ReadLine for who sends: it may show what is on its way to stable storage (see
	// LineTx.Written), and so may Pending of Messages; all other reads show only what is
	// there. What people here see must not come from it.
	GlanceLine(ctx context.Context, peer string, read func(LineReader) error) error
}

// JournalReader reads our journal of a line.
type JournalReader interface {
	// Journal returns the newest checkpoint of our journal, and the number of hashes in
	// it; zero for an empty one.
	Journal() (newest Checkpoint, hashes int64, err error)
	// JournalHashes returns stored hashes of our journal by index, or ErrNotFound.
	JournalHashes(indexes []int64) ([]Hash, error)
	// JournalBatches returns the batches of our journal that hold entries from an index
	// on, ascending, at most limit. The bodies of messages are those stored now.
	JournalBatches(from int64, limit int) ([]JournalBatch, error)
	// Breaks returns when a journal of the line, ours or the peer's, went on after its
	// database had been set back; newest first, at most 16.
	Breaks(ours bool) ([]Break, error)
}

// PeerJournalReader reads what is kept of the peer's journal of a line.
type PeerJournalReader interface {
	DoubtReader
	// PeerCheckpoints returns the checkpoints of the peer's journal that are kept, of a
	// size of at least from, ascending, at most limit; PeerCheckpoint the largest one,
	// or ErrNotFound.
	// Both are those of the present era, see BreakPeerJournal.
	PeerCheckpoints(from int64, limit int) ([]Checkpoint, error)
	PeerCheckpoint() (Checkpoint, error)
	// PeerHeld is what NotePeerHeld noted last; zero for nothing.
	PeerHeld() (size int64, err error)
}

// LineReader reads a line. It is of use only while the function that got it runs.
type LineReader interface {
	DraftReader
	RecoveryReader
	JournalReader
	PeerJournalReader
	// Proof returns the tlog-proof of what the peer said about or with a message, and the chain
	// of its signer; nil for a message without one, or ErrNotFound.
	Proof(d Direction, id string) (proof, chain []byte, err error)
	// Whole returns the largest serial of a direction below which nothing is missing: no
	// message (In), or no receipt (Out).
	Whole(d Direction) (int64, error)
	// After returns messages of a direction with a larger serial, ascending, at most limit.
	After(d Direction, serial int64, limit int) ([]Message, error)
}

// Receipt of the peer for a message of ours.
type Receipt struct {
	// ID of the message.
	ID string
	// Body as the peer entered it, and Proof of that.
	Body  []byte
	Proof Proof
	// At is when the peer stored the message, as it says.
	At time.Time
}

// Break says that a journal went on after its database had been set back.
type Break struct {
	// At is when we learned of it.
	At time.Time
	// OldSize entries were signed before; the journal goes on after Size of them.
	OldSize, Size int64
	// Note is the entry that says so.
	Note []byte
}

// LineTx changes a line. It is of use only while the function that got it runs.
type LineTx interface {
	LineReader
	LineCheckTx
	DraftWriter
	EscalationWriter
	MessageWriter
	JournalWriter
	Restorer
	// Written lets f be called once the change is committed: Pending and GlanceLine show it,
	// while it may still be on its way to stable storage, so that what is sent anyway
	// need not wait for that. f must not block. ChangeLine returns later, and says whether it came
	// there. After an error of change f is not called.
	Written(f func())
}

// MessageWriter changes the messages of a line.
type MessageWriter interface {
	// Enqueue and Accept are those of Messages. After an error of Enqueue or
	// Accept that wraps ErrConflict or ErrNotFound, or is one of compose, nothing of
	// that call was done, and others may follow.
	Enqueue(compose func(serial int64) (Message, error)) (Message, error)
	Accept(m Message) (stored Message, duplicate bool, err error)
	// PutReceipts stores receipts of messages of ours. Repeating is safe; the first stays.
	// ErrNotFound if one of the messages is not here.
	PutReceipts(receipts ...Receipt) error
	// HoldAttachments keeps attachments of a direction for a holder, which is the id of a
	// message, or another name of ours such as that of a draft; Enqueue and Accept do it by
	// themselves. ErrIncomplete if one is not stored complete; then nothing was done. Repeating
	// is safe. DropAttachments lets go what a holder holds.
	HoldAttachments(d Direction, holder string, uses []AttachmentUse) error
	DropAttachments(d Direction, holder string) error
	// Place notes the place in our journal of a message of ours, or of the receipt of a
	// received one, where it is another than it was stored with.
	Place(d Direction, id string, entry int64) error
}

// JournalWriter changes our journal of a line, and what is kept of the peer's.
type JournalWriter interface {
	DoubtWriter
	// Append adds a batch to our journal. ErrConflict when it does not continue it.
	Append(b JournalBatch) error
	// KeepPeerCheckpoint keeps a checkpoint of the peer's journal. ErrConflict when one
	// of that size with another root is kept; the first stays.
	// Of many only the newest 64 and the newest of each day stay, of these 400; an engine may keep more
	// of those under which something is proven.
	KeepPeerCheckpoint(c Checkpoint) error
	// NotePeerHeld notes of how many entries of our journal the peer was seen to hold a
	// checkpoint, in place of what was noted before.
	NotePeerHeld(size int64) error
	// BreakPeerJournal begins another era of the peer's journal with this checkpoint, and
	// keeps what says so. BreakJournal keeps what says so of ours. See KeptBreaks, KeptEras.
	BreakPeerJournal(b Break, c Checkpoint) error
	BreakJournal(b Break) error
}

// Restorer takes back what a database that was set back has lost.
type Restorer interface {
	RecoveryWriter
	// Restore stores a message of ours that a peer gave back, under its serial. ErrConflict
	// when one with that id or serial is here; then nothing was done.
	Restore(m Message) error
	// Move gives a message of ours without receipt another serial, and what compose makes of
	// it; what its entry held is kept for that. ErrConflict when it has a receipt or the serial is
	// another message's; then nothing was done.
	Move(id string, serial int64, compose func(old Message, serial int64) (Message, error)) (Message, error)
	// Reserve lets the next message of ours follow this serial, or the largest that one has.
	Reserve(serial int64) error
	// Replace puts m, a message of ours that a peer gave back with its receipt, in the place of
	// one under the same id without receipt; what that one's entry held is kept for it.
	// ErrConflict when that one has a receipt or the serial is another message's, ErrNotFound
	// when it is not here; then nothing was done.
	Replace(m Message) error
}
