// SPDX-FileCopyrightText: The certlink authors
// SPDX-License-Identifier: Apache-2.0

package misp

import (
	"time"

	"github.com/google/uuid"
)

// objectTypes are the MISP objects that become one STIX object: for each, the types that
// the attributes of a relation count as. Attributes of other relations stand for themselves.
var objectTypes = map[string]map[string]string{
	"file": {
		"filename": "filename", "md5": "md5", "sha1": "sha1", "sha256": "sha256", "sha512": "sha512",
		"sha3-256": "sha3-256", "sha3-512": "sha3-512", "ssdeep": "ssdeep", "tlsh": "tlsh", "mimetype": "mime-type",
	},
	"domain-ip":          {"domain": "domain", "hostname": "domain", "ip": "resolves-to"},
	"network-connection": {"ip-src": "ip-src", "ip-dst": "ip-dst", "src-port": "src-port", "dst-port": "dst-port"},
	"url":                {"url": "url"},
}

// object converts a MISP object: as one indicator, if its name is known and a part of it
// is to be detected; else attribute by attribute.
func (o *output) object(raw []byte) error {
	var m object
	if !decodes(raw, &m) {
		o.event.tally.lose(LostMalformed)
		return nil
	}
	o.event.tally.Attributes += int64(len(m.Attributes))
	for range m.References {
		o.event.tally.lose(LostReference)
	}
	mark := o.event.mark.strictest(marking{}.restrict(nil, m.Distribution, m.Group))
	types := objectTypes[string(m.Name)]
	used, rest := split(m.Attributes, types)
	combined := joined(used, types)
	id, err := uuid.Parse(string(m.UUID))
	if combined == nil || err != nil {
		rest, used = append(rest, used...), nil
	}
	for i := range rest {
		if m.Deleted.truth() {
			rest[i].Deleted = "true"
		}
		// What they inherit of the object may have changed with it.
		if rest[i].Timestamp.instant().Before(m.Timestamp.instant()) {
			rest[i].Timestamp = m.Timestamp
		}
		rest[i].Tags = append(rest[i].Tags, tag{Name: "misp-object:" + m.Name})
		if err := o.single(&rest[i], mark); err != nil {
			return err
		}
	}
	if len(used) == 0 {
		return nil
	}
	return o.combined(&m, id.String(), mark, used, combined)
}

// combined sends the one indicator of an object.
func (o *output) combined(m *object, id string, mark marking, used []attribute, t []term) error {
	changed := []time.Time{m.Timestamp.instant()}
	p := part{uuid: id, comment: string(m.Comment), first: m.FirstSeen.moment(), last: m.LastSeen.moment(), origin: "object/" + string(m.Name)}
	var (
		tags      []tag
		sightings []sighting
		galaxies  []galaxy
	)
	deleted := true
	for _, a := range used {
		mark = mark.restrict(a.Tags, a.Distribution, a.Group)
		changed = append(changed, a.Timestamp.instant())
		tags = append(tags, a.Tags...)
		sightings = append(sightings, a.Sightings...)
		galaxies = append(galaxies, a.Galaxies...)
		if p.comment == "" {
			p.comment = string(a.Comment)
		}
		if a.Data != "" {
			o.event.tally.lose(LostAttachment)
		}
		deleted = deleted && a.Deleted.truth()
	}
	p.mark, p.version, p.labels = mark, o.version(changed...), labels(tags, &o.event.tally)
	p.revoked = m.Deleted.truth() || deleted
	p.seen()
	return o.finish(o.indicator(p, "stix", pattern(t)), p, sightings, galaxies)
}

// split parts the attributes that make up the one indicator of an object from the
// others. Without one that is to be detected, none does.
func split(all []attribute, types map[string]string) (used, rest []attribute) {
	detect := false
	taken := map[string]bool{}
	for _, a := range all {
		typ := types[string(a.Relation)]
		// A second value for one property cannot be true of the same observation, and what is
		// deleted is not to be detected any more.
		if typ == "" || a.Value == "" || a.Deleted.truth() || taken[typ] {
			rest = append(rest, a)
			continue
		}
		taken[typ] = true
		used = append(used, a)
		detect = detect || a.ToIDs.truth()
	}
	if !detect || len(used) < 2 {
		return nil, all
	}
	return used, rest
}

// joined are the comparisons of all attributes; nil if one of them has none.
func joined(used []attribute, types map[string]string) []term {
	var all []term
	for _, a := range used {
		var t []term
		switch value, typ := string(a.Value), types[string(a.Relation)]; typ {
		case "resolves-to":
			if _, ok := addressType(value); ok {
				t = []term{{path: "domain-name:resolves_to_refs[*].value", value: value}}
			}
		case "src-port", "dst-port":
			t = withPort([]term{}, typ[:3], value)
		default:
			t = terms(typ, value)
		}
		if t == nil {
			return nil
		}
		all = append(all, t...)
	}
	return all
}
