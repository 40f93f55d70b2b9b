// SPDX-FileCopyrightText: The certlink authors
// SPDX-License-Identifier: Apache-2.0

package rule

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"
	"maps"
	"slices"
	"time"

	"github.com/certlink/certlink/relay/config"
	"github.com/certlink/certlink/relay/rule/expression"
	"github.com/certlink/certlink/relay/stix"
	"github.com/certlink/certlink/relay/territory"
)

// The reasons of a verdict. They are words of ours, few and stable: status and
// metrics count by them.
const (
	// Unmarked: the object has no TLP marking, and what its source declares for
	// such objects is above the ceiling.
	Unmarked = "Unmarked"
	// UnknownMarking: a marking of the object, or the marking definition that the
	// object is, is neither TLP nor a statement that we know.
	UnknownMarking = "UnknownMarking"
	// TypeNotAllowed: the rule names the types that may leave, and this is none.
	TypeNotAllowed = "TypeNotAllowed"
	// ExpressionFalse: the rule's expression is false for the object.
	ExpressionFalse = "ExpressionFalse"
	// ExpressionFailed: the rule's expression cannot be evaluated on the object.
	ExpressionFailed = "ExpressionFailed"
	// UnknownSource: the object lies in no source of the export.
	UnknownSource = "UnknownSource"
	// LowConfidence: the object's confidence is below the rule's.
	LowConfidence = "LowConfidence"
	// TooOld: the object's last sign of life is longer ago than the rule allows.
	TooOld = "TooOld"
	// NoDate: the rule has a largest age, and the object has no date.
	NoDate = "NoDate"
	// Unreadable: the stored bytes are no STIX object.
	Unreadable = "Unreadable"
	// Translation: the object translates what redaction leaves out of another one. It is
	// package redact that finds this.
	Translation = "TranslationOfRedacted"
	// Those that follow end with the level that decided. The reasons of territory are
	// those of package territory.
	aboveCeiling   = "TLPAboveCeiling: "
	containerAbove = "ContainerAboveCeiling: "
	contentAbove   = "ContentAboveCeiling: "
	within         = "TLPWithinCeiling: "
)

// aboves and withins are the reasons of each level, made once.
var aboves, withins = reasonsOf(aboveCeiling), reasonsOf(within)

func reasonsOf(prefix string) (reasons [Red + 1]string) {
	for l := range reasons {
		reasons[l] = prefix + Level(l).String()
	}
	return reasons
}

// revision is part of the hash. It changes with the code of Decide, so that a
// release that decides otherwise decides again.
const revision = "certlink-rule/2"

// Verdict is what was decided about one object.
type Verdict struct {
	// Share allows the object to leave.
	Share bool
	// Reason is one of the reasons above.
	Reason string
}

// Policy is everything that a decision depends on besides the object. It does
// not change.
type Policy struct {
	ceiling    Level
	types      map[string]bool        // nil allows all
	expression *expression.Expression // nil allows all
	unmarked   map[string]Level
	statements map[string]bool

	minConfidence int64
	maxAge        time.Duration // 0 allows all

	// emanates asks for territory, by terms. Until Toward names a peer, area is nil,
	// and nothing leaves.
	emanates bool
	terms    territory.Terms
	atlas    *territory.Atlas
	area     *territory.Area

	hash string
}

