// SPDX-FileCopyrightText: The certlink authors
// SPDX-License-Identifier: Apache-2.0

package sqlite

import (
	"errors"
	"slices"

	"github.com/certlink/certlink/relay/store"
)

// kepts are the newest checkpoints of a peer in its present era, the newest first: as many as
// it takes to know which of them goes when another comes, or all.
type kepts struct {
	era  int64
	list []keptSize
}

// keptSize is a checkpoint that is kept: of so many entries, stored at a time in microseconds.
type keptSize struct{ size, at int64 }

// keptOfPeer reads what is not known.
func (l *lineTx) keptOfPeer() (k *kepts, err error) {
	if l.state.newestOfPeer != nil {
		return l.state.newestOfPeer, nil
	}
	rows, err := l.tx.QueryContext(l.ctx, `SELECT era, size, stored_at FROM peer_checkpoints WHERE peer = ?1
		AND era = (SELECT max(era) FROM peer_checkpoints WHERE peer = ?1) ORDER BY size DESC LIMIT ?2`, l.peer, keptNewest+2)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, rows.Close()) }()
	k = &kepts{}
	for rows.Next() {
		var one keptSize
		if err := rows.Scan(&k.era, &one.size, &one.at); err != nil {
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
		return l.prune(k.era)
	}
	k.list = slices.Insert(k.list, 0, keptSize{c.Size, micros(c.At)})
	if len(c.Chain) > 0 {
		l.state.peer = detached(c)
	}
	switch {
	case len(k.list) <= keptNewest:
		return nil
	case len(k.list) > keptNewest+1 && k.list[keptNewest].at/dayMicros == k.list[keptNewest+1].at/dayMicros:
		gone := k.list[keptNewest+1].size
		k.list = slices.Delete(k.list, keptNewest+1, len(k.list))
		_, err := l.tx.ExecContext(l.ctx, "DELETE FROM peer_checkpoints WHERE peer = ? AND era = ? AND size = ?", l.peer, k.era, gone)
		return err
	}
	l.state.newestOfPeer = nil
	return l.prune(k.era)
}

// PeerCheckpoint implements store.LineReader.
func (l *lineTx) PeerCheckpoint() (store.Checkpoint, error) {
	if l.state.peer != nil {
		return *l.state.peer, nil
	}
	c, err := l.lineReader.PeerCheckpoint()
	if err == nil {
		l.state.peer = &c
	}
	return c, err
}
