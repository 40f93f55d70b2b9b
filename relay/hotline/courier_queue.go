// SPDX-FileCopyrightText: The certlink authors
// SPDX-License-Identifier: Apache-2.0

package hotline

import (
	"cmp"
	"context"
	"fmt"

	"github.com/certlink/certlink/relay/hotline/wire"
	"github.com/certlink/certlink/relay/store"
)

// ComposeQueued hands all that is queued to a peer, at most store.MaxMessages messages, to
// whoever carries it instead of the link: batch by batch, with the
// messages in each, the most urgent first. Attachments must travel before the batch that
// names them; whether the peer has them already is not asked. more tells that there are
// more messages. They stay queued until Settle.
func (e *Engine) ComposeQueued(ctx context.Context, trustDomain string, batch func(request []byte, messages []store.Message) error) (more bool, err error) {
	l := e.lineTo(trustDomain)
	if l == nil {
		return false, fmt.Errorf("composing for a courier: there is no hotline to %q: %w", oneLine(trustDomain), store.ErrNotFound)
	}
	pending, err := e.cfg.Store.Pending(ctx, trustDomain, store.MaxMessages)
	if err != nil {
		return false, fmt.Errorf("composing for a courier: %w", err)
	}
	more = len(pending) == store.MaxMessages
	bases, err := l.mayHold(ctx)
	if err != nil {
		return false, fmt.Errorf("composing for a courier: %w", err)
	}
	for len(pending) > 0 {
		list := fitting(pending, maxBatchBytes)
		pending = pending[len(list):]
		request, err := l.compose(ctx, list, bases...)
		if err != nil {
			return more, fmt.Errorf("composing for a courier: %w", err)
		}
		// A recovery that began meanwhile may have moved what was composed, or entered what came back.
		if _, err := l.mayHold(ctx); err != nil {
			return more, fmt.Errorf("composing for a courier: %w", err)
		}
		if err := batch(request, list); err != nil {
			return more, err
		}
	}
	return more, nil
}

// mayHold returns the sizes of our journal that the peer may hold, by what is stored: a
// courier cannot be asked for another proof on the way, and a restart or another replica has
// nothing of it in memory. The first is what the peer was seen to hold. It may hold what we
// answered after that, which are the next ones. While a recovery is open nothing may leave: what waits may get
// other serials, and our journal looks like another history.
func (l *line) mayHold(ctx context.Context) (sizes []int64, err error) {
	if l.isLost() {
		return nil, errRolledBack
	}
	err = l.engine.cfg.Store.ReadLine(ctx, l.trustDomain, func(r store.LineReader) error {
		if _, open, err := r.Recovery(); err != nil || open {
			return cmp.Or(err, errRolledBack)
		}
		held, err := r.PeerHeld()
		if err != nil {
			return err
		}
		sizes = []int64{held}
		batches, err := r.JournalBatches(held, wire.MaxSteps-1)
		for _, b := range batches {
			sizes = append(sizes, b.Checkpoint.Size)
		}
		return err
	})
	return sizes, err
}