// NewPolicy makes the policy of an export. Statements are the identifiers of the
// marking definitions known to be plain statements: they tell about the source
// of an object and restrict nothing.
func NewPolicy(r config.Rule, sources []config.Source, statements []string) (*Policy, error) {
	ceiling, err := ParseLevel(r.MaxTLP)
	if err != nil {
		return nil, fmt.Errorf("reading maxTLP: %w", err)
	}
	if ceiling > Amber {
		return nil, fmt.Errorf("reading maxTLP: %s objects never leave in a feed", ceiling)
	}
	p := &Policy{ceiling: ceiling, unmarked: map[string]Level{}, statements: map[string]bool{}}
	if len(r.Types) > 0 {
		p.types = map[string]bool{}
		for _, t := range r.Types {
			p.types[t] = true
		}
	}
	if r.CEL != "" {
		if p.expression, err = expression.Compile(r.CEL); err != nil {
			return nil, fmt.Errorf("reading cel: %w", err)
		}
	}
	for _, s := range sources {
		level := AmberStrict
		if s.UnmarkedAs != "" {
			if level, err = ParseLevel(s.UnmarkedAs); err != nil {
				return nil, fmt.Errorf("reading unmarkedAs of source %q: %w", s.Name, err)
			}
		}
		p.unmarked[s.Name] = level
	}
	for _, id := range statements {
		p.statements[id] = true
	}
	p.minConfidence, p.maxAge = int64(r.MinConfidence), time.Duration(r.MaxAgeDays)*24*time.Hour
	if p.emanates = r.EmanatesFrom == config.FromPeer; p.emanates {
		p.terms = territory.Terms{MinAgreement: int(r.MinAgreement), IgnoreWarnings: r.WarningLists == config.WarningListsIgnore}
	}
	p.hash = p.digest()
	return p, nil
}

// Territorial tells whether the policy asks for territory, and so is another one
// toward each peer.
func (p *Policy) Territorial() bool { return p.emanates }

// Ages tells whether verdicts of the policy end with time.
func (p *Policy) Ages() bool { return p.maxAge > 0 }

// Toward is the policy toward a peer: with its territory, and the data of the moment.
func (p *Policy) Toward(area *territory.Area, atlas *territory.Atlas) *Policy {
	if !p.emanates {
		return p
	}
	own := *p
	own.area, own.atlas = area, atlas
	own.hash = own.digest()
	return &own
}

// Level is how strict an object of a source is, and whether by its own markings; one
// that is not understood counts as AMBER+STRICT.
func (p *Policy) Level(source string, o stix.Object) (level Level, own bool) {
	level, reason := p.level(p.unmarked[source], o)
	return level, reason != Unmarked
}

// Above tells whether a level is above the ceiling.
func (p *Policy) Above(l Level) bool { return l > p.ceiling }

// Hash stands for the policy: two with the same hash decide alike.
func (p *Policy) Hash() string { return p.hash }

func (p *Policy) digest() string {
	h := sha256.New()
	// Each line begins with a word that says what it is, and no value has a line
	// break, so that no two policies write the same.
	line := func(what string, value any) { _, _ = fmt.Fprintf(h, "%s %q\n", what, fmt.Sprint(value)) } // a hash takes everything
	_, _ = io.WriteString(h, revision+"\n")
	line("ceiling", p.ceiling)
	line("all-types", p.types == nil)
	for _, t := range slices.Sorted(maps.Keys(p.types)) {
		line("type", t)
	}
	if p.expression != nil {
		line("expression", p.expression)
	}
	line("confidence", p.minConfidence)
	line("age", p.maxAge)
	if p.emanates {
		line("agreement", p.terms.MinAgreement)
		line("ignore-warnings", p.terms.IgnoreWarnings)
		line("atlas", p.atlas.Digest())
		if p.area != nil {
			line("area", p.area.Digest())
		}
	}
	for _, s := range slices.Sorted(maps.Keys(p.unmarked)) {
		line("source", s)
		line("unmarked", p.unmarked[s])
	}
	for _, id := range slices.Sorted(maps.Keys(p.statements)) {
		line("statement", id)
	}
	return hex.EncodeToString(h.Sum(nil))
}

// level is the strictest of what applies to the object, and why it holds the
// object back if it is above the ceiling.
func (p *Policy) level(unmarked Level, o stix.Object) (Level, string) {
	if o.Type == stix.TypeMarkingDefinition {
		if isStandardDefinition(o.ID, o.Raw) {
			return Clear, ""
		}
		if _, tlp := LevelOf(o.ID); tlp || !o.Statement {
			return AmberStrict, UnknownMarking
		}
	}
	level, reason := Level(0), ""
	for _, ref := range o.Markings {
		l, why := AmberStrict, UnknownMarking
		if known, ok := LevelOf(ref); ok {
			l, why = known, aboves[known]
		} else if p.statements[ref] {
			continue
		}
		if l > level || l == level && why == UnknownMarking {
			level, reason = l, why
		}
	}
	if level == 0 {
		return unmarked, Unmarked
	}
	return level, reason
}
