// SPDX-FileCopyrightText: The certlink authors
// SPDX-License-Identifier: Apache-2.0

package misp

import (
	"strings"
	"time"
)

// attribute converts one attribute of the event itself.
func (o *output) attribute(raw []byte) error {
	var a attribute
	o.event.tally.Attributes++
	if !decodes(raw, &a) {
		o.event.tally.lose(LostMalformed)
		return nil
	}
	return o.single(&a, o.event.mark)
}

// single converts an attribute that stands for itself.
func (o *output) single(a *attribute, inherited marking) error {
	p, ok := o.partOf(a, inherited)
	if !ok || a.Type == "" || a.Value == "" {
		o.event.tally.lose(LostMalformed)
		return nil
	}
	if a.Data != "" {
		o.event.tally.lose(LostAttachment)
	}
	typ, value := string(a.Type), string(a.Value)
	main, extra := o.express(a, typ, value, p)
	for _, f := range extra {
		o.refer(f.id())
		if err := o.send(f); err != nil {
			return err
		}
	}
	return o.finish(main, p, a.Sightings, a.Galaxies)
}

// express finds the STIX object that an attribute becomes, and those that it needs.
func (o *output) express(a *attribute, typ, value string, p part) (main fields, extra []fields) {
	if typ == "vulnerability" && strings.HasPrefix(strings.ToUpper(value), "CVE-") {
		f := o.domain("vulnerability", p)
		f["name"] = value
		f["external_references"] = append(references(f), map[string]string{"source_name": "cve", "external_id": strings.ToUpper(value)})
		return o.describe(f, p), nil
	}
	if a.ToIDs.truth() {
		if language := languages[typ]; language != "" {
			return o.indicator(p, language, value), nil
		}
		if t := terms(typ, value); t != nil {
			return o.indicator(p, "stix", pattern(t)), nil
		}
	} else if seen := observables(typ, value, p.mark); seen != nil {
		return o.observed(p, seen), seen
	}
	o.event.tally.Notes++
	f := o.domain("note", p)
	f["abstract"], f["content"] = p.origin, value
	// The event's report is what the note is about.
	f["object_refs"] = []string{derived("report", o.event.UUID)}
	if a.ToIDs.truth() {
		f["labels"] = append(append([]string{}, p.labels...), `misp:to_ids="true"`)
	}
	if p.comment != "" {
		f["content"] = value + "\n\n" + p.comment
	}
	return f, nil
}

func references(f fields) []map[string]string {
	list, _ := f["external_references"].([]map[string]string)
	return list
}

func (o *output) describe(f fields, p part) fields {
	if p.comment != "" {
		f["description"] = p.comment
	}
	return f
}

func (o *output) indicator(p part, language, text string) fields {
	f := o.domain("indicator", p)
	f["pattern_type"], f["pattern"], f["valid_from"] = language, text, stixTime(p.first)
	return o.describe(f, p)
}

func (o *output) observed(p part, seen []fields) fields {
	f := o.domain("observed-data", p)
	refs := make([]string, len(seen))
	for i, s := range seen {
		refs[i] = s.id()
	}
	f["first_observed"], f["last_observed"], f["number_observed"], f["object_refs"] = stixTime(p.first), stixTime(p.last), 1, refs
	if p.comment != "" {
		f["labels"] = append(append([]string{}, p.labels...), clipLabel("misp:comment="+p.comment))
	}
	return f
}

func clipLabel(text string) string {
	if runes := []rune(text); len(runes) > maxLabelBytes {
		return string(runes[:maxLabelBytes])
	}
	return text
}

// finish sends the main object of a part, its sightings and its galaxies.
func (o *output) finish(main fields, p part, sightings []sighting, galaxies []galaxy) error {
	around := o.sightings(main, p, sightings)
	for _, g := range galaxies {
		around = append(around, o.galaxy(main, p, g)...)
	}
	o.refer(main.id())
	if err := o.send(main); err != nil {
		return err
	}
	for _, f := range around {
		o.refer(f.id())
		if err := o.send(f); err != nil {
			return err
		}
	}
	return nil
}

// galaxy relates an indicator to the clusters of a galaxy.
func (o *output) galaxy(main fields, p part, g galaxy) []fields {
	var list []fields
	for _, target := range o.known(g) {
		verb := "indicates"
		if main["type"] != "indicator" || strings.HasPrefix(target, "course-of-action--") {
			verb = "related-to"
		}
		q := p
		q.origin, q.labels = "", nil
		f := o.domain("relationship", q)
		f["id"] = derived("relationship", p.uuid, target)
		f["relationship_type"], f["source_ref"], f["target_ref"] = verb, main.id(), target
		list = append(list, f)
	}
	return list
}

// maxSightings of one attribute.
const maxSightings = 1000

// sightings converts those of an attribute: seen (0), false positive (1), expired (2).
func (o *output) sightings(main fields, p part, sightings []sighting) []fields {
	var list []fields
	for i, s := range sightings {
		at := s.Date.instant()
		if i >= maxSightings || at.IsZero() {
			o.event.tally.lose(LostSighting)
			continue
		}
		q := part{uuid: derive("sighting", p.uuid, string(s.UUID), string(s.Type), string(s.Date), string(s.Org.UUID)), mark: p.mark, version: o.version(at), revoked: p.revoked}
		switch s.Type {
		case "", "0":
			f := o.domain("sighting", q)
			f["sighting_of_ref"], f["first_seen"], f["last_seen"], f["count"] = main.id(), stixTime(at), stixTime(at), 1
			list = append(list, f)
		case "1":
			f := o.domain("opinion", q)
			f["opinion"], f["explanation"], f["object_refs"] = "strongly-disagree", "sighted as a false positive at "+stixTime(at), []string{main.id()}
			list = append(list, f)
		case "2":
			if !expire(main, at) {
				o.event.tally.lose(LostSighting)
			}
		default:
			o.event.tally.lose(LostSighting)
		}
	}
	return list
}

// expire ends the validity of an indicator. It is a newer version, if it came later.
func expire(main fields, at time.Time) bool {
	from, _ := main["valid_from"].(string)
	if main["type"] != "indicator" || stixTime(at) <= from {
		return false
	}
	if until, ok := main["valid_until"].(string); !ok || stixTime(at) < until {
		main["valid_until"] = stixTime(at)
	}
	if modified, _ := main["modified"].(string); stixTime(at) > modified {
		main["modified"] = stixTime(at)
	}
	return true
}
