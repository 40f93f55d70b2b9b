// SPDX-FileCopyrightText: The certlink authors
// SPDX-License-Identifier: Apache-2.0

package territory

import (
	"slices"

	"github.com/certlink/certlink/relay/territory/clue"
	"github.com/certlink/certlink/relay/territory/span"
)

// Terms say what a rule asks of evidence.
type Terms struct {
	// MinAgreement is the number of sources that must say that a value is in the
	// area; less than 1 means 1.
	MinAgreement int
	// IgnoreWarnings lets values count that stand on a warning list.
	IgnoreWarnings bool
}

// weights order the reasons for which an object is held: the first that applies to
// one of its values is that of the object.
var weights = [...]string{
	OtherTerritory, OnWarningList, TerritoryDisputed, UnknownTerritory, NoTerritoryData, TerritoryUndecidable,
}

// neutral is the judgement of a value that speaks neither for the area nor against.
const neutral = ""

// Emanates tells whether the object appears to emanate from an area: every value
// that it names is in the area or neutral, and at least one is in the area. The
// reason is one of the constants of this package.
func (e Evidence) Emanates(area *Area, t Terms) (bool, string) {
	in, held := false, len(weights)
	for i := range e.findings {
		switch judged := e.judge(&e.findings[i], area, t); judged {
		case EmanatesFromPeer:
			in = true
		case neutral:
		default:
			held = min(held, slices.Index(weights[:], judged))
		}
	}
	if e.undecidable {
		held = min(held, slices.Index(weights[:], TerritoryUndecidable))
	}
	switch {
	case held < len(weights):
		return false, weights[held]
	case in:
		return true, EmanatesFromPeer
	}
	return false, NoTerritory
}

// judge says what one value tells about an area.
func (e Evidence) judge(f *finding, area *Area, t Terms) string {
	if f.warned != "" && !t.IgnoreWarnings {
		return OnWarningList
	}
	if area.names(f) {
		return EmanatesFromPeer
	}
	if f.Kind == clue.Domain {
		// A name does not say where it leads, and nobody is asked.
		return neutral
	}
	agree, sources := f.agreement(area)
	switch {
	case f.wide:
		return TerritoryUndecidable
	case agree >= max(t.MinAgreement, 1):
		return EmanatesFromPeer
	case agree > 0:
		return TerritoryDisputed
	case sources > 0:
		return OtherTerritory
	case f.reserved:
		return neutral
	case e.atlas.empty():
		return NoTerritoryData
	}
	return UnknownTerritory
}

// agreement counts the sources that know where a value is, and those of them that
// say it is in the area.
func (f *finding) agreement(area *Area) (agree, sources int) {
	var room [maxPlaces + 2]span.Country
	for _, c := range f.opinions(&room) {
		if !c.Names() {
			continue
		}
		sources++
		if slices.Contains(area.countries, c) {
			agree++
		}
	}
	return agree, sources
}
