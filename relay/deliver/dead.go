// SPDX-FileCopyrightText: The certlink authors
// SPDX-License-Identifier: Apache-2.0

package deliver

import (
	"context"
	"fmt"

	"github.com/certlink/certlink/relay/store"
)

// Dead returns dead letters of a delivery, ascending by Seq, with a larger one than
// after, at most limit. store.ErrNotFound if there is no such delivery.
func (e *Engine) Dead(ctx context.Context, feed, name string, after int64, limit int) ([]store.DeadLetter, error) {
	w := e.find(feed, name)
	if w == nil {
		return nil, fmt.Errorf("delivery %q of import %q: %w", name, feed, store.ErrNotFound)
	}
	return e.cfg.Store.DeadLetters(ctx, w.collection, name, after, false, limit)
}

// Redeliver has all dead letters of a delivery tried again, and returns how many these
// are. It is durable on return; how it ends, the report tells. store.ErrNotFound if there
// is no such delivery.
func (e *Engine) Redeliver(ctx context.Context, feed, name string) (int64, error) {
	w := e.find(feed, name)
	if w == nil {
		return 0, fmt.Errorf("delivery %q of import %q: %w", name, feed, store.ErrNotFound)
	}
	n, err := e.cfg.Store.QueueDeadLetters(ctx, w.collection, name)
	if err == nil {
		w.wake()
	}
	return n, err
}

// Names are the deliveries of an import that can have dead letters.
func (e *Engine) Names(feed string) []string {
	var names []string
	for _, w := range e.list() {
		if w.feed == feed {
			names = append(names, w.conf.Name)
		}
	}
	return names
}
