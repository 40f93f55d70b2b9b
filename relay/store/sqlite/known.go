// SPDX-FileCopyrightText: The certlink authors
// SPDX-License-Identifier: Apache-2.0

package sqlite

import (
	"context"
	"database/sql"
	"slices"
	"sync"
)

const (
	// blocks of the filter, of 512 bits each: 4 MiB. It is of little use beyond mostKnown.
	blocks    = 1 << 16
	mostKnown = 4_000_000
	// keysAtOnce is the number of keys that are read between two looks at ctx.
	keysAtOnce = 1000
)

// known is a Bloom filter over the keys of all stored objects, or messages. It never says of a stored one
// that it is new; of one in a few thousand that is new it cannot say so. To ask the index
// instead costs a tenth of an import.
//
// It is filled from the index, beside the writer, once as many objects were put as were
// stored before: then it pays. Whoever changes the file besides this store is noticed by
// the writer (PRAGMA data_version), and the filter begins anew.
type known struct {
	reading sync.WaitGroup
	ctx     context.Context //nolint:containedctx // that of reading, which no call waits for
	end     context.CancelFunc

	mu      sync.Mutex // guards what follows
	bits    []uint64   // nil until it begins
	epoch   int        // counts the beginnings
	full    bool       // all keys that were stored before are in it
	keys    int64
	put     int64 // objects put before it begins
	version int64
}

func newKnown() *known {
	k := &known{}
	k.ctx, k.end = context.WithCancel(context.Background())
	return k
}

func (k *known) close() {
	k.end()
	k.reading.Wait()
}

// beginKnown is called at the beginning of a write transaction that puts objects.
func (s *Store) beginKnown(ctx context.Context, tx *transaction) error {
	var version int64
	if err := tx.QueryRowContext(ctx, "PRAGMA data_version").Scan(&version); err != nil {
		return err
	}
	k := s.known
	k.mu.Lock()
	defer k.mu.Unlock()
	k.checkVersion(version)
	if k.bits != nil || k.put < 0 {
		return nil
	}
	var stored int64
	if err := tx.QueryRowContext(ctx, "SELECT coalesce(sum(objects), 0) FROM collections").Scan(&stored); err != nil {
		return err
	}
	if stored > mostKnown || k.put < stored-k.put {
		return nil
	}
	k.begin(version, s.readKnown)
	return nil
}

// checkVersion lets the filter begin anew when the file was changed besides this store; k.mu is held.
func (k *known) checkVersion(version int64) {
	if k.bits != nil && k.version != version {
		k.bits, k.full, k.keys, k.put = nil, false, 0, 0
	}
}

// begin begins it within a write transaction; k.mu is held. What this transaction and later ones
// put is added by themselves, and read adds what is stored.
func (k *known) begin(version int64, read func(ctx context.Context, epoch int)) {
	k.version, k.bits = version, make([]uint64, blocks*8)
	k.epoch++
	epoch := k.epoch
	k.reading.Go(func() { read(k.ctx, epoch) })
}

// readKnown adds the keys that are stored.
func (s *Store) readKnown(ctx context.Context, epoch int) {
	s.known.readAll(ctx, epoch, s.read, "SELECT key FROM objects INDEXED BY objects_by_key", func(rows *sql.Rows) (key int64, err error) {
		err = rows.Scan(&key)
		return key, err
	})
}

// readAll adds the keys of the rows of a query. A failure leaves the filter unused.
func (k *known) readAll(ctx context.Context, epoch int, db *sql.DB, query string, scan func(*sql.Rows) (key int64, err error)) {
	rows, err := db.QueryContext(ctx, query)
	if err != nil {
		return
	}
	defer rows.Close()
	keys := make([]int64, 0, keysAtOnce)
	for rows.Next() {
		key, err := scan(rows)
		if err != nil {
			return
		}
		if keys = append(keys, key); len(keys) == keysAtOnce {
			if !k.read(epoch, keys) {
				return
			}
			keys = keys[:0]
		}
	}
	if rows.Err() == nil && k.read(epoch, keys) {
		k.mu.Lock()
		k.full = k.epoch == epoch && k.bits != nil
		k.mu.Unlock()
	}
}

// read is add for keys that were stored before; false if the filter has begun anew, or is full to the brim.
func (k *known) read(epoch int, keys []int64) bool {
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.epoch != epoch || k.bits == nil {
		return false
	}
	k.set(keys)
	return k.keys <= mostKnown
}

// add notes keys before they are put. One whose transaction fails stays in it, which
// costs nothing but a question.
func (k *known) add(keys ...int64) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.bits == nil {
		if k.put >= 0 {
			k.put += int64(len(keys))
		}
		return
	}
	k.set(keys)
	if k.keys > mostKnown {
		k.bits, k.full, k.put = nil, false, -1
	}
}

func (k *known) set(keys []int64) {
	k.keys += int64(len(keys))
	for _, key := range keys {
		block, places := place(key)
		for range placesOfKey {
			k.bits[block+places>>6&7] |= 1 << (places & 63)
			places >>= 9
		}
	}
}

// news tells whether none of the keys is stored; false also if it cannot tell.
func (k *known) news(keys []int64) bool {
	k.mu.Lock()
	defer k.mu.Unlock()
	return k.full && !slices.ContainsFunc(keys, k.holds)
}

func (k *known) holds(key int64) bool {
	block, places := place(key)
	for range placesOfKey {
		if k.bits[block+places>>6&7]&(1<<(places&63)) == 0 {
			return false
		}
		places >>= 9
	}
	return true
}

// placesOfKey is the number of bits that a key sets in its block.
const placesOfKey = 4

// place is where the block of a key begins, and its places in it, nine bits for each. A
// key is a part of a hash, so its bits will do.
func place(key int64) (block, places uint64) {
	h := uint64(key) //nolint:gosec // all bits count, the sign means nothing
	return h >> 48 * 8, h
}
