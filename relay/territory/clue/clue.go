// SPDX-FileCopyrightText: The certlink authors
// SPDX-License-Identifier: Apache-2.0

package clue

import (
	"net/netip"
	"strconv"
	"time"
)

// Max is the largest number of clues that are taken from one object; beyond it the
// object is undecidable.
const Max = 64

// Kind says what a clue is.
type Kind uint8

// The kinds.
const (
	Address Kind = iota + 1
	Network
	Number
	Domain
)

// String returns the word that evidence uses.
func (k Kind) String() string {
	return [...]string{"none", "address", "network", "asn", "domain"}[min(k, Domain)]
}

// Clue is one value that an object names.
type Clue struct {
	Kind Kind
	// Prefix of an Address (all its bits) or a Network (no host bits); IPv4 is
	// written as IPv4.
	Prefix netip.Prefix
	// Number of an autonomous system.
	Number uint32
	// Name of a Domain, in lower case, without a dot at its end.
	Name string
}

// Text is the value as a person writes it.
func (c Clue) Text() string {
	switch c.Kind {
	case Address:
		return c.Prefix.Addr().String()
	case Network:
		return c.Prefix.String()
	case Number:
		return "AS" + strconv.FormatUint(uint64(c.Number), 10)
	}
	return c.Name
}

// Clues are what one object names.
type Clues struct {
	// List has no value twice.
	List []Clue
	// Undecidable: the object names addresses or autonomous systems in a way that is
	// not decided upon.
	Undecidable bool
	// Observed is last_observed, else valid_from, else the version of the object;
	// zero when it has none.
	Observed time.Time
}
