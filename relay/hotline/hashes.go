// SPDX-FileCopyrightText: The certlink authors
// SPDX-License-Identifier: Apache-2.0

package hotline

import (
	"context"
	"sync"

	"golang.org/x/mod/sumdb/tlog"

	"github.com/certlink/certlink/relay/store"
)

// Bounds of how many hashes are kept in memory for each line; the most take 640 KiB.
const (
	leastHashes = 1 << 6
	maxHashes   = 1 << 14
)

// hashes of our journal that were read or written lately. A hash that was committed never
// changes, so nothing has to be looked at again. Hashes are numbered in the order in which they
// are written: the place of each is its number modulo the number of places, so those that were
// written last have places of their own, and an older one that is read again takes one from them.
type hashes struct {
	mu     sync.Mutex
	places []place
}

// place is where a hash is kept; after is its index and one more, zero for none.
type place struct {
	after int64
	hash  tlog.Hash
}

func (h *hashes) at(index int64) *place { return &h.places[index&int64(len(h.places)-1)] }

func (h *hashes) get(index int64) (tlog.Hash, bool) {
	if len(h.places) == 0 {
		return tlog.Hash{}, false
	}
	p := h.at(index)
	return p.hash, p.after == index+1
}

func (h *hashes) put(index int64, v tlog.Hash) {
	if len(h.places) == 0 {
		h.places = make([]place, leastHashes)
	}
	for p := h.at(index); p.after != 0 && p.after != index+1 && len(h.places) < maxHashes; p = h.at(index) {
		few := h.places
		h.places = make([]place, 2*len(few))
		for _, kept := range few {
			if kept.after != 0 {
				*h.at(kept.after - 1) = kept
			}
		}
	}
	*h.at(index) = place{index + 1, v}
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
	h.places = nil
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
