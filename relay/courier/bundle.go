// SPDX-FileCopyrightText: The certlink authors
// SPDX-License-Identifier: Apache-2.0

// Package courier puts what waits for a peer into files that a person carries, and takes
// such files in. docs/courier.md describes them.
//
// It promises:
//
//   - What is carried can be read by the relay it is for alone (package seal), and is
//     signed as a whole by the relay that made it (package receipt).
//   - Nothing of a set is acted on before all of it was there and verified. A damaged,
//     foreign or incomplete one changes nothing, and is named.
//   - Taking a set in once or many times, in any order with others or with the direct
//     link, is the same: messages count by their ids, answers by their batch.
//   - Files are of the size that was asked for, are on stable storage before they have
//     their name, and nobody but their owner may read them.
//   - Sets of any size take little memory.
//
// It does not queue, and marks nothing as delivered: messages stay queued until the
// peer's receipt comes back, by whatever way.
package courier

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/certlink/certlink/relay/seal"
)

// Purpose of what is sealed.
const purpose = "courier"

// Envelope of a set.
func envelope(from, to string) seal.Envelope {
	return seal.Envelope{Purpose: purpose, From: from, To: to}
}

// Kinds of records.
const (
	recordHeader     = 'H' // the signed Statement of the set; the first one
	recordAttachment = 'A' // a chunk of an attachment
	recordBatch      = 'B' // a batch of messages
	recordAnswer     = 'R' // our answer to a batch of the peer
	recordSettled    = 'S' // batches of ours whose answers we have
	recordEnd        = 'E' // the signed Statement over all before; the last one
)

// maxRecord is the largest record: a batch or answer, or a chunk.
const maxRecord = 8<<20 + 256

// TypeStatement is the kind of statement (typ) of a set.
const TypeStatement = "certlink-courier+jws"

// Statement is what the sender signs at the beginning and the end of a set.
type Statement struct {
	// Version of this form: 1.
	Version int `json:"version"`
	// Set names it.
	Set string `json:"set"`
	// From and To are trust domains.
	From string `json:"from"`
	To   string `json:"to"`
	// At is the sender's time.
	At time.Time `json:"at"`
	// Messages in all batches; absent at the beginning.
	Messages int `json:"messages,omitempty"`
	// Records and SHA256 are those of all records before the end; absent at the beginning.
	Records int64  `json:"records,omitempty"`
	SHA256  string `json:"sha256,omitempty"`
}

// ErrDamaged: a set, or a part of one, is not as it was written.
var ErrDamaged = errors.New("damaged")

// Summary says what a set holds, and what became of it.
type Summary struct {
	// Set, From and To as in Statement; At its time.
	Set  string    `json:"set"`
	From string    `json:"from"`
	To   string    `json:"to"`
	At   time.Time `json:"at"`
	// Batches, Messages, Attachments and Answers in it.
	Batches     int   `json:"batches"`
	Messages    int   `json:"messages"`
	Attachments int   `json:"attachments"`
	Answers     int   `json:"answers"`
	Bytes       int64 `json:"bytes"`
	// More: not all that waits is in it, as a set has a largest number of messages. Take
	// another one when the answers to this one have come back.
	More bool `json:"more,omitempty"`
	// Refused says, for people, what was not taken, and why.
	Refused []string `json:"refused,omitempty"`
}

// maxRefused is how many refusals a summary names.
const maxRefused = 32

func (s *Summary) refuse(format string, args ...any) {
	if len(s.Refused) < maxRefused {
		s.Refused = append(s.Refused, fmt.Sprintf(format, args...))
	}
}

// writer writes records.
type writer struct {
	to      io.Writer
	sum     *sums
	records int64
}

// put writes a record: its kind, its length in four bytes, its content.
func (w *writer) put(kind byte, parts ...[]byte) error {
	n := 0
	for _, p := range parts {
		n += len(p)
	}
	if n > maxRecord {
		return fmt.Errorf("a record of %d bytes is larger than %d", n, maxRecord)
	}
	head := []byte{kind, byte(n >> 24), byte(n >> 16), byte(n >> 8), byte(n)}
	for _, p := range append([][]byte{head}, parts...) {
		w.sum.add(p)
		if _, err := w.to.Write(p); err != nil {
			return err
		}
	}
	w.records++
	return nil
}

func (w *writer) putJSON(kind byte, v any) error {
	raw, err := json.Marshal(v)
	if err != nil {
		return fmt.Errorf("writing a record: %w", err)
	}
	return w.put(kind, raw)
}

// reader reads records.
type reader struct {
	from    io.Reader
	sum     *sums
	records int64
	before  string // the digest of all before the last record
}

// next reads a record.
func (r *reader) next() (kind byte, content []byte, err error) {
	var head [5]byte
	if _, err := io.ReadFull(r.from, head[:]); err != nil {
		return 0, nil, early(err)
	}
	n := int(head[1])<<24 | int(head[2])<<16 | int(head[3])<<8 | int(head[4])
	if n > maxRecord {
		return 0, nil, fmt.Errorf("a record says that it has %d bytes: %w", n, ErrDamaged)
	}
	content = make([]byte, n)
	if _, err := io.ReadFull(r.from, content); err != nil {
		return 0, nil, early(err)
	}
	r.before = r.sum.hex()
	r.sum.add(head[:])
	r.sum.add(content)
	r.records++
	return head[0], content, nil
}

// rest wants nothing but the zeros that hide the size.
func (r *reader) rest() error {
	buf := make([]byte, 32<<10)
	for {
		n, err := r.from.Read(buf)
		for _, b := range buf[:n] {
			if b != 0 {
				return fmt.Errorf("there is something behind its end: %w", ErrDamaged)
			}
		}
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
	}
}

// early is the error of a reader that ended before its time.
func early(err error) error {
	if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
		return fmt.Errorf("it ends early: %w", ErrDamaged)
	}
	return err
}
