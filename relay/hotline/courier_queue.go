// SPDX-FileCopyrightText: The certlink authors
// SPDX-License-Identifier: Apache-2.0

package hotline

import (
	"context"
	"fmt"

	"github.com/certlink/certlink/relay/store"
)

// ComposeQueued hands all that is queued to a peer, at most store.MaxMessages messages, to
// whoever carries it instead of the link: batch by batch as Compose makes them, with the
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
	for len(pending) > 0 {
		list := fitting(pending, maxBatchBytes)
		pending = pending[len(list):]
		request, err := l.compose(ctx, list)
		if err != nil {
			return more, fmt.Errorf("composing for a courier: %w", err)
		}
		if err := batch(request, list); err != nil {
			return more, err
		}
	}
	return more, nil
}
