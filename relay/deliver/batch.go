// SPDX-FileCopyrightText: The certlink authors
// SPDX-License-Identifier: Apache-2.0

package deliver

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"time"

	"github.com/google/uuid"

	"github.com/certlink/certlink/relay/store"
)

const (
	// batchObjects and batchBytes bound what is in memory of one delivery: a batch holds
	// no more, but at least one object.
	batchObjects = 256
	batchBytes   = 2 << 20
)

// batch is what is handed over at once.
type batch []store.Record

// namespace of the ids of batches (UUIDv5).
var namespace = uuid.MustParse("f4a6c4f0-23f0-4d5a-9b51-6f0d3c2f9a1e")

// id is always the same for the same records of a delivery.
func (b batch) id(key string) string {
	text := make([]byte, 0, len(key)+20*len(b))
	text = append(text, key...)
	for _, r := range b {
		text = fmt.Appendf(text, "\n%d", r.Seq)
	}
	return uuid.NewSHA1(namespace, text).String()
}

// bundle writes the batch as a STIX bundle (STIX 2.1 section 8), objects byte for byte.
func (b batch) bundle(id string) []byte {
	var text bytes.Buffer
	fmt.Fprintf(&text, `{"type":"bundle","id":"bundle--%s","objects":[`, id)
	for i, r := range b {
		if i > 0 {
			text.WriteByte(',')
		}
		text.Write(r.Raw)
	}
	text.WriteString("]}")
	return text.Bytes()
}

// raws are the objects.
func (b batch) raws() [][]byte {
	list := make([][]byte, len(b))
	for i, r := range b {
		list[i] = r.Raw
	}
	return list
}

// seqs are the numbers of the records.
func (b batch) seqs() []int64 {
	list := make([]int64, len(b))
	for i, r := range b {
		list[i] = r.Seq
	}
	return list
}

// dead makes dead letters of all.
func (b batch) dead(reason string, now time.Time) []store.DeadLetter {
	list := make([]store.DeadLetter, len(b))
	for i, r := range b {
		list[i] = deadLetter(r, reason, now)
	}
	return list
}

func deadLetter(r store.Record, reason string, now time.Time) store.DeadLetter {
	return store.DeadLetter{Seq: r.Seq, ID: r.ID, Version: r.Version, Reason: reason, At: now.UTC().Truncate(time.Microsecond)}
}

// position behind a record, as in store.Query.
func position(r store.Record) int64 { return r.DateAdded.UnixMicro() }

// next reads the batch behind a position.
func (w *worker) next(ctx context.Context, behind int64) (batch, error) {
	page, err := w.cfg.Store.ListObjects(ctx, w.collection, store.Query{After: behind, Limit: w.most})
	if err != nil {
		return nil, fmt.Errorf("reading what is to be delivered: %w", err)
	}
	return fitting(page.Records), nil
}

// fitting are the first records that are a batch in bytes.
func fitting(records []store.Record) batch {
	size := 0
	for i, r := range records {
		if size += len(r.Raw) + 1; i > 0 && size > batchBytes {
			return records[:i]
		}
	}
	return records
}

// queued reads the next dead letters that are to be tried again. Those whose object is
// gone are given back as gone.
func (w *worker) queued(ctx context.Context) (b batch, gone []int64, err error) {
	letters, err := w.cfg.Store.DeadLetters(ctx, w.collection, w.conf.Name, 0, true, w.most)
	if err != nil {
		return nil, nil, fmt.Errorf("reading dead letters: %w", err)
	}
	size := 0
	for _, l := range letters {
		r, ok, err := w.recordOf(ctx, l)
		if err != nil {
			return nil, nil, fmt.Errorf("reading dead letters: %w", err)
		}
		if !ok {
			gone = append(gone, l.Seq)
			continue
		}
		if size += len(r.Raw) + 1; len(b) > 0 && size > batchBytes {
			break
		}
		b = append(b, r)
	}
	return b, gone, nil
}

// recordOf finds the record of a dead letter; false if it is gone. The object may have
// more versions than a page holds.
func (w *worker) recordOf(ctx context.Context, l store.DeadLetter) (store.Record, bool, error) {
	q := store.Query{IDs: []string{l.ID}, Limit: store.MaxRecords}
	if !l.Version.IsZero() {
		q.Versions.At = []time.Time{l.Version}
	}
	for {
		page, err := w.cfg.Store.ListObjects(ctx, w.collection, q)
		if err != nil {
			return store.Record{}, false, err
		}
		if i := slices.IndexFunc(page.Records, func(r store.Record) bool { return r.Seq == l.Seq }); i >= 0 {
			return page.Records[i], true, nil
		}
		if q.After = page.Next; q.After == 0 {
			return store.Record{}, false, nil
		}
	}
}

// quoted makes a text of the other side fit for a reason.
func quoted(text string) string {
	b, err := json.Marshal(text[:min(len(text), 300)])
	if err != nil {
		return "unreadable"
	}
	return string(b)
}
