// SPDX-FileCopyrightText: The certlink authors
// SPDX-License-Identifier: Apache-2.0

package misp

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"

	"github.com/google/uuid"
)

// Bounds of a manifest.
const (
	maxManifestBytes = 256 << 20
	maxEntryBytes    = 1 << 20
	maxEvents        = 1_000_000
)

// entry is an event of a manifest.
type entry struct {
	uuid      uuid.UUID
	timestamp uint32
	sum       [sha256.Size]byte // zero means that there is none
}

// manifest reads the list of events.
func (f Feed) manifest(ctx context.Context) ([]entry, error) {
	body, err := f.Get(ctx, "manifest.json", maxManifestBytes)
	if err != nil {
		return nil, err
	}
	defer body.Close()
	return readManifest(body)
}

func readManifest(r io.Reader) ([]entry, error) {
	s := newScanner(r)
	c, err := s.peek()
	if err != nil {
		return nil, err
	}
	if c == '[' { // PHP writes an empty list so
		if raw, err := s.value(16); err != nil || len(bytes.Fields(bytes.Trim(raw, "[]"))) > 0 {
			return nil, fmt.Errorf("%w: the manifest is a list", ErrFormat)
		}
		return nil, nil
	}
	if err := s.expect('{'); err != nil {
		return nil, err
	}
	var list []entry
	for first := true; ; first = false {
		done, err := s.next('}', first)
		if err != nil || done {
			return list, err
		}
		name, err := s.name()
		if err != nil {
			return nil, err
		}
		raw, err := s.value(maxEntryBytes)
		if err != nil {
			return nil, err
		}
		e, err := readEntry(name, raw)
		if err != nil {
			return nil, err
		}
		if len(list) == maxEvents {
			return nil, fmt.Errorf("%w: more than %d events", ErrTooLarge, maxEvents)
		}
		list = append(list, e)
	}
}

func readEntry(name string, raw []byte) (entry, error) {
	id, err := uuid.Parse(name)
	if err != nil || len(name) != len(id.String()) {
		return entry{}, fmt.Errorf("%w: %q is no uuid", ErrFormat, brief(name))
	}
	var told struct {
		Timestamp loose `json:"timestamp"`
		Sum       loose `json:"integrity:sha256"`
	}
	if err := unmarshal(raw, &told); err != nil {
		return entry{}, fmt.Errorf("event %s: %w", id, err)
	}
	e := entry{uuid: id, timestamp: uint32(min(max(0, told.Timestamp.number()), 1<<32-1))}
	if told.Sum != "" {
		sum, err := hex.DecodeString(string(told.Sum))
		if err != nil || len(sum) != len(e.sum) {
			return entry{}, fmt.Errorf("event %s: %w: its integrity:sha256 is no SHA-256", id, ErrFormat)
		}
		copy(e.sum[:], sum)
	}
	return e, nil
}
