// SPDX-FileCopyrightText: The certlink authors
// SPDX-License-Identifier: Apache-2.0

package hotline

import (
	"context"
	"errors"
	"fmt"

	"golang.org/x/mod/sumdb/tlog"

	"github.com/certlink/certlink/relay/hotline/wire"
	"github.com/certlink/certlink/relay/journal"
	"github.com/certlink/certlink/relay/store"
)

// Settle takes the answer to a batch of ComposeQueued, whoever carried it: messages with a
// verified receipt are done. An answer to an older batch does no harm. Errors are for people.
func (e *Engine) Settle(ctx context.Context, trustDomain string, answer []byte) error {
	l := e.lineTo(trustDomain)
	if l == nil {
		return fmt.Errorf("settling a batch: there is no hotline to %q: %w", oneLine(trustDomain), store.ErrNotFound)
	}
	o, err := l.openAnswer(e.cfg.Identity(), answer)
	if err != nil {
		return fmt.Errorf("settling a batch: %w", &receiptError{err: err})
	}
	var list []store.Message
	for i := range o.Entries {
		r, err := readReceipt(o.Entries[i].Body)
		if err != nil {
			continue
		}
		m, err := e.cfg.Store.GetMessage(ctx, store.Out, trustDomain, r.MessageID)
		if errors.Is(err, store.ErrNotFound) {
			continue
		}
		if err != nil {
			return fmt.Errorf("settling a batch: %w", err)
		}
		list = append(list, m)
	}
	failed := map[string]error{}
	asked := l.asking()
	asked.byHand = true
	outcome, err := l.settleAnswer(ctx, asked, answer, list, failed)
	if err == nil && outcome != settled {
		err = errors.New("the peer needs another batch: compose it again")
	}
	for _, of := range failed {
		err = errors.Join(err, of)
	}
	if err != nil {
		return fmt.Errorf("settling a batch: %w", err)
	}
	e.changed()
	l.pokeAll()
	return nil
}

// NotStored says for people what of a batch was not stored that got this answer from
// Receive, and why; nothing if all of it is here.
func (e *Engine) NotStored(ctx context.Context, trustDomain string, request, answer []byte) ([]string, error) {
	said, err := wire.Decode(answer)
	if err != nil {
		return nil, fmt.Errorf("reading our answer: %w", err)
	}
	var out []string
	for _, r := range said.Refusals {
		out = append(out, oneLine(fmt.Sprintf("message %s: %s", r.ID, r.Detail)))
	}
	if said.State == wire.Continues {
		return out, nil
	}
	b, err := wire.Decode(request)
	if err != nil {
		return nil, fmt.Errorf("reading a batch: %w", err)
	}
	missing := 0
	for i := range b.Entries {
		if journal.Kind(b.Entries[i].Kind) != journal.Message {
			continue
		}
		_, err := e.cfg.Store.GetMessage(ctx, store.In, trustDomain, named(b.Entries[i].Body).ID)
		if errors.Is(err, store.ErrNotFound) {
			missing++
		} else if err != nil {
			return nil, fmt.Errorf("looking for messages of a batch: %w", err)
		}
	}
	if missing > 0 {
		out = append(out, fmt.Sprintf("%d messages were not stored: %s", missing, reasonOf(said.State)))
	}
	return out, nil
}

// reasonOf says what a state of an answer of ours means to who carried the batch.
func reasonOf(state string) string {
	switch state {
	case wire.Behind:
		return "newer entries of the sender's journal came meanwhile by another way; let the sender export again what still waits"
	case wire.Unlinked:
		return "the set does not prove that it continues the sender's journal as we hold it; export back to the sender, who exports again after taking that in"
	case wire.Recovering:
		return "our own database was set back, and what the sender gives back comes first, over the line; then take the set in again"
	default:
		return "the sender's journal has another history than the one that we hold; see kubectl certlink journal verify"
	}
}

// rootAt is the root over the first entries of our journal; false if it has fewer.
func (l *line) rootAt(ctx context.Context, size int64) (tlog.Hash, bool, error) {
	newest, err := l.own(ctx, size)
	if err != nil || newest.Size < size {
		return tlog.Hash{}, false, err
	}
	root, err := tlog.TreeHash(size, l.storedHashes(ctx))
	if err != nil {
		return tlog.Hash{}, false, fmt.Errorf("reading the journal: %w", err)
	}
	return root, true, nil
}

// readHeld reads the largest state of the peer's journal that we hold.
func (l *line) readHeld(ctx context.Context) (held tlog.Tree, err error) {
	err = l.engine.cfg.Store.GlanceLine(ctx, l.trustDomain, func(r store.LineReader) error {
		c, err := heldOf(r)
		held = treeOf(c)
		return err
	})
	return held, err
}

// commit makes a change of the line like changeAll does.
func (l *line) commit(ctx context.Context, w *waiting) error {
	commits := &l.commits
	if w.urgent {
		commits = &l.urgent
	}
	err := commits.commitOf(ctx, w, l.store)
	if own, ok := errors.AsType[*ownError](err); ok {
		return own.err
	}
	return err
}
