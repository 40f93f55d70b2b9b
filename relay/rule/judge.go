// SPDX-FileCopyrightText: The certlink authors
// SPDX-License-Identifier: Apache-2.0

package rule

import (
	"encoding/json"
	"strconv"
	"time"

	"github.com/certlink/certlink/relay/stix"
	"github.com/certlink/certlink/relay/territory"
)

// Question is what a decision needs besides the policy and the object.
type Question struct {
	// Source holds the object.
	Source string
	// Now is the time of the decision. Where the rule has a largest age, nothing
	// leaves without it.
	Now time.Time
	// Container is the strictest object of the source that names the object in its
	// object_refs, Content the strictest one that the object names in its own. Zero for none.
	Container, Content Bound
}

// Bound is the level of another object, which binds the one in question.
type Bound struct {
	Level Level
	// ID of the other object.
	ID string
}

// Stricter is the stricter one of two.
func (b Bound) Stricter(other Bound) Bound {
	if other.Level > b.Level {
		return other
	}
	return b
}

// Judgement is a verdict with what it rests on.
type Judgement struct {
	Verdict
	// Until is when the verdict ends because the object will be too old; zero for never.
	Until time.Time

	// told is what the reason does not say; found is what the data sets know, nil if they
	// were not asked.
	told  Evidence
	found *found
}

// found is put into words once, and only if somebody asks.
type found struct {
	territory.Evidence
	statement *territory.Statement
}

func (f *found) words() *territory.Statement {
	if f.statement == nil {
		s := f.Statement()
		f.statement = &s
	}
	return f.statement
}

// Evidence for people: a JSON object, "" where the reason says all. At most MaxEvidence bytes.
func (j Judgement) Evidence() string {
	if j.found != nil {
		j.told.Territory = j.found.words()
	}
	if j.told == (Evidence{}) {
		return ""
	}
	return j.told.text()
}

// Territory is the evidence of an object that leaves because it appears to emanate
// from the peer's territory; false for others.
func (j Judgement) Territory() (territory.Statement, bool) {
	if j.found == nil || !j.Share {
		return territory.Statement{}, false
	}
	return *j.found.words(), true
}

// MaxEvidence is the length of the longest evidence.
const MaxEvidence = territory.MaxStatement + 1024

// Evidence of a decision, as Judgement.Evidence writes it. Written out only where somebody
// keeps it, as it costs more than the decision.
type Evidence struct {
	// Binding is the object whose marking binds the one in question.
	Binding string `json:"binding,omitempty"`
	// Level of that object, or of the object in question.
	Level string `json:"level,omitempty"`
	// Confidence that the object has.
	Confidence *int64 `json:"confidence,omitempty"`
	// Seen is the object's last sign of life.
	Seen time.Time `json:"seen,omitzero"`
	// Territory says where the object appears to be.
	Territory *territory.Statement `json:"territory,omitempty"`
}

func (e Evidence) text() string {
	if e.Territory == nil || e != (Evidence{Territory: e.Territory}) {
		text, err := json.Marshal(e)
		if err != nil || len(text) > MaxEvidence {
			return ""
		}
		return string(text)
	}
	// Nearly all evidence is about a territory and nothing else.
	text, err := e.Territory.AppendJSON(append(make([]byte, 0, 512), `{"territory":`...))
	if err != nil || len(text) >= MaxEvidence {
		return ""
	}
	return string(append(text, '}'))
}

// Decide is Judge for an object that stands alone, and a rule without a largest age.
func (p *Policy) Decide(source string, o stix.Object) Verdict {
	return p.Judge(Question{Source: source}, o).Verdict
}

// Judge says whether an object of a source may leave. It allows nothing by
// default: the one place where Share is set comes after every reason to hold.
func (p *Policy) Judge(q Question, o stix.Object) Judgement {
	unmarked, ok := p.unmarked[q.Source]
	if !ok {
		return held(UnknownSource)
	}
	level, reason := p.level(unmarked, o)
	if level, reason, by := bind(level, reason, q); level < Clear || level > p.ceiling {
		j := held(reason)
		if by.ID != "" {
			j.told = Evidence{Binding: by.ID, Level: by.Level.String()}
		}
		return j
	}
	if p.types != nil && !p.types[o.Type] {
		return held(TypeNotAllowed)
	}
	var until time.Time
	if p.looksInside(o.Type) {
		var j Judgement
		if j, until = p.lively(q.Now, o); j.Reason != "" {
			return j
		}
	}
	if p.expression != nil {
		switch ok, err := p.expression.Allows(o.Raw); {
		case err != nil:
			return held(ExpressionFailed)
		case !ok:
			return held(ExpressionFalse)
		}
	}
	j := Judgement{Until: until}
	if p.emanates && !isMeta(o.Type) {
		if reason := p.place(o, &j); reason != "" {
			return j
		}
	}
	j.Verdict = Verdict{Share: true, Reason: withins[level]}
	return j
}

func held(reason string) Judgement { return Judgement{Verdict: Verdict{Reason: reason}} }

// bind makes the level stricter by what other objects demand. A marking of the
// object's own is the author's word about it: a container binds only what has none.
func bind(level Level, reason string, q Question) (Level, string, Bound) {
	var by Bound
	if reason == Unmarked && q.Container.Level > level {
		level, by = q.Container.Level, q.Container
		reason = containerAbove + level.String()
	}
	if q.Content.Level > level {
		level, by = q.Content.Level, q.Content
		reason = contentAbove + level.String()
	}
	return level, reason, by
}

// isMeta tells whether objects of a type tell only how to read others.
func isMeta(typ string) bool {
	return typ == stix.TypeMarkingDefinition || typ == "extension-definition"
}

func (p *Policy) looksInside(typ string) bool {
	return (p.minConfidence > 0 || p.maxAge > 0) && !isMeta(typ)
}

// lively asks for confidence and age.
func (p *Policy) lively(now time.Time, o stix.Object) (j Judgement, until time.Time) {
	var confidence int64
	seen := o.Version
	stix.Members(o.Raw, func(name, value []byte) bool {
		switch string(name) {
		case "confidence":
			// A fraction is no confidence (STIX 2.1 section 3.2).
			confidence, _ = strconv.ParseInt(string(value), 10, 64)
		case "last_seen", "last_observed", "valid_from":
			if t, err := stix.ParseTime(string(stix.Unquote(value))); err == nil && t.After(seen) {
				seen = t
			}
		}
		return true
	})
	if confidence < p.minConfidence {
		return Judgement{Verdict: Verdict{Reason: LowConfidence}, told: Evidence{Confidence: &confidence}}, until
	}
	if p.maxAge == 0 {
		return j, until
	}
	until = seen.Add(p.maxAge)
	switch {
	case seen.IsZero():
		return held(NoDate), until
	case now.IsZero() || !now.Before(until):
		return Judgement{Verdict: Verdict{Reason: TooOld}, told: Evidence{Seen: seen}}, until
	}
	return j, until
}

// place asks from whose territory the object appears to emanate. The reason is ""
// if it is the peer's.
func (p *Policy) place(o stix.Object, j *Judgement) (reason string) {
	if p.area == nil {
		*j = held(territory.NoTerritoryData)
		return j.Reason
	}
	j.found = &found{Evidence: p.atlas.Look(o)}
	ok, why := j.found.Emanates(p.area, p.terms)
	if !ok {
		j.Verdict, j.Until = Verdict{Reason: why}, time.Time{}
		return why
	}
	return ""
}
