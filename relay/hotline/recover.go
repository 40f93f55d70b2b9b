// SPDX-FileCopyrightText: The certlink authors
// SPDX-License-Identifier: Apache-2.0

package hotline

import (
	"bytes"
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"time"

	"github.com/go-json-experiment/json"
	"golang.org/x/mod/sumdb/tlog"

	"github.com/certlink/certlink/relay/hotline/wire"
	"github.com/certlink/certlink/relay/journal"
	"github.com/certlink/certlink/relay/store"
)

// continuation is the note by which a journal says that it goes on after its database was
// set back: a note/1 entry, which the peer gets with its next batch.
type continuation struct {
	Version int    `json:"version"`
	Note    string `json:"note"`
	// At is when it was written, UTC.
	At time.Time `json:"at"`
	// OldSize and OldRoot are the state that was signed before and is left.
	OldSize int64  `json:"old_size"`
	OldRoot string `json:"old_root"`
	// Messages and Receipts that the peer gave back; everything else above the restored
	// state, such as acts, is lost.
	Messages int `json:"messages"`
	Receipts int `json:"receipts"`
}

// left is the state that is left; false if the note does not say it.
func (c *continuation) left() (tlog.Tree, bool) {
	root, err := base64.StdEncoding.DecodeString(c.OldRoot)
	if err != nil || len(root) != len(tlog.Hash{}) {
		return tlog.Tree{}, false
	}
	return tlog.Tree{N: c.OldSize, Hash: tlog.Hash(root)}, true
}

// noteContinued is the name of that note.
const noteContinued = "JOURNAL_CONTINUED"

// continuationOf reads a note; nil if it is another.
func continuationOf(body []byte) *continuation {
	var c continuation
	if err := json.Unmarshal(body, &c); err != nil || c.Version != 1 || c.Note != noteContinued {
		return nil
	}
	return &c
}

func recoveredText(note []byte) string {
	c := continuationOf(note)
	if c == nil {
		return "see the journal"
	}
	return fmt.Sprintf("%d messages and %d receipts of ours were recovered, acts after the backup are lost", c.Messages, c.Receipts)
}

// recover gets back what the peer holds of us, after our database was set back, and lets our
// journal go on. Every step may be repeated:
//
//  1. ask the peer                                 a crash: still lost; the start finds it again
//  2. verify that we signed what it shows           the peer cannot make us take what we never said
//  3. one transaction: that a recovery was begun    a crash after it, and after each below up to
//     the note: nothing is sent, and the recovery goes on
//  4. give queued messages other serials, where the peer has seen theirs with others: see
//     renumbering; store each page in one transaction, and that it is here   a crash: the rest is asked for again
//  5. one transaction: the note, and that the recovery ended   a crash after: the note is sent
//  6. send the note with the next batch             the peer goes on from there, and shows it
func (l *line) recover(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, recoverTimeout)
	defer cancel()
	err := l.recoverAll(ctx)
	l.mu.Lock()
	l.health.lostWhy = ""
	if err != nil {
		l.health.lostWhy = forPeople(err)
	} else {
		l.health.lost = false
	}
	l.mu.Unlock()
	if err == nil {
		l.leaving.forget()
		l.pokeAll()
	}
	l.engine.changed()
	return err
}

// recoverTimeout bounds a recovery. A longer one goes on where it was.
const recoverTimeout = 5 * time.Minute

func (l *line) recoverAll(ctx context.Context) error {
	got, want, err := l.begun(ctx)
	if err != nil {
		return &localError{doing: "reading what we hold", err: err}
	}
	var shown journal.Checkpoint
	var r room
	for want.Ours >= 0 || want.Theirs >= 0 {
		o, err := l.ask(ctx, want)
		if err != nil {
			return err
		}
		if shown, err = l.ownCheckpoint(o); err != nil {
			return &receiptError{err: err}
		}
		if err := l.beginRecovery(ctx, &got); err != nil {
			return err
		}
		if want, err = l.takeBack(ctx, o, want, &r, &got); err != nil {
			return err
		}
	}
	same := shown.Tree.N == 0
	if !same {
		root, ok, err := l.rootAt(ctx, shown.Tree.N)
		if err != nil {
			return &localError{doing: "comparing our journal with what the peer holds", err: err}
		}
		same = ok && root == shown.Tree.Hash
	}
	note := continuation{Version: 1, Note: noteContinued, Messages: int(got.Messages), Receipts: int(got.Receipts)}
	return l.goOn(ctx, shown.Tree, note, same)
}

