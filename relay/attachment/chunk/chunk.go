// SPDX-FileCopyrightText: The certlink authors
// SPDX-License-Identifier: Apache-2.0

// Package chunk is the form of a part of an attachment in one HTTP request, the same on
// the local port and on the link:
//
//	PUT …/SHA256, in lower-case hexadecimal
//	Content-Range: bytes FIRST-LAST/SIZE          RFC 9110, sections 14.4 and 14.5
//	Content-Digest: sha-256=:BASE64:              RFC 9530, over the body of this request
//	Content-Type: application/octet-stream
//	Content-Length: LAST-FIRST+1
//
// The answer, and that of GET, is a State. Read bounds everything before it takes memory,
// which is at most store.MaxChunk; it stores nothing.
package chunk

import (
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"net/http"
	"regexp"
	"strconv"

	"github.com/certlink/certlink/relay/problem"
	"github.com/certlink/certlink/relay/store"
)

// ContentType of a chunk.
const ContentType = "application/octet-stream"

// State is how much of an attachment is stored at the side that answers.
type State struct {
	// SHA256 of the whole, in lower-case hexadecimal.
	SHA256 string `json:"sha256"`
	// Size of the whole, and how much of it is stored, from its beginning; zero for nothing.
	Size   int64 `json:"size,omitempty"`
	Stored int64 `json:"stored"`
	// Complete: all of it is stored durably, and its digest was compared.
	Complete bool `json:"complete"`
}

// StateOf is the state of a stored attachment.
func StateOf(a store.Attachment) State {
	return State{SHA256: a.Name(), Size: a.Size, Stored: a.Stored, Complete: a.Complete}
}

// Chunk is a part of an attachment.
type Chunk struct {
	// SHA256 and Size of the whole.
	SHA256 store.Hash
	Size   int64
	// Offset of the content in it.
	Offset  int64
	Content []byte
}

// SetHeader writes what the header of its request says.
func (c *Chunk) SetHeader(h http.Header) {
	sum := sha256.Sum256(c.Content)
	h.Set("Content-Type", ContentType)
	h.Set("Content-Range", fmt.Sprintf("bytes %d-%d/%d", c.Offset, c.Offset+int64(len(c.Content))-1, c.Size))
	h.Set("Content-Digest", Digest(sum))
}

// Digest writes a digest as the fields of RFC 9530 have it.
func Digest(sum store.Hash) string {
	return "sha-256=:" + base64.StdEncoding.EncodeToString(sum[:]) + ":"
}

// Error is a refusal with its HTTP status.
type Error struct {
	Status int
	Detail string
}

func (e *Error) Error() string { return e.Detail }

func refuse(status int, format string, args ...any) error {
	return &Error{Status: status, Detail: fmt.Sprintf(format, args...)}
}

var (
	rangeShape  = regexp.MustCompile(`^bytes (0|[1-9][0-9]{0,15})-(0|[1-9][0-9]{0,15})/([1-9][0-9]{0,15})$`)
	digestShape = regexp.MustCompile(`^sha-256=:([A-Za-z0-9+/]{43}=):$`)
	nameShape   = regexp.MustCompile(`^[0-9a-f]{64}$`)
)

// ParseName reads the digest of an attachment from a path.
func ParseName(s string) (sum store.Hash, err error) {
	if !nameShape.MatchString(s) {
		return sum, refuse(http.StatusBadRequest, "an attachment is named by its SHA-256 in lower-case hexadecimal")
	}
	_, err = hex.Decode(sum[:], []byte(s))
	return sum, err
}

// ParseRange reads a Content-Range.
func ParseRange(s string) (first, length, size int64, err error) {
	m := rangeShape.FindStringSubmatch(s)
	if m == nil {
		return 0, 0, 0, refuse(http.StatusBadRequest, "a chunk needs Content-Range: bytes FIRST-LAST/SIZE")
	}
	var n [3]int64
	for i := range n {
		if n[i], err = strconv.ParseInt(m[i+1], 10, 64); err != nil {
			return 0, 0, 0, refuse(http.StatusBadRequest, "Content-Range: %v", err)
		}
	}
	if n[1] < n[0] || n[1] >= n[2] {
		return 0, 0, 0, refuse(http.StatusBadRequest, "Content-Range: the range does not lie within the size")
	}
	return n[0], n[1] - n[0] + 1, n[2], nil
}

