// SPDX-FileCopyrightText: The certlink authors
// SPDX-License-Identifier: Apache-2.0

package store

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"time"
)

var (
	// ErrIncomplete: an attachment that a message names is not stored complete here, or not
	// in that size. It wraps ErrNotFound.
	ErrIncomplete = fmt.Errorf("the attachment is not stored complete: %w", ErrNotFound)
	// ErrHole: what comes before a chunk is not stored.
	ErrHole = errors.New("the content before this chunk is not stored")
	// ErrChunk: a chunk, or the size of the whole, is out of bounds.
	ErrChunk = errors.New("the chunk is out of bounds")
	// ErrDigest: the content does not have the digest that it was stored under.
	ErrDigest = errors.New("the content does not have this digest")
	// ErrQuota: too much is stored that no message names.
	ErrQuota = errors.New("the quota of unfinished attachments is reached")
)

// Limits of attachments.
const (
	// MaxAttachment is the size of the largest attachment in bytes, as package message has it.
	MaxAttachment = 25 << 20
	// MinChunk and MaxChunk bound a chunk in bytes; the last of an attachment may be shorter.
	MinChunk = 64 << 10
	MaxChunk = 1 << 20
)

// AttachmentKey names an attachment. The same content to or from two peers is stored twice:
// nobody can find out what another has sent.
type AttachmentKey struct {
	// Direction is that of the messages that name it.
	Direction Direction
	// Peer is the trust domain of the other side.
	Peer   string
	SHA256 Hash
}

// Attachment is what is stored of one.
type Attachment struct {
	AttachmentKey
	// Size of the whole, and how much of it is stored, from its beginning.
	Size, Stored int64
	// Complete: all of it is stored, and has the digest.
	Complete bool
	// Held: a message names it, so it stays.
	Held bool
	// ChangedAt is when a chunk was stored, or it was completed, held or let go.
	ChangedAt time.Time
}

// AttachmentUse is an attachment as a message names it.
type AttachmentUse struct {
	SHA256 Hash
	Size   int64
}

// AttachmentLimits bound what nothing holds, for each direction and peer.
type AttachmentLimits struct {
	// Bytes is the sum of sizes, as they were announced; Count the number of attachments.
	Bytes, Count int64
}

// Check tells whether so many bytes of an attachment may come next at an offset. The error
// wraps ErrChunk.
func (k AttachmentKey) Check(size, offset int64, n int) error {
	length := int64(n)
	switch {
	case k.Direction != In && k.Direction != Out || k.Peer == "":
		return errors.New("an attachment has a direction and a peer")
	case size < 1 || size > MaxAttachment:
		return fmt.Errorf("an attachment has 1 to %d bytes, not %d: %w", MaxAttachment, size, ErrChunk)
	case length < 1 || length > MaxChunk:
		return fmt.Errorf("a chunk has 1 to %d bytes, not %d: %w", MaxChunk, n, ErrChunk)
	case offset < 0 || offset > size-length:
		return fmt.Errorf("a chunk of %d bytes at %d does not lie within %d bytes: %w", n, offset, size, ErrChunk)
	case length < MinChunk && offset+length < size:
		return fmt.Errorf("a chunk of %d bytes is shorter than %d and not the last: %w", n, MinChunk, ErrChunk)
	}
	return nil
}

// Name is the digest in hexadecimal.
func (k AttachmentKey) Name() string { return hex.EncodeToString(k.SHA256[:]) }

// Attachments keeps the content of attachments in chunks. They are given and read one at a
// time: no call needs the memory of a whole attachment.
type Attachments interface {
	// AppendAttachment stores the chunk at offset, which must be where the stored part ends,
	// and returns what is stored then. The first one begins the attachment, of this size.
	// A chunk from before that place changes nothing, and neither does one of a complete
	// attachment: repeating is safe. ErrChunk, see Check; ErrConflict if it has another size;
	// ErrHole beyond the stored part; ErrQuota, at the first chunk, if all that nothing holds
	// would exceed the limits.
	AppendAttachment(ctx context.Context, k AttachmentKey, size, offset int64, chunk []byte, limits AttachmentLimits) (Attachment, error)
	// CompleteAttachment reads all of an attachment and compares it with its digest. It is
	// complete then; or it is deleted, with ErrDigest. ErrIncomplete while a part is missing.
	CompleteAttachment(ctx context.Context, k AttachmentKey) (Attachment, error)
	// GetAttachment returns what is stored, or ErrNotFound.
	GetAttachment(ctx context.Context, k AttachmentKey) (Attachment, error)
	// ReadAttachment returns stored content from offset on, as much as one chunk holds, at
	// most MaxChunk; nothing at the end of what is stored. ErrNotFound if nothing is.
	ReadAttachment(ctx context.Context, k AttachmentKey, offset int64) ([]byte, error)
	// QueuedAttachments returns the digests of what messages of ours to the peer name that
	// have no receipt, in the order of Messages.Pending, at most limit; one of several
	// messages may come more than once.
	QueuedAttachments(ctx context.Context, peer string, limit int) ([]Hash, error)
	// LooseAttachments sums up what nothing holds of a direction and peer.
	LooseAttachments(ctx context.Context, d Direction, peer string) (AttachmentLimits, error)
	// SweepAttachments deletes attachments, at most limit, that nothing holds and that have
	// not changed since before, and returns how many.
	SweepAttachments(ctx context.Context, before time.Time, limit int) (int, error)
}

// SumAttachment hashes the stored content of an attachment of this size as read gives it,
// from an offset on. ErrIncomplete if a part is missing.
func SumAttachment(size int64, read func(offset int64) ([]byte, error)) (Hash, error) {
	sum := sha256.New()
	for offset := int64(0); offset < size; {
		part, err := read(offset)
		switch {
		case err != nil:
			return Hash{}, err
		case len(part) == 0:
			return Hash{}, fmt.Errorf("%d of %d bytes are stored: %w", offset, size, ErrIncomplete)
		}
		_, _ = sum.Write(part) // a hash takes everything
		offset += int64(len(part))
	}
	return Hash(sum.Sum(nil)), nil
}
