// SPDX-FileCopyrightText: The certlink authors
// SPDX-License-Identifier: Apache-2.0

package courier

import (
	"context"
	"encoding/binary"
	"errors"

	"github.com/certlink/certlink/relay/store"
)

// kept is the end of a chunk that is too short to be stored before the next one comes.
type kept struct {
	sum     store.Hash
	at      int64
	content []byte
}

// attachment takes a chunk in. A part of the file may be here already, with other chunks: the
// line brought it before it was cut, or brings it now. So what is stored is asked for each
// time, and only what comes after it is added.
func (i *importing) attachment(ctx context.Context, content []byte) error {
	if len(content) <= 48 {
		i.summary.refuse("a part of an attachment is too short")
		return nil
	}
	k := store.AttachmentKey{Direction: store.In, Peer: i.from, SHA256: store.Hash(content[:32])}
	if i.broken[k.SHA256] != "" {
		return nil
	}
	size, at := int64(binary.BigEndian.Uint64(content[32:])), int64(binary.BigEndian.Uint64(content[40:])) //nolint:gosec // checked by the store
	err := i.add(ctx, k, size, at, content[48:])
	for _, wrong := range []error{store.ErrChunk, store.ErrConflict, store.ErrHole, store.ErrDigest, store.ErrQuota, store.ErrIncomplete} {
		if errors.Is(err, wrong) {
			i.broken[k.SHA256] = err.Error()
			i.summary.refuse("attachment %s: %v", k.Name(), err)
			return nil
		}
	}
	return err
}

// add stores what of a part is not here.
func (i *importing) add(ctx context.Context, k store.AttachmentKey, size, at int64, part []byte) error {
	if err := k.Check(size, at, len(part)); err != nil {
		return err
	}
	last := at+int64(len(part)) == size
	if i.kept.sum == k.SHA256 && i.kept.at+int64(len(i.kept.content)) == at {
		at, part = i.kept.at, append(i.kept.content, part...)
	}
	i.kept = kept{}
	for {
		stored, err := i.stored(ctx, k, size)
		if err != nil || stored.Complete {
			return err
		}
		if done := stored.Stored - at; done > 0 {
			part, at = part[min(done, int64(len(part))):], stored.Stored
		}
		switch {
		case len(part) == 0 && last:
			_, err = i.engine.cfg.Store.CompleteAttachment(ctx, k)
			return err
		case len(part) == 0:
			return nil
		case len(part) < store.MinChunk && !last:
			i.kept = kept{sum: k.SHA256, at: at, content: part}
			return nil
		}
		// Others may add to it at the same time; then this changes nothing, and we look again.
		if _, err := i.engine.cfg.Store.AppendAttachment(ctx, k, size, at, part[:fitting(len(part))], looseLimits); err != nil {
			return err
		}
	}
}

// fitting is how much of so many bytes goes into one chunk, with enough left for another.
func fitting(n int) int {
	if n > store.MaxChunk {
		return n / 2
	}
	return n
}

// stored is what is here of an attachment, which may be nothing.
func (i *importing) stored(ctx context.Context, k store.AttachmentKey, size int64) (store.Attachment, error) {
	a, err := i.engine.cfg.Store.GetAttachment(ctx, k)
	switch {
	case errors.Is(err, store.ErrNotFound):
		return store.Attachment{AttachmentKey: k}, nil
	case err == nil && a.Size != size:
		return a, store.ErrConflict
	}
	return a, err
}
