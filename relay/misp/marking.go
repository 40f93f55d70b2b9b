// SPDX-FileCopyrightText: The certlink authors
// SPDX-License-Identifier: Apache-2.0

package misp

import (
	"strings"

	"github.com/certlink/certlink/relay/rule"
)

// marking is the restriction of a part of an event; the zero value is none at all.
type marking struct {
	level rule.Level
	// white: the level is CLEAR, and was written in the words of TLP 1.0.
	white bool
}

// The identifiers of TLP, by level: those of TLP 2.0, from the STIX Common Objects of
// OASIS. WHITE of TLP 1.0 keeps its own.
var markingIDs = map[rule.Level]string{
	rule.Clear:       "marking-definition--94868c89-83c2-464b-929b-a1a8aa3c8487",
	rule.Green:       "marking-definition--bab4a63c-aed9-4cf5-a766-dfca5abac2bb",
	rule.Amber:       "marking-definition--55d920b0-5e8b-4f79-9ee9-91f868d9b421",
	rule.AmberStrict: "marking-definition--939a9414-2ddd-4d32-a0cd-375ea402b003",
	rule.Red:         "marking-definition--e828b379-4e03-4974-9ac4-e53a884c97c1",
}

const whiteID = "marking-definition--613f2e26-407d-48c7-9eca-b8e91df99dc9"

// id of the marking definition; "" for none.
func (m marking) id() string {
	if m.white {
		return whiteID
	}
	return markingIDs[m.level]
}

// strictest of two markings.
func (m marking) strictest(other marking) marking {
	if other.level > m.level {
		return other
	}
	return m
}

// tagMarking reads a tag; ok is false for one that does not speak of TLP. A tag that
// does, but in words that TLP does not have, is taken for the strictest level.
func tagMarking(name string) (m marking, ok bool) {
	word := strings.ToLower(strings.Join(strings.Fields(name), ""))
	if !strings.HasPrefix(word, "tlp") {
		return marking{}, false
	}
	switch word {
	case "tlp:white":
		return marking{level: rule.Clear, white: true}, true
	case "tlp:clear":
		return marking{level: rule.Clear}, true
	case "tlp:green":
		return marking{level: rule.Green}, true
	case "tlp:amber":
		return marking{level: rule.Amber}, true
	case "tlp:amber+strict":
		return marking{level: rule.AmberStrict}, true
	}
	return marking{level: rule.Red}, true
}

// distributionMarking is the restriction that a distribution level means for us, who
// are one hop away already: "your organisation" and "this community" are not to go
// on, "connected communities" came as far as it may, a sharing group has an audience that
// we cannot know. "All communities" restricts nothing, and says nothing of TLP.
func distributionMarking(distribution, group loose) marking {
	if g := group.number(); group != "" && g != 0 {
		return marking{level: rule.Red}
	}
	switch distribution {
	case "", "3", "5":
		return marking{}
	case "0", "1":
		return marking{level: rule.AmberStrict}
	case "2":
		return marking{level: rule.Amber}
	}
	return marking{level: rule.Red}
}

// restrict adds tags and a distribution level to a marking.
func (m marking) restrict(tags []tag, distribution, group loose) marking {
	for _, t := range tags {
		if found, ok := tagMarking(string(t.Name)); ok {
			m = m.strictest(found)
		}
	}
	return m.strictest(distributionMarking(distribution, group))
}

// Bounds of labels.
const (
	maxLabels     = 64
	maxLabelBytes = 250
)

// labels are the tags that do not speak of TLP: taxonomies, RSIT, galaxies.
func labels(tags []tag, lost *Tally) []string {
	var list []string
	for _, t := range tags {
		name := string(t.Name)
		if _, isTLP := tagMarking(name); isTLP || name == "" {
			continue
		}
		if len(name) > maxLabelBytes || len(list) == maxLabels {
			lost.lose(LostTag)
			continue
		}
		list = append(list, name)
	}
	return list
}
