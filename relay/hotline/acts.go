// SPDX-FileCopyrightText: The certlink authors
// SPDX-License-Identifier: Apache-2.0

package hotline

import (
	"context"
	"fmt"

	"github.com/go-json-experiment/json"

	"github.com/certlink/certlink/relay/desk"
	"github.com/certlink/certlink/relay/journal"
	"github.com/certlink/certlink/relay/store"
)

// actBatches is how many batches of the journal one call of ListActs reads.
const actBatches = 256

var _ desk.Acts = (*Engine)(nil)

// ListActs implements desk.Acts.
func (e *Engine) ListActs(ctx context.Context, hotline, message string, from int64) (desk.ActList, error) {
	l := e.lineNamed(hotline)
	if l == nil {
		return desk.ActList{}, fmt.Errorf("reading acts: there is no hotline %q: %w", oneLine(hotline), store.ErrNotFound)
	}
	var batches []store.JournalBatch
	var newest store.Checkpoint
	err := e.cfg.Store.ReadLine(ctx, l.trustDomain, func(r store.LineReader) (err error) {
		if newest, _, err = r.Journal(); err == nil {
			batches, err = r.JournalBatches(from, actBatches)
		}
		return err
	})
	if err != nil {
		return desk.ActList{}, err
	}
	list := desk.ActList{Acts: []desk.JournalAct{}}
	next := from
	for _, b := range batches {
		next = b.First + int64(len(b.Entries))
		for i, entry := range b.Entries {
			index := b.First + int64(i)
			if entry.Kind != string(journal.Act) || index < from {
				continue
			}
			var a Act
			if err := json.Unmarshal(entry.Body, &a); err != nil {
				return desk.ActList{}, fmt.Errorf("reading entry %d of the journal: %w", index, err)
			}
			if message == "" || a.Message == message {
				list.Acts = append(list.Acts, desk.JournalAct{
					Index: index, Act: a.Name, At: a.At, Message: a.Message, Direction: a.Direction, By: a.By, Details: a.Details,
				})
			}
		}
	}
	if len(batches) > 0 && next < newest.Size {
		list.Next = next
	}
	return list, nil
}
