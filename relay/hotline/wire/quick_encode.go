// SPDX-FileCopyrightText: The certlink authors
// SPDX-License-Identifier: Apache-2.0

package wire

import "encoding/binary"

// Major types of CBOR (RFC 8949, section 3.1), as they stand in the first byte of an item.
const (
	majorUint  = 0 << 5
	majorBytes = 2 << 5
	majorText  = 3 << 5
	majorArray = 4 << 5
	majorMap   = 5 << 5
)

// Keys of what quickEncode writes and quickDecode reads, as Batch names them.
const (
	keyVersion = iota + 1
	keyChain
	keyCheckpoint
	keySteps
	keyHashes
	keyEntries
	keyHeld
)

// quickEncode writes a batch of entries and their proofs, as nearly all are, byte for byte as the encoder
// does, which finds out anew by reflection what each member is. false says nothing about the batch.
func quickEncode(out []byte, b *Batch) ([]byte, bool) {
	if len(b.Refusals)+len(b.State)+len(b.Copies)+len(b.Shown)+len(b.ShownChain) > 0 || b.Want != nil || b.Chain == nil || b.Version < 0 {
		return out, false
	}
	members := uint64(keyCheckpoint)
	for _, there := range []bool{len(b.Steps) > 0, len(b.Hashes) > 0, len(b.Entries) > 0, b.Held != nil} {
		if there {
			members++
		}
	}
	w := writer{out: out}
	w.head(majorMap, members)
	w.head(majorUint, keyVersion)
	w.head(majorUint, uint64(b.Version)) //nolint:gosec // not negative
	w.list(keyChain, len(b.Chain))
	for _, c := range b.Chain {
		w.bytes(c)
	}
	w.head(majorUint, keyCheckpoint)
	w.bytes(b.Checkpoint)
	w.proofs(b)
	if b.Held != nil {
		w.list(keyHeld, 2)
		w.number(b.Held.Size)
		w.bytes(b.Held.Root)
	}
	return w.out, !w.other
}

// writer writes items; other says that one of them is better left to the encoder.
type writer struct {
	out   []byte
	other bool
}

// proofs writes the entries and what proves them, and the checkpoint.
func (w *writer) proofs(b *Batch) {
	if len(b.Steps) > 0 {
		w.list(keySteps, len(b.Steps))
		for i := range b.Steps {
			w.head(majorArray, 2)
			w.number(b.Steps[i].From)
			w.bytes(b.Steps[i].Path)
		}
	}
	if len(b.Hashes) > 0 {
		w.head(majorUint, keyHashes)
		w.bytes(b.Hashes)
	}
	if len(b.Entries) == 0 {
		return
	}
	w.list(keyEntries, len(b.Entries))
	for i := range b.Entries {
		e := &b.Entries[i]
		w.head(majorArray, 4)
		w.number(e.Index)
		w.head(majorText, uint64(len(e.Kind)))
		w.out = append(w.out, e.Kind...)
		w.bytes(e.Body)
		w.other = w.other || e.Path == nil
		w.head(majorArray, uint64(len(e.Path)))
		for _, at := range e.Path {
			w.head(majorUint, uint64(at))
		}
	}
}

// list begins a member that is a list.
func (w *writer) list(key uint64, n int) {
	w.head(majorUint, key)
	w.head(majorArray, uint64(n)) //nolint:gosec // a length
}

func (w *writer) number(n int64) {
	w.other = w.other || n < 0
	w.head(majorUint, uint64(n)) //nolint:gosec // see above
}

// bytes writes a string of bytes; the encoder has a form of its own for one that is nil.
func (w *writer) bytes(b []byte) {
	w.other = w.other || b == nil
	w.head(majorBytes, uint64(len(b)))
	w.out = append(w.out, b...)
}

// Additional information of an item's first byte: how many bytes of its argument follow, and the largest
// argument that stands there itself (RFC 8949, section 3).
const (
	inPlace = 23
	bytes1  = 24
	bytes2  = 25
	bytes4  = 26
	bytes8  = 27
)

// head writes what an item begins with, in the shortest form.
func (w *writer) head(major byte, n uint64) {
	switch {
	case n <= inPlace:
		w.out = append(w.out, major|byte(n))
	case n < 1<<8:
		w.out = append(w.out, major|bytes1, byte(n))
	case n < 1<<16:
		w.out = binary.BigEndian.AppendUint16(append(w.out, major|bytes2), uint16(n))
	case n < 1<<32:
		w.out = binary.BigEndian.AppendUint32(append(w.out, major|bytes4), uint32(n))
	default:
		w.out = binary.BigEndian.AppendUint64(append(w.out, major|bytes8), n)
	}
}