// ask asks the peer for copies.
func (l *line) ask(ctx context.Context, want wire.Want) (*wire.Opened, error) {
	b, _, err := l.begin(ctx, 0, 0)
	if err != nil {
		return nil, &localError{doing: "asking for what was lost", err: err}
	}
	b.Want = &want
	request, err := b.Encode()
	if err != nil {
		return nil, &localError{doing: "asking for what was lost", err: err}
	}
	body, err := l.post(ctx, request)
	if err != nil {
		return nil, err
	}
	o, err := l.openAnswer(l.engine.cfg.Identity(), body)
	if err != nil {
		return nil, &receiptError{err: err}
	}
	return o, nil
}

// ownCheckpoint verifies that what the peer shows as our journal was signed by us, with a
// certificate that may have expired since.
func (l *line) ownCheckpoint(o *wire.Opened) (journal.Checkpoint, error) {
	if len(o.Shown) == 0 && o.Held == nil {
		return journal.Checkpoint{}, nil
	}
	c, err := l.openOwn(o.Shown, joined(o.ShownChain))
	if err != nil {
		return c, fmt.Errorf("the peer shows a checkpoint that we did not sign: %w", err)
	}
	if c.Tree != o.Held.Tree() {
		return c, fmt.Errorf("the peer says that it holds %d entries of our journal, and shows %d", o.Held.Tree().N, c.Tree.N)
	}
	return c, nil
}

// openOwn opens a checkpoint of our journal that comes from elsewhere.
func (l *line) openOwn(signed, chain []byte) (journal.Checkpoint, error) {
	identity := l.engine.cfg.Identity()
	s := newSigners(identity, l.origin(identity), l.engine.cfg.Now())
	by, err := s.judge(chain)
	if err != nil {
		return journal.Checkpoint{}, err
	}
	if by.standing == signerUnknown {
		return journal.Checkpoint{}, errors.New("its signer is not vouched for by our CA as we hold it")
	}
	return journal.OpenCheckpoint(signed, l.origin(identity), by.key)
}

// goOn writes the note that our journal goes on. Where all that was lost came back, so that
// the history is the same again, or where the peer had not seen yet what was lost, only we
// keep that it was so.
func (l *line) goOn(ctx context.Context, left tlog.Tree, note continuation, same bool) error {
	l.mu.Lock()
	setBack := l.health.setBack
	l.mu.Unlock()
	if same && note.Messages+note.Receipts == 0 {
		if setBack.N == 0 {
			return l.endRecovery(ctx)
		}
		left = setBack
	}
	note.At = l.engine.cfg.Now().UTC().Truncate(time.Microsecond)
	note.OldSize, note.OldRoot = left.N, base64.StdEncoding.EncodeToString(left.Hash[:])
	body, err := json.Marshal(&note, json.Deterministic(true))
	if err != nil {
		return fmt.Errorf("encoding a note: %w", err)
	}
	err = l.commit(ctx, &waiting{do: func(tx store.LineTx) ([]store.JournalEntry, error) {
		newest, _, err := tx.Journal()
		if err != nil {
			return nil, err
		}
		b := store.Break{At: note.At, OldSize: left.N, Size: newest.Size, Note: body}
		if err := errors.Join(tx.BreakJournal(b), tx.EndRecovery()); err != nil {
			return nil, err
		}
		if same {
			return nil, nil
		}
		return []store.JournalEntry{{Kind: string(journal.Note), Body: body}}, nil
	}})
	if err != nil {
		return &localError{doing: "noting that our journal goes on", err: err}
	}
	l.mu.Lock()
	l.toldBreak = false
	if l.health.setBack == setBack {
		l.health.setBack = tlog.Tree{}
	}
	l.mu.Unlock()
	l.engine.cfg.Log.WarnContext(ctx, "our journal goes on after its database was set back", "peer", l.trustDomain,
		"messages", note.Messages, "receipts", note.Receipts)
	return nil
}

