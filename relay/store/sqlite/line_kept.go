// SPDX-FileCopyrightText: The certlink authors
// SPDX-License-Identifier: Apache-2.0

package sqlite

import (
	"bytes"
	"database/sql"
	"errors"
	"fmt"
	"slices"

	"github.com/certlink/certlink/relay/store"
)

// A checkpoint of a peer's journal is a row of evidence: most come with messages or receipts, whose proofs need
// them anyway. Its key is the number of the era of that journal times 2^40, and the size, so that those of an era follow
// each other. What is proven under a checkpoint that another row has gets a smaller number.
const (
	sizeBits = 40
	// largestOfPeer is the largest size of a checkpoint that is kept.
	largestOfPeer = 1<<sizeBits - 1

	// peerStart is the key of a checkpoint of no entries in the present era of the journal of the peer ?1.
	peerStart = `(SELECT id << 40 FROM peer_logs WHERE peer = ?1 ORDER BY era DESC LIMIT 1)`
	peerEnd   = peerStart + ` + 1099511627775`
	sizeKept  = `p.id & 1099511627775`

	// peerCheckpoint selects those of at least the size ?2.
	peerCheckpoint = `SELECT ` + sizeKept + `, p.root, p.checkpoint, c.chain, p.stored_at, (SELECT max(era) FROM peer_logs WHERE peer = ?1)
		FROM evidence AS p CROSS JOIN signer_chains AS c ON c.id = p.chain WHERE p.id >= ` + peerStart + ` + ?2 AND p.id <= ` + peerEnd
	lastPeerCheckpoint = peerCheckpoint + " ORDER BY p.id DESC LIMIT 1"
	newestKept         = `SELECT p.id >> 40, (SELECT max(era) FROM peer_logs WHERE peer = ?1), ` + sizeKept + `, p.stored_at, p.alone
		FROM evidence AS p WHERE p.id >= ` + peerStart + ` AND p.id <= ` + peerEnd + ` ORDER BY p.id DESC LIMIT ?2`
)

// kepts are the newest checkpoints of a peer in its present era, the newest first: as many as
// it takes to know which of them goes when another comes, or all.
type kepts struct {
	// log is the number of the era, 0 before its first checkpoint.
	log, era int64
	list     []keptSize
}

// keptSize is a checkpoint that is kept: of so many entries, stored at a time in microseconds. alone: it proves no
// message and no receipt.
type keptSize struct {
	size, at int64
	alone    bool
}

// proves notes that a checkpoint proves something.
func (k *kepts) proves(size int64) {
	if k == nil {
		return
	}
	if i := slices.IndexFunc(k.list, func(s keptSize) bool { return s.size == size }); i >= 0 {
		k.list[i].alone = false
	}
}

// arrived is the checkpoint that a transaction keeps last. It is written together with the evidence of what came
// with it, or alone: before the next one, before anything is read of it, and at the end.
type arrived struct {
	key           int64 // 0 for none
	c             store.Checkpoint
	written, used bool // used: it proves something
}

// is tells whether evidence can be stored with the checkpoint.
func (a *arrived) is(of *store.Evidence) bool {
	return a.key != 0 && !a.used && bytes.Equal(a.c.Signed, of.Checkpoint) && bytes.Equal(a.c.Chain, of.Chain)
}

// writeArrived writes the checkpoint alone, unless it is written.
func (l *lineTx) writeArrived() error {
	if l.arrived.key == 0 || l.arrived.written {
		return nil
	}
	l.arrived.written = true
	return l.insertKept(l.arrived.key, l.arrived.c, nil, true)
}

// insertKept adds a checkpoint, with hashes of the tree under it that proofs name.
func (l *lineTx) insertKept(key int64, c store.Checkpoint, hashes []byte, alone bool) error {
	return l.insertEvidence(key, &store.Evidence{Checkpoint: c.Signed, Chain: c.Chain, Hashes: hashes}, c.Root[:], micros(c.At), number(alone))
}

// KeepPeerCheckpoint implements store.LineTx.
func (l *lineTx) KeepPeerCheckpoint(c store.Checkpoint) error {
	if err := checkKept(l.peer, c.Size); err != nil {
		return err
	}
	k, err := l.keptOfPeer()
	if err != nil {
		return err
	}
	if k.log == 0 {
		if k.log, err = l.newEra(k.era); err != nil {
			return err
		}
	}
	if err := l.writeArrived(); err != nil {
		return err
	}
	c.At, c.Era = instant(micros(l.s.now())), k.era
	key := k.log<<sizeBits + c.Size
	if len(k.list) == 0 || c.Size > k.list[0].size {
		if l.arrived = (arrived{key: key, c: c}); !l.evidence.stored {
			l.evidence = evidence{} // its number may be that of the checkpoint before
		}
		return l.added(k, c)
	}
	var root []byte
	err = l.raw.QueryRowContext(l.ctx, "SELECT root FROM evidence WHERE id = ?", key).Scan(&root)
	switch {
	case errors.Is(err, sql.ErrNoRows):
		if err := l.insertKept(key, c, nil, true); err != nil {
			return err
		}
		return l.added(k, c)
	case err == nil && !bytes.Equal(root, c.Root[:]):
		return fmt.Errorf("another checkpoint of %s at %d entries is kept: %w", l.peer, c.Size, store.ErrConflict)
	}
	return err
}

