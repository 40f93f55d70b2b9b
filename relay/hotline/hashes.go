// SPDX-FileCopyrightText: The certlink authors
// SPDX-License-Identifier: Apache-2.0

package hotline

import (
	"context"
	"sync"

	"golang.org/x/mod/sumdb/tlog"

	"github.com/certlink/certlink/relay/store"
)

// maxHashes are kept in memory for each line, of two generations: about 2 MiB.
const maxHashes = 1 << 14

// hashes of our journal that were read or written lately. A hash that was committed never
// changes, so nothing has to be looked at again.
type hashes struct {
	mu         sync.Mutex
	young, old map[int64]tlog.Hash
}

func (h *hashes) get(index int64) (tlog.Hash, bool) {
	if v, ok := h.young[index]; ok {
		return v, true
	}
	v, ok := h.old[index]
	if ok {
		h.put(index, v)
	}
	return v, ok
}

func (h *hashes) put(index int64, v tlog.Hash) {
	if h.young == nil || len(h.young) >= maxHashes {
		h.young, h.old = make(map[int64]tlog.Hash, 64), h.young
	}
	h.young[index] = v
}

// committed takes the hashes of a batch that is stored.
func (h *hashes) committed(b *store.JournalBatch) {
	h.mu.Lock()
	defer h.mu.Unlock()
	for i, v := range b.Hashes {
		h.put(b.FirstHash+int64(i), tlog.Hash(v))
	}
}

// forget is for when the database was set back: what was committed is not there any more.
func (h *hashes) forget() {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.young, h.old = nil, nil
}

// through reads hashes from memory, else as read does.
func (h *hashes) through(read func(indexes []int64) ([]store.Hash, error)) tlog.HashReader {
	return tlog.HashReaderFunc(func(indexes []int64) ([]tlog.Hash, error) {
		out := make([]tlog.Hash, len(indexes))
		absent, at := h.find(indexes, out)
		if len(absent) == 0 {
			return out, nil
		}
		found, err := read(absent) // without the lock: it may wait for a connection
		if err != nil {
			return nil, err
		}
		h.mu.Lock()
		defer h.mu.Unlock()
		for i, v := range found {
			out[at[i]] = tlog.Hash(v)
			h.put(absent[i], tlog.Hash(v))
		}
		return out, nil
	})
}

// find fills in what is in memory, and returns the indexes that are not, and where they belong.
func (h *hashes) find(indexes []int64, out []tlog.Hash) (absent []int64, at []int) {
	h.mu.Lock()
	defer h.mu.Unlock()
	for i, index := range indexes {
		if v, ok := h.get(index); ok {
			out[i] = v
		} else {
			absent, at = append(absent, index), append(at, i)
		}
	}
	return absent, at
}

// hashReader reads hashes of our journal within a transaction.
func (l *line) hashReader(r store.LineReader) tlog.HashReader {
	return l.hashes.through(r.JournalHashes)
}

// storedHashes reads hashes of our journal as they are stored now.
func (l *line) storedHashes(ctx context.Context) tlog.HashReader {
	return l.hashes.through(func(indexes []int64) (found []store.Hash, err error) {
		err = l.engine.cfg.Store.GlanceLine(ctx, l.trustDomain, func(r store.LineReader) (err error) {
			found, err = r.JournalHashes(indexes)
			return err
		})
		return found, err
	})
}

// plainHashes reads hashes as they are stored, whatever is in memory.
type plainHashes struct{ store.LineReader }

// ReadHashes implements tlog.HashReader.
func (r plainHashes) ReadHashes(indexes []int64) ([]tlog.Hash, error) {
	stored, err := r.JournalHashes(indexes)
	if err != nil {
		return nil, err
	}
	out := make([]tlog.Hash, len(stored))
	for i, h := range stored {
		out[i] = tlog.Hash(h)
	}
	return out, nil
}