// endRecovery is goOn where nothing is to be told.
func (l *line) endRecovery(ctx context.Context) error {
	err := l.commit(ctx, &waiting{cost: -1, do: func(tx store.LineTx) ([]store.JournalEntry, error) { return nil, tx.EndRecovery() }})
	if err != nil {
		return &localError{doing: "noting that nothing was lost", err: err}
	}
	return nil
}

// announce adds the note of our last break to a batch, until the peer holds a state behind it.
func (l *line) announce(ctx context.Context, prover *wire.Prover) error {
	index, body, err := l.unannounced(ctx)
	if err != nil || body == nil {
		return err
	}
	return prover.Add(wire.Entry{Index: index, Kind: string(journal.Note), Body: body})
}

// unannounced finds the note that the peer does not have yet.
func (l *line) unannounced(ctx context.Context) (index int64, body []byte, err error) {
	l.leaving.mu.Lock()
	confirmed := l.leaving.confirmed.N
	l.leaving.mu.Unlock()
	l.mu.Lock()
	told := l.toldBreak
	l.mu.Unlock()
	if told && confirmed > 0 {
		return 0, nil, nil
	}
	err = l.engine.cfg.Store.GlanceLine(ctx, l.trustDomain, func(r store.LineReader) error {
		list, err := r.Breaks(true)
		if err != nil || len(list) == 0 || list[0].Size < confirmed {
			return err
		}
		b := list[0]
		batches, err := r.JournalBatches(b.Size, 1)
		if err != nil {
			return err
		}
		for _, batch := range batches {
			for i, e := range batch.Entries {
				if bytes.Equal(e.Body, b.Note) {
					index, body = batch.First+int64(i), e.Body
				}
			}
		}
		return nil
	})
	if err == nil && confirmed > 0 && body == nil {
		l.mu.Lock()
		l.toldBreak = true
		l.mu.Unlock()
	}
	return index, body, err
}

// followed is follow, for a batch that may say that the peer's journal goes on after its
// database was set back. That is taken if it names the very state that we hold, and shown. It
// ends a doubt that began at that state, and no other. asked is what was so when an answer was asked for, nil for
// what is none: an answer from before another replica took such a note is no second history.
func (l *line) followed(tx store.LineTx, o *wire.Opened, said *continuation, asked *asked) ([]store.JournalEntry, string, error) {
	state, err := l.follow(tx, o)
	if err == nil && state == wire.Continues {
		err = l.leaving.note(tx)
	}
	if err != nil || state == wire.Continues {
		return nil, state, err
	}
	held, err := heldOf(tx)
	if err != nil {
		return nil, "", err
	}
	if said == nil || held.Size != said.OldSize || base64.StdEncoding.EncodeToString(held.Root[:]) != said.OldRoot {
		if state == wire.Forked {
			if asked != nil && l.peerLog.left(*asked) {
				return nil, stateLeft, nil
			}
			if past, err := l.ofThePast(tx, o); err != nil || past {
				return nil, stateLeft, err
			}
		}
		entries, err := l.doubt(tx, o, held, state)
		return entries, state, err
	}
	note, err := l.peerLog.keepLeft(said)
	if err != nil {
		return nil, "", err
	}
	now := l.engine.cfg.Now().UTC().Truncate(time.Microsecond)
	b := store.Break{At: now, OldSize: held.Size, Size: o.Log.Tree.N, Note: note}
	if err := tx.BreakPeerJournal(b, checkpointOf(o)); err != nil {
		return nil, "", err
	}
	if err := explain(tx, now, held); err != nil {
		return nil, "", err
	}
	l.peerLog.broken(held.Era + 1)
	act := Act{Name: actPeerContinued, At: now, Details: map[string]string{
		"old_size": fmt.Sprint(held.Size), "old_root": said.OldRoot, "size": fmt.Sprint(o.Log.Tree.N),
	}}
	entry, err := act.Entry()
	if err != nil {
		return nil, "", err
	}
	return []store.JournalEntry{*entry}, wire.Continues, nil
}

// actPeerContinued is the act of taking such a note.
const actPeerContinued = "PEER_JOURNAL_CONTINUED"