// ParseDigest reads a Content-Digest.
func ParseDigest(s string) (sum store.Hash, err error) {
	m := digestShape.FindStringSubmatch(s)
	if m == nil {
		return sum, refuse(http.StatusBadRequest, "a chunk needs Content-Digest: sha-256=:BASE64:")
	}
	raw, err := base64.StdEncoding.Strict().DecodeString(m[1])
	if err != nil || len(raw) != len(sum) {
		return sum, refuse(http.StatusBadRequest, "Content-Digest: it is no SHA-256")
	}
	return store.Hash(raw), nil
}

// Read reads a request that brings a chunk of the attachment of this name, and checks all
// but where it goes. The error is an *Error.
func Read(w http.ResponseWriter, r *http.Request, name string) (c Chunk, err error) {
	if c.SHA256, err = ParseName(name); err != nil {
		return Chunk{}, err
	}
	offset, length, size, err := ParseRange(r.Header.Get("Content-Range"))
	if err != nil {
		return Chunk{}, err
	}
	want, err := ParseDigest(r.Header.Get("Content-Digest"))
	if err != nil {
		return Chunk{}, err
	}
	c.Size, c.Offset = size, offset
	switch {
	case size > store.MaxAttachment:
		return Chunk{}, refuse(http.StatusRequestEntityTooLarge, "an attachment has at most %d bytes, not %d", store.MaxAttachment, size)
	case length > store.MaxChunk:
		return Chunk{}, refuse(http.StatusRequestEntityTooLarge, "a chunk has at most %d bytes, not %d", store.MaxChunk, length)
	case r.ContentLength < 0:
		return Chunk{}, refuse(http.StatusLengthRequired, "a chunk needs a Content-Length")
	case r.ContentLength != length:
		return Chunk{}, refuse(http.StatusBadRequest, "Content-Length is %d, but Content-Range has %d bytes", r.ContentLength, length)
	}
	if err := (store.AttachmentKey{Direction: store.In, Peer: "-"}).Check(size, offset, int(length)); err != nil {
		return Chunk{}, refuse(http.StatusBadRequest, "%v", err)
	}
	c.Content = make([]byte, length)
	if _, err := io.ReadFull(http.MaxBytesReader(w, r.Body, length), c.Content); err != nil {
		return Chunk{}, refuse(http.StatusBadRequest, "the chunk ended early")
	}
	if sha256.Sum256(c.Content) != want {
		return Chunk{}, refuse(http.StatusUnprocessableEntity, "the chunk does not have its Content-Digest; nothing was stored")
	}
	return c, nil
}

// Refusal is how an error of the store is told; false for one that is a fault of our own.
func Refusal(err error) (*Error, bool) {
	if e, ok := errors.AsType[*Error](err); ok {
		return e, true
	}
	for _, known := range []struct {
		err    error
		status int
		detail string
	}{
		{store.ErrQuota, http.StatusInsufficientStorage, "the quota of attachments that no message names is reached: send their messages, or wait until they are deleted"},
		{store.ErrFull, http.StatusInsufficientStorage, "the storage is full; nothing of the chunk was stored"},
		{store.ErrHole, http.StatusConflict, "the content before this chunk is not stored: ask how much is"},
		{store.ErrConflict, http.StatusConflict, "the attachment has another size"},
		{store.ErrDigest, http.StatusUnprocessableEntity, "the content does not have this SHA-256; all of it was deleted"},
		{store.ErrChunk, http.StatusBadRequest, "the chunk is out of bounds"},
		{store.ErrNotFound, http.StatusNotFound, "there is no such attachment"},
	} {
		if errors.Is(err, known.err) {
			return &Error{Status: known.status, Detail: known.detail}, true
		}
	}
	return &Error{Status: http.StatusInternalServerError, Detail: "the chunk could not be stored; send it again"}, false
}

// Reply answers with a problem, and tells whether the fault is our own.
func Reply(w http.ResponseWriter, err error) (ours bool) {
	e, theirs := Refusal(err)
	problem.Write(w, e.Status, e.Detail)
	return !theirs
}
