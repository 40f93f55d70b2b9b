// SPDX-FileCopyrightText: The certlink authors
// SPDX-License-Identifier: Apache-2.0

package glossary

import "fmt"

// judge says how a term stands.
func judge(id string, b *both) Term {
	t := Term{ID: id, Ours: b.sides[ourSide].newest, Theirs: b.sides[theirSide].newest}
	var theirs, ours []string
	t.TheirAnswer, theirs = answer(t.Ours, b.sides[theirSide].answers, "theirs", "ours")
	t.OurAnswer, ours = answer(t.Theirs, b.sides[ourSide].answers, "ours", "theirs")
	t.Notes = append(oddities(&b.sides[ourSide], "ours"), oddities(&b.sides[theirSide], "theirs")...)
	t.Notes = append(append(t.Notes, theirs...), ours...)
	t.State = state(t)
	return t
}

func state(t Term) State {
	waits := func(d *Definition, a *Answer) bool { return d != nil && a == nil }
	refused := func(a *Answer) bool { return a != nil && a.Position == Disagrees }
	us, them := waits(t.Ours, t.TheirAnswer), waits(t.Theirs, t.OurAnswer)
	switch {
	case t.Ours == nil && t.Theirs == nil:
		return Unclear
	case refused(t.TheirAnswer) || refused(t.OurAnswer):
		return Disagreed
	case us && them:
		return ProposedByBoth
	case us:
		return ProposedByUs
	case them:
		return ProposedByThem
	}
	return Agreed
}

// answer finds the newest answer to a definition, and names answers that are about
// nothing that is here.
func answer(to *Definition, answers []trace, whose, other string) (*Answer, []string) {
	var found *Answer
	var notes []string
	met, ahead := false, false
	for _, a := range answers { // the newest first
		switch {
		case to == nil || a.version > to.Version:
			if !ahead {
				notes = append(notes, fmt.Sprintf("an answer of %s (%s) is about version %d of %s, which is not here", whose, a.message, a.version, other))
			}
			ahead = true
		case a.version < to.Version || met:
		case a.digest != to.digest:
			met = true
			notes = append(notes, fmt.Sprintf("the answer of %s (%s) repeats other words than version %d of %s: it does not count", whose, a.message, a.version, other))
		default:
			met = true
			found = &Answer{Position: a.position, Message: a.message, At: a.at}
		}
	}
	return found, notes
}

// oddities names what a side said about its own definitions that does not fit.
func oddities(s *side, whose string) []string {
	var notes []string
	if s.newest == nil {
		return nil
	}
	forked, back := false, false
	for _, d := range s.definitions {
		if !forked && d.version == s.newest.Version && d.digest != s.newest.digest {
			forked = true
			notes = append(notes, fmt.Sprintf("version %d of %s has another definition in %s: the first counts", d.version, whose, d.message))
		}
		if !back && d.version < s.newest.Version && d.serial > s.newest.serial {
			back = true
			notes = append(notes, fmt.Sprintf("version %d of %s was stated again (%s) after version %d: it does not count", d.version, whose, d.message, s.newest.Version))
		}
	}
	return notes
}