// checkKept refuses a size that no key has room for.
func checkKept(peer string, size int64) error {
	if size < 0 || size > largestOfPeer {
		return fmt.Errorf("keeping a checkpoint of %s: its size %d is not within 0 to %d", peer, size, int64(largestOfPeer))
	}
	return nil
}

// newEra numbers an era of the peer's journal.
func (l *lineTx) newEra(era int64) (log int64, err error) {
	done, err := l.raw.ExecContext(l.ctx, "INSERT INTO peer_logs (peer, era) VALUES (?, ?)", l.peer, era)
	if err != nil {
		return 0, err
	}
	return done.LastInsertId()
}

// keptOfPeer reads what is not known.
func (l *lineTx) keptOfPeer() (k *kepts, err error) {
	if l.state.newestOfPeer != nil {
		return l.state.newestOfPeer, nil
	}
	if err := l.writeArrived(); err != nil {
		return nil, err
	}
	rows, err := l.raw.QueryContext(l.ctx, newestKept, l.peer, keptNewest+2)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, rows.Close()) }()
	k = &kepts{}
	for rows.Next() {
		var one keptSize
		if err := rows.Scan(&k.log, &k.era, &one.size, &one.at, &one.alone); err != nil {
			return nil, err
		}
		k.list = append(k.list, one)
	}
	l.state.newestOfPeer = k
	return k, rows.Err()
}

// added lets go of what is too old, as prune does, after a checkpoint was added.
func (l *lineTx) added(k *kepts, c store.Checkpoint) error {
	l.state.peer = nil
	if len(k.list) > 0 && c.Size <= k.list[0].size {
		l.state.newestOfPeer = nil
		return l.prune(k.log)
	}
	k.list = slices.Insert(k.list, 0, keptSize{c.Size, micros(c.At), true})
	if len(c.Chain) > 0 {
		l.state.peer = detached(c)
	}
	switch {
	case len(k.list) <= keptNewest:
		return nil
	case len(k.list) > keptNewest+1 && k.list[keptNewest].at/dayMicros == k.list[keptNewest+1].at/dayMicros:
		gone := k.list[keptNewest+1]
		k.list = slices.Delete(k.list, keptNewest+1, len(k.list))
		if !gone.alone {
			return nil
		}
		_, err := l.raw.ExecContext(l.ctx, forgetKept, k.log<<sizeBits+gone.size)
		return err
	}
	l.state.newestOfPeer = nil
	return l.prune(k.log)
}

// forgetKept lets go of a checkpoint that proves nothing.
const forgetKept = "DELETE FROM evidence WHERE id = ? AND alone = 1"

// prune lets go of the checkpoint that has just become too old to stay, unless it is the
// newest of its day; and of the oldest of these. What proves something stays.
func (l *lineTx) prune(log int64) error {
	if err := l.writeArrived(); err != nil {
		return err
	}
	first, last := log<<sizeBits, log<<sizeBits+largestOfPeer
	old, err := l.tooOld(first, last)
	if err != nil || len(old) == 0 {
		return err
	}
	// Those below it are each the newest of their day already.
	if len(old) > 1 && old[0].at/dayMicros == old[1].at/dayMicros {
		done, err := l.raw.ExecContext(l.ctx, forgetKept, log<<sizeBits+old[1].size)
		if err != nil {
			return err
		}
		if n, err := done.RowsAffected(); n > 0 || err != nil {
			return err // there are as many as before
		}
	}
	_, err = l.raw.ExecContext(l.ctx, `DELETE FROM evidence WHERE alone = 1 AND id BETWEEN ?1 AND ?2 AND id <= (
		SELECT id FROM evidence INDEXED BY evidence_alone WHERE alone = 1 AND id BETWEEN ?1 AND ?2 ORDER BY id DESC LIMIT 1 OFFSET ?3)`,
		first, last, keptNewest+keptDays)
	return err
}

// tooOld are the newest two of those below the newest that stay in any case.
func (l *lineTx) tooOld(first, last int64) (old []keptSize, err error) {
	rows, err := l.raw.QueryContext(l.ctx, "SELECT "+sizeKept+", p.stored_at FROM evidence AS p WHERE p.id BETWEEN ? AND ? ORDER BY p.id DESC LIMIT 2 OFFSET ?", first, last, keptNewest)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, rows.Close()) }()
	for rows.Next() {
		var one keptSize
		if err := rows.Scan(&one.size, &one.at); err != nil {
			return nil, err
		}
		old = append(old, one)
	}
	return old, rows.Err()
}

// PeerCheckpoint implements store.LineReader.
func (l *lineTx) PeerCheckpoint() (store.Checkpoint, error) {
	if l.state.peer != nil {
		return *l.state.peer, nil
	}
	if err := l.writeArrived(); err != nil {
		return store.Checkpoint{}, err
	}
	c, err := l.lineReader.PeerCheckpoint()
	if err == nil {
		l.state.peer = &c
	}
	return c, err
}

// PeerCheckpoints implements store.LineReader.
func (l *lineTx) PeerCheckpoints(from int64, limit int) ([]store.Checkpoint, error) {
	if err := l.writeArrived(); err != nil {
		return nil, err
	}
	return l.lineReader.PeerCheckpoints(from, limit)
}
