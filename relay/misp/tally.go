// SPDX-FileCopyrightText: The certlink authors
// SPDX-License-Identifier: Apache-2.0

package misp

import (
	"maps"
	"slices"
)

// Lost says why a part of an event did not become a STIX object.
type Lost string

// The reasons.
const (
	// LostMalformed: it is no attribute or object of the format.
	LostMalformed Lost = "Malformed"
	// LostTooLarge: it is longer than an object may be.
	LostTooLarge Lost = "TooLarge"
	// LostAttachment: the bytes of an attached file; its name and hashes are kept.
	LostAttachment Lost = "Attachment"
	// LostTag: a tag beyond the number or length of labels.
	LostTag Lost = "Tag"
	// LostSighting: a sighting that cannot be expressed.
	LostSighting Lost = "Sighting"
	// LostGalaxy: a galaxy cluster whose STIX counterpart is not known.
	LostGalaxy Lost = "Galaxy"
	// LostReference: a relation between two MISP objects.
	LostReference Lost = "Reference"
)

// Tally counts what became of an event.
type Tally struct {
	// Attributes that were read, those in objects included.
	Attributes int64
	// Notes is the number of attributes that became a STIX note, for want of a type
	// that fits better: nothing of them is lost.
	Notes int64
	// Objects that were made.
	Objects int64
	// Lost counts what could not be converted, by reason.
	Lost map[Lost]int64
}

func (t *Tally) lose(why Lost) {
	if t.Lost == nil {
		t.Lost = map[Lost]int64{}
	}
	t.Lost[why]++
}

// LostTotal is the number of parts that could not be converted.
func (t Tally) LostTotal() int64 {
	var sum int64
	for _, why := range slices.Sorted(maps.Keys(t.Lost)) {
		sum += t.Lost[why]
	}
	return sum
}
