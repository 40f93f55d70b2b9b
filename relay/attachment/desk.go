// SPDX-FileCopyrightText: The certlink authors
// SPDX-License-Identifier: Apache-2.0

package attachment

import (
	"context"
	"errors"
	"fmt"
	"io"

	"github.com/go-json-experiment/json"

	"github.com/certlink/certlink/relay/attachment/chunk"
	"github.com/certlink/certlink/relay/desk"
	"github.com/certlink/certlink/relay/message"
	"github.com/certlink/certlink/relay/store"
)

// upload finds a file for messages of ours to the peer of a hotline.
func (e *Engine) upload(hotline string, sum store.Hash) (store.AttachmentKey, error) {
	l := e.named(hotline)
	if l == nil {
		return store.AttachmentKey{}, fmt.Errorf("storing an attachment: there is no hotline %q: %w", oneLine(hotline), store.ErrNotFound)
	}
	return store.AttachmentKey{Direction: store.Out, Peer: l.trustDomain, SHA256: sum}, nil
}

// UploadState implements desk.Attacher.
func (e *Engine) UploadState(ctx context.Context, hotline, sha256 string) (chunk.State, error) {
	sum, err := chunk.ParseName(sha256)
	if err != nil {
		return chunk.State{}, err
	}
	k, err := e.upload(hotline, sum)
	if err != nil {
		return chunk.State{}, err
	}
	a, err := e.finish(ctx, k)
	return chunk.StateOf(a), err
}

// Upload implements desk.Attacher.
func (e *Engine) Upload(ctx context.Context, hotline string, c chunk.Chunk) (chunk.State, error) {
	k, err := e.upload(hotline, c.SHA256)
	if err != nil {
		return chunk.State{}, err
	}
	a, err := e.put(ctx, k, &c)
	return chunk.StateOf(a), err
}

// Download implements desk.Attacher. peer is a trust domain or the name of its hotline.
func (e *Engine) Download(ctx context.Context, d store.Direction, peer, id, sha256 string) (desk.File, error) {
	sum, err := chunk.ParseName(sha256)
	if err != nil {
		return desk.File{}, err
	}
	if l := e.named(peer); l != nil {
		peer = l.trustDomain
	}
	m, err := e.cfg.Store.GetMessage(ctx, d, peer, id)
	if err != nil {
		return desk.File{}, err
	}
	var named message.Message
	if err := json.Unmarshal(m.Payload, &named); err != nil {
		return desk.File{}, fmt.Errorf("reading stored message %s: %w", id, err)
	}
	for _, a := range named.Attachments {
		if a.SHA256 != sha256 {
			continue
		}
		k := store.AttachmentKey{Direction: d, Peer: peer, SHA256: sum}
		stored, err := e.cfg.Store.GetAttachment(ctx, k)
		if err == nil && (!stored.Complete || stored.Size != a.Size) {
			err = fmt.Errorf("attachment %s of message %s: %w", sha256, id, store.ErrIncomplete)
		}
		if err != nil {
			return desk.File{}, err
		}
		return desk.File{Attachment: a, StoredAt: stored.ChangedAt, Content: &reader{ctx: ctx, store: e.cfg.Store, key: k, size: a.Size}}, nil
	}
	return desk.File{}, fmt.Errorf("message %s names no attachment %s: %w", id, sha256, store.ErrNotFound)
}

// reader reads a file in parts: it holds one chunk.
type reader struct {
	ctx   context.Context //nolint:containedctx // of the one request that it is made for
	store store.Attachments
	key   store.AttachmentKey
	size  int64

	at   int64
	part []byte // of the content, from at on
}

// Read implements io.Reader.
func (r *reader) Read(p []byte) (int, error) {
	if r.at >= r.size {
		return 0, io.EOF
	}
	if len(r.part) == 0 {
		part, err := r.store.ReadAttachment(r.ctx, r.key, r.at)
		if err != nil {
			return 0, err
		}
		if len(part) == 0 {
			return 0, io.ErrUnexpectedEOF
		}
		r.part = part
	}
	n := copy(p, r.part)
	r.part, r.at = r.part[n:], r.at+int64(n)
	return n, nil
}

// Seek implements io.Seeker.
func (r *reader) Seek(offset int64, whence int) (int64, error) {
	switch whence {
	case io.SeekCurrent:
		offset += r.at
	case io.SeekEnd:
		offset += r.size
	}
	if offset < 0 {
		return 0, errors.New("seeking before the beginning of an attachment")
	}
	r.at, r.part = offset, nil
	return offset, nil
}
