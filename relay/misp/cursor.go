// SPDX-FileCopyrightText: The certlink authors
// SPDX-License-Identifier: Apache-2.0

package misp

import (
	"bytes"
	"encoding/base64"
	"encoding/binary"
	"encoding/hex"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/google/uuid"
)

// mark is what a cursor knows of one event.
type mark struct {
	// timestamp of the manifest when the event was read.
	timestamp uint32
	// since is when what its parts inherit changed, in seconds since 1970; zero means
	// that it never was seen to change.
	since uint32
	// context as Event.context; "" for an event that was refused.
	context string
}

func (m mark) sinceTime() time.Time {
	if m.since == 0 {
		return time.Time{}
	}
	return time.Unix(int64(m.since), 0).UTC()
}

type key [8]byte

// keyOf shortens a uuid. That two events of one feed have the same is as good as
// impossible, and would cost an event that is read too late.
func keyOf(id uuid.UUID) key {
	folded := key(id[:8])
	for i, b := range id[8:] {
		folded[i] ^= b
	}
	return folded
}

// marks are a cursor: what is known of each event of the last manifest.
type marks map[key]mark

const (
	cursorHead = "misp1:"
	packedMark = 8 + 4 + 4 + 4
	// markBytes is the length of a mark in a cursor.
	markBytes = packedMark * 4 / 3
)

// text writes a cursor, always the same for the same marks.
func (m marks) text() string {
	keys := slices.SortedFunc(maps.Keys(m), func(a, b key) int { return bytes.Compare(a[:], b[:]) })
	packed := make([]byte, 0, len(m)*packedMark)
	for _, k := range keys {
		e := m[k]
		packed = append(packed, k[:]...)
		packed = binary.BigEndian.AppendUint32(packed, e.timestamp)
		packed = binary.BigEndian.AppendUint32(packed, e.since)
		var context [4]byte
		_, _ = hex.Decode(context[:], []byte(e.context)) // eight digits of ours, or none
		packed = append(packed, context[:]...)
	}
	return cursorHead + base64.RawURLEncoding.EncodeToString(packed)
}

// parseMarks reads a cursor; none at all if it is not one.
func parseMarks(text string) marks {
	m := marks{}
	body, ours := strings.CutPrefix(text, cursorHead)
	packed, err := base64.RawURLEncoding.DecodeString(body)
	if !ours || err != nil || len(packed)%packedMark != 0 {
		return m
	}
	for p := range slices.Chunk(packed, packedMark) {
		e := mark{timestamp: binary.BigEndian.Uint32(p[8:]), since: binary.BigEndian.Uint32(p[12:])}
		if context := p[16:20]; !bytes.Equal(context, make([]byte, 4)) {
			e.context = hex.EncodeToString(context)
		}
		m[key(p[:8])] = e
	}
	return m
}

// Unread are events by their uuids, each with the number of the pull, from 1, that asked for it last.
type Unread map[uuid.UUID]int64

// rounds is the number of the last pull.
func (u Unread) rounds() (last int64) {
	for _, round := range u {
		last = max(last, round)
	}
	return last
}
