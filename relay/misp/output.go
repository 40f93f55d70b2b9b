// SPDX-FileCopyrightText: The certlink authors
// SPDX-License-Identifier: Apache-2.0

package misp

import (
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/google/uuid"

	"github.com/certlink/certlink/relay/stix"
)

// timeForm is that of STIX: RFC 3339, UTC, milliseconds.
const timeForm = "2006-01-02T15:04:05.000Z"

func stixTime(t time.Time) string { return t.UTC().Format(timeForm) }

// output makes the objects of one event.
type output struct {
	event *Event
	emit  func(stix.Object) error
}

// part is what the attributes and objects of an event have in common.
type part struct {
	uuid    string
	mark    marking
	version time.Time
	first   time.Time
	last    time.Time
	revoked bool
	labels  []string
	comment string
	// origin is "CATEGORY/TYPE" as MISP has it.
	origin string
}

// send checks an object and gives it away. One that is beyond the bounds of STIX
// objects is counted, not sent.
func (o *output) send(f fields) error {
	raw, err := json.Marshal(f)
	if err != nil {
		return fmt.Errorf("writing object: %w", err)
	}
	switch object, err := stix.Parse(raw); {
	case err == nil:
		o.event.tally.Objects++
		return o.emit(object)
	case errors.Is(err, stix.ErrTooLarge), errors.Is(err, stix.ErrTooDeep):
		o.event.tally.lose(LostTooLarge)
	default:
		o.event.tally.lose(LostMalformed)
	}
	return nil
}

// refer notes an object for the report.
func (o *output) refer(id string) { o.event.refs = append(o.event.refs, id) }

// domain begins a domain object.
func (o *output) domain(typ string, p part) fields {
	f := fields{
		"type": typ, "spec_version": "2.1", "id": derived(typ, p.uuid),
		// MISP keeps no time of creation: the day of the event stands for it, which is
		// the same for each version.
		"created": stixTime(o.created()), "modified": stixTime(p.version),
		"created_by_ref": o.event.creator,
	}
	if id := p.mark.id(); id != "" {
		f["object_marking_refs"] = []string{id}
	}
	if p.revoked {
		f["revoked"] = true
	}
	if len(p.labels) > 0 {
		f["labels"] = p.labels
	}
	if p.origin != "" {
		f["external_references"] = []map[string]string{{"source_name": "misp", "external_id": p.uuid, "description": p.origin}}
	}
	return f
}

// created is the day of the event, if that is a day that has come.
func (o *output) created() time.Time {
	day, err := time.Parse(time.DateOnly, string(o.event.header.Date))
	if err != nil || day.After(o.event.Timestamp) || day.Year() < 1970 {
		return time.Unix(0, 0).UTC()
	}
	return day
}

// identity sends the creator of the event: the same object for the same name and uuid,
// whenever it is met. It carries no marking of the event: it is in many of them.
func (o *output) identity() error {
	org := o.event.header.Orgc
	name := string(org.Name)
	if name == "" {
		name = "unknown organisation"
	}
	fixed := stixTime(time.Unix(0, 0))
	f := fields{
		"type": "identity", "spec_version": "2.1", "id": derived("identity", string(org.UUID), name),
		"created": fixed, "modified": fixed, "name": name, "identity_class": "organization",
	}
	o.event.creator = f.id()
	return o.send(f)
}

// version of a part: its last change, or that of what it inherits, if that was later.
func (o *output) version(changed ...time.Time) time.Time {
	v := o.event.since
	if day := o.created(); day.Unix() > 0 && day.After(v) {
		v = day
	}
	for _, t := range changed {
		if t.After(v) {
			v = t
		}
	}
	if v.IsZero() {
		v = o.event.Timestamp
	}
	return v
}

// partOf reads what is common to all attributes.
func (o *output) partOf(a *attribute, inherited marking) (part, bool) {
	id, err := uuid.Parse(string(a.UUID))
	if err != nil {
		return part{}, false
	}
	p := part{
		uuid: id.String(), mark: inherited.restrict(a.Tags, a.Distribution, a.Group),
		version: o.version(a.Timestamp.instant()), first: a.FirstSeen.moment(), last: a.LastSeen.moment(),
		revoked: a.Deleted.truth(), labels: labels(a.Tags, &o.event.tally),
		comment: string(a.Comment), origin: string(a.Category) + "/" + string(a.Type),
	}
	p.seen()
	return p, true
}

// seen puts the two times in order; without a first one the version stands for it.
func (p *part) seen() {
	if p.first.IsZero() {
		p.first = p.version
		if !p.last.IsZero() && p.last.Before(p.first) {
			p.first = p.last
		}
	}
	if p.last.Before(p.first) {
		p.last = p.first
	}
}

// Groups of a report: what one refers to has to fit in an object.
const maxRefs = 10_000

// report sends what holds the event together: a report, or several where the event has
// more parts than one object can name.
func (o *output) report() error {
	e := o.event
	h := &e.header
	for _, g := range h.Galaxies {
		e.refs = append(e.refs, o.known(g)...)
	}
	published := h.PublishedAt.instant()
	if published.IsZero() {
		published = e.Timestamp
	}
	name := string(h.Info)
	if name == "" {
		name = e.UUID
	}
	for n := 0; n == 0 || n*maxRefs < len(e.refs); n++ {
		refs := e.refs[n*maxRefs : min((n+1)*maxRefs, len(e.refs))]
		if len(refs) == 0 {
			refs = []string{e.creator}
		}
		p := part{uuid: e.UUID, mark: e.mark, version: o.version(e.Timestamp), labels: o.reportLabels()}
		f := o.domain("report", p)
		f["name"], f["published"], f["object_refs"] = name, stixTime(published), refs
		f["external_references"] = []map[string]string{{"source_name": "misp", "external_id": e.UUID}}
		if n > 0 {
			f["id"], f["name"] = derived("report", e.UUID, fmt.Sprint(n)), fmt.Sprintf("%s (part %d)", name, n+1)
		}
		if err := o.send(f); err != nil {
			return err
		}
	}
	return nil
}

// reportLabels are the event's tags, and what MISP keeps in fields of their own.
func (o *output) reportLabels() []string {
	h := &o.event.header
	list := labels(h.Tags, &o.event.tally)
	if n := h.Threat.number(); n >= 1 && n <= 4 {
		list = append(list, fmt.Sprintf(`misp:threat-level="%d"`, n))
	}
	if n := h.Analysis.number(); n >= 0 && n <= 2 {
		list = append(list, fmt.Sprintf(`misp:analysis="%d"`, n))
	}
	return list
}

// knownGalaxies are those whose clusters have the UUIDs of the STIX objects that they
// were made from: MITRE ATT&CK.
var knownGalaxies = map[string]string{
	"mitre-attack-pattern": "attack-pattern", "mitre-intrusion-set": "intrusion-set", "mitre-malware": "malware",
	"mitre-tool": "tool", "mitre-course-of-action": "course-of-action",
}

// known are the identifiers of a galaxy's clusters, as far as they are known.
func (o *output) known(g galaxy) []string {
	var ids []string
	for _, c := range g.Cluster {
		typ := knownGalaxies[string(g.Type)]
		if typ == "" {
			typ = knownGalaxies[string(c.Type)]
		}
		id, err := uuid.Parse(string(c.UUID))
		if typ == "" || err != nil || len(ids) == 256 {
			o.event.tally.lose(LostGalaxy)
			continue
		}
		ids = append(ids, typ+"--"+id.String())
	}
	return ids
}
