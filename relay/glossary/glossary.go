// SPDX-FileCopyrightText: The certlink authors
// SPDX-License-Identifier: Apache-2.0

package glossary

import (
	"cmp"
	"crypto/sha256"
	"encoding/binary"
	"maps"
	"slices"
	"time"

	"github.com/certlink/certlink/relay/message"
)

// Bounds of a glossary.
const (
	// MaxTerms that each side may bring in; further ones are counted and left out.
	MaxTerms = 500
	// MaxStatements of each side that a caller should read: the newest ones.
	MaxStatements = 10_000
	// kept is the number of definitions and of answers of a side that are remembered by
	// their digest, for each term: those of the largest serials.
	kept = 32
)

// State of a term. The package comment says when it is which.
type State string

// The states.
const (
	Agreed         State = "Agreed"
	Disagreed      State = "Disagreed"
	ProposedByUs   State = "ProposedByUs"
	ProposedByThem State = "ProposedByThem"
	ProposedByBoth State = "ProposedByBoth"
	Unclear        State = "Unclear"
)

// The positions of a TERM message.
const (
	Proposed  = "proposed"
	Agrees    = "agreed"
	Disagrees = "disagreed"
)

// The sides of a term.
const (
	ourSide = iota
	theirSide
)

// Statement is a TERM message of one side.
type Statement struct {
	// Ours tells whose it is.
	Ours bool
	// Message is its id, Serial its place among the messages of its sender, At its time.
	Message string
	Serial  int64
	At      time.Time
	message.Term
}

// Definition of a term by one side: its newest one.
type Definition struct {
	Version    int64     `json:"version"`
	Name       string    `json:"name"`
	Language   string    `json:"language"`
	Definition string    `json:"definition"`
	Message    string    `json:"message"`
	At         time.Time `json:"at"`
	serial     int64
	digest     [sha256.Size]byte
}

// Answer of one side to the newest definition of the other.
type Answer struct {
	// Position is Agrees or Disagrees.
	Position string    `json:"position"`
	Message  string    `json:"message"`
	At       time.Time `json:"at"`
}

// Term as both sides have it.
type Term struct {
	ID    string `json:"id"`
	State State  `json:"state"`
	// Ours and Theirs are the newest definitions; nil for a side that has none.
	Ours   *Definition `json:"ours,omitempty"`
	Theirs *Definition `json:"theirs,omitempty"`
	// TheirAnswer is theirs to ours, OurAnswer ours to theirs; nil while there is none.
	TheirAnswer *Answer `json:"theirAnswer,omitempty"`
	OurAnswer   *Answer `json:"ourAnswer,omitempty"`
	// Notes name what does not fit and counts for nothing, one line each.
	Notes []string `json:"notes,omitempty"`
}

// Glossary collects statements. The zero value is empty; it is not for concurrent use.
type Glossary struct {
	terms   map[string]*both
	count   [2]int
	dropped [2]map[string]bool
}

// both is what two sides said of one term.
type both struct{ sides [2]side }

// side is what one of them said.
type side struct {
	newest      *Definition
	definitions []trace
	answers     []trace
}

// trace is what is remembered of each statement.
type trace struct {
	version, serial int64
	digest          [sha256.Size]byte
	position        string
	message         string
	at              time.Time
}

// Add takes a statement; the order does not matter. It tells false when the glossary of
// that side is full and the statement is about a further term.
func (g *Glossary) Add(s Statement) bool {
	at := theirSide
	if s.Ours {
		at = ourSide
	}
	if g.terms == nil {
		g.terms = map[string]*both{}
	}
	t := g.terms[s.ID]
	if t == nil {
		if g.count[at] >= MaxTerms {
			g.drop(at, s.ID)
			return false
		}
		g.count[at]++
		t = &both{}
		g.terms[s.ID] = t
	}
	t.sides[at].add(s)
	return true
}

func (g *Glossary) drop(at int, id string) {
	if g.dropped[at] == nil {
		g.dropped[at] = map[string]bool{}
	}
	if len(g.dropped[at]) < MaxTerms {
		g.dropped[at][id] = true
	}
}

// Dropped is the number of terms that were left out because a side brought in too many,
// at most MaxTerms for each side.
func (g *Glossary) Dropped() int { return len(g.dropped[ourSide]) + len(g.dropped[theirSide]) }

func (s *side) add(said Statement) {
	t := trace{version: said.Version, serial: said.Serial, digest: digest(said.Term), position: said.Position, message: said.Message, at: said.At}
	if said.Position != Proposed {
		s.answers = keep(s.answers, t)
		return
	}
	s.definitions = keep(s.definitions, t)
	// Of two under one version the first counts: it may have been answered.
	if d := s.newest; d != nil && (said.Version < d.Version || said.Version == d.Version && said.Serial >= d.serial) {
		return
	}
	s.newest = &Definition{
		Version: said.Version, Name: said.Name, Language: said.Language, Definition: said.Definition,
		Message: said.Message, At: said.At, serial: t.serial, digest: t.digest,
	}
}

// keep adds a trace; those with the largest serials stay.
func keep(traces []trace, t trace) []trace {
	at, _ := slices.BinarySearchFunc(traces, t, func(a, b trace) int { return cmp.Compare(b.serial, a.serial) })
	traces = slices.Insert(traces, at, t)
	return traces[:min(len(traces), kept)]
}

// digest stands for the words of a statement.
func digest(t message.Term) (d [sha256.Size]byte) {
	h := sha256.New()
	for _, part := range []string{t.Name, t.Language, t.Definition} {
		_ = binary.Write(h, binary.BigEndian, int64(len(part))) // a hash takes everything
		h.Write([]byte(part))
	}
	h.Sum(d[:0])
	return d
}

// Terms returns all terms, by id.
func (g *Glossary) Terms() []Term {
	terms := make([]Term, 0, len(g.terms))
	for _, id := range slices.Sorted(maps.Keys(g.terms)) {
		terms = append(terms, judge(id, g.terms[id]))
	}
	return terms
}

// Term returns one term.
func (g *Glossary) Term(id string) (Term, bool) {
	t := g.terms[id]
	if t == nil {
		return Term{}, false
	}
	return judge(id, t), true
}
