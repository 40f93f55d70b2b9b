// SPDX-FileCopyrightText: The certlink authors
// SPDX-License-Identifier: Apache-2.0

package hotline

import (
	"fmt"

	"golang.org/x/mod/sumdb/tlog"

	"github.com/certlink/certlink/relay/store"
)

// compareOwn compares the newest checkpoint that is stored with known, the newest that this
// process wrote or read before r began. A database that is restored from a backup under a
// running relay lacks it, or has gone on in another history since. What is in memory is
// of the state that was lost then, and is forgotten; the line recovers, as it does when the
// peer is the first to notice.
func (l *line) compareOwn(r store.LineReader, newest, known store.Checkpoint) error {
	if known.Size == 0 || newest.Size == known.Size && newest.Root == known.Root {
		l.agreed(false)
		return nil
	}
	if newest.Size > known.Size { // another replica, or a commit of which we did not learn
		root, err := tlog.TreeHash(known.Size, plainHashes{r})
		if err != nil {
			return fmt.Errorf("comparing the journal with what was written: %w", err)
		}
		if store.Hash(root) == known.Root {
			l.agreed(true)
			return nil
		}
	}
	l.mu.Lock()
	if l.newestOwn.Size == known.Size && l.newestOwn.Root == known.Root {
		l.newestOwn, l.resigned, l.toldBreak = store.Checkpoint{}, store.Checkpoint{}, false
	}
	l.health.setBack = treeOf(known)
	l.mu.Unlock()
	l.hashes.forget()
	l.leaving.forget()
	l.peerLog.forget()
	l.wasSetBack(fmt.Sprintf("%d entries of our journal were signed, and %d are stored", known.Size, newest.Size))
	return nil
}

// knownOwn is the newest checkpoint of our journal that this process has seen.
func (l *line) knownOwn() store.Checkpoint {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.newestOwn
}
