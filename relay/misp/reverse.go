// SPDX-FileCopyrightText: The certlink authors
// SPDX-License-Identifier: Apache-2.0

package misp

import (
	"cmp"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/certlink/certlink/relay/rule"
	"github.com/certlink/certlink/relay/stix"
)

// Attribute is an attribute as an event of ours has it.
type Attribute struct {
	UUID      string `json:"uuid"`
	Type      string `json:"type"`
	Category  string `json:"category"`
	Value     string `json:"value"`
	Comment   string `json:"comment,omitempty"`
	ToIDs     bool   `json:"to_ids"`
	Timestamp string `json:"timestamp"`
	FirstSeen string `json:"first_seen,omitempty"`
	LastSeen  string `json:"last_seen,omitempty"`
	Deleted   bool   `json:"deleted"`
	// Distribution is "0" for what carries no marking or one that keeps it here, so that no
	// default of a MISP makes it public, and "5", that of the event, for all else.
	Distribution string     `json:"distribution"`
	Tags         []NamedTag `json:"Tag,omitempty"`
}

// NamedTag is a tag of an event or an attribute.
type NamedTag struct {
	Name string `json:"name"`
}

// members are those of a STIX object that an attribute can say.
type members struct {
	Name        string            `json:"name"`
	Description string            `json:"description"`
	Pattern     string            `json:"pattern"`
	PatternType string            `json:"pattern_type"`
	Abstract    string            `json:"abstract"`
	Content     string            `json:"content"`
	Value       string            `json:"value"`
	Key         string            `json:"key"`
	Subject     string            `json:"subject"`
	Labels      []string          `json:"labels"`
	ValidFrom   string            `json:"valid_from"`
	ValidUntil  string            `json:"valid_until"`
	Number      *int64            `json:"number"`
	Hashes      map[string]string `json:"hashes"`
	ObjectRefs  []string          `json:"object_refs"`
	Published   string            `json:"published"`
	References  []struct {
		Source      string `json:"source_name"`
		Description string `json:"description"`
	} `json:"external_references"`
}

// attributesOf converts an object for an event. None means that MISP has nothing for
// its type.
func attributesOf(eventUUID string, o stix.Object, came arrival, known statements) []Attribute {
	var m members
	if unmarshal(o.Raw, &m) != nil {
		return nil
	}
	list := m.attributes(o)
	at := o.Version
	if at.IsZero() || came.again && at.Before(came.at) {
		at = came.at
	}
	if late := known.since(o.Markings, came.at); late > at.Unix() {
		at = time.Unix(late, 0) // a MISP leaves an attribute as it is whose timestamp is
	}
	tags, distribution := tagsOf(o.Markings, known)
	for _, l := range m.Labels {
		if l != "" && len(l) <= maxLabelBytes && len(tags) < maxLabels {
			if _, isTLP := tagMarking(l); !isTLP {
				tags = append(tags, NamedTag{l})
			}
		}
	}
	for i := range list {
		a := &list[i]
		a.UUID = derive("attribute", eventUUID, o.ID, strconv.Itoa(i))
		a.Timestamp, a.Deleted = strconv.FormatInt(at.Unix(), 10), o.Revoked
		a.Tags, a.Distribution = tags, distribution
		a.FirstSeen, a.LastSeen = m.ValidFrom, m.ValidUntil
		if a.Comment == "" && a.Value != m.Description {
			a.Comment = m.Description
		}
	}
	return list
}

// tagsOf are the tags that say the markings of an object: the strictest of them. A
// marking that is neither TLP nor a plain statement counts as RED.
func tagsOf(markings []string, known statements) (tags []NamedTag, distribution string) {
	var strictest marking
	for _, id := range markings {
		level, isTLP := rule.LevelOf(id)
		_, plain := known[id]
		switch {
		case isTLP:
			strictest = strictest.strictest(marking{level: level, white: id == whiteID})
		case !plain:
			strictest = marking{level: rule.Red}
		}
	}
	switch {
	case strictest.level == 0:
		return nil, onlyOurs
	case strictest.white:
		return []NamedTag{{"tlp:white"}}, asEvent
	}
	tags = []NamedTag{{"tlp:" + strings.ToLower(strictest.level.String())}}
	if strictest.level >= rule.AmberStrict {
		return tags, onlyOurs
	}
	return tags, asEvent
}

// Distributions that we write (MISP core format, "distribution").
const (
	onlyOurs      = "0" // your organisation only
	thisCommunity = "1"
	everywhere    = "3" // all communities
	asEvent       = "5" // of an attribute: that of its event
)

// eventDistribution is that of the event of a report with these tags of TLP, whose title it has: no
// further than the marking says. Empty, which a MISP fills in as its feed says, for GREEN: the
// format has no level for it that a reader like ours would not take for something stricter.
func eventDistribution(tags []NamedTag) string {
	if len(tags) == 0 {
		return onlyOurs
	}
	m, _ := tagMarking(tags[0].Name)
	switch m.level {
	case rule.Clear:
		return everywhere
	case rule.Green:
		return ""
	case rule.Amber:
		return thisCommunity
	}
	return onlyOurs
}

// texts are the types whose name stands for them.
var texts = []string{"attack-pattern", "campaign", "course-of-action", "infrastructure", "intrusion-set", "malware", "threat-actor", "tool"}

func (m *members) attributes(o stix.Object) []Attribute {
	switch o.Type {
	case "indicator":
		return m.detected()
	case "vulnerability":
		return named("vulnerability", "External analysis", m.Name, "")
	case "note":
		category, typ := m.origin()
		if typ == "" || terms(typ, m.Content) != nil {
			category, typ = "Other", "text"
		}
		return named(typ, category, m.Content, m.Abstract)
	case "autonomous-system":
		if m.Number == nil {
			return nil
		}
		return named("AS", "Network activity", "AS"+strconv.FormatInt(*m.Number, 10), "")
	case "file":
		return m.file()
	case "x509-certificate":
		return m.certificate()
	}
	if slices.Contains(texts, o.Type) {
		return named("text", "Other", m.Name, o.Type)
	}
	kind := seenTypes[o.Type]
	return named(kind[0], kind[1], cmp.Or(m.Value, m.Name, m.Key, m.Subject), "")
}

// seenTypes are the MISP types and categories of observables that have but one value.
var seenTypes = map[string][2]string{
	"ipv4-addr": {"ip-dst", "Network activity"}, "ipv6-addr": {"ip-dst", "Network activity"},
	"domain-name": {"domain", "Network activity"}, "url": {"url", "Network activity"}, "email-addr": {"email", "Network activity"},
	"mac-addr": {"mac-address", "Network activity"}, "mutex": {"mutex", "Artifacts dropped"},
	"windows-registry-key": {"regkey", "Persistence mechanism"}, "email-message": {"email-subject", "Payload delivery"},
}

func named(typ, category, value, comment string) []Attribute {
	if value == "" || typ == "" {
		return nil
	}
	return []Attribute{{Type: typ, Category: category, Value: value, Comment: comment}}
}

// hashTypes are the MISP types of hashes, in order.
var hashTypes = []string{"md5", "sha1", "sha256", "sha512", "sha3-256", "sha3-512", "ssdeep", "tlsh"}

func (m *members) file() []Attribute {
	var list []Attribute
	for _, typ := range hashTypes {
		value := m.Hashes[hashNames[typ]]
		switch {
		case value == "":
		case m.Name != "" && !strings.Contains(m.Name, "|"):
			list = append(list, named("filename|"+typ, "Payload delivery", m.Name+"|"+value, "")...)
		default:
			list = append(list, named(typ, "Payload delivery", value, "")...)
		}
	}
	if list == nil {
		return named("filename", "Payload delivery", m.Name, "")
	}
	return list
}

func (m *members) certificate() []Attribute {
	var list []Attribute
	for _, typ := range []string{"md5", "sha1", "sha256"} {
		list = append(list, named("x509-fingerprint-"+typ, "Network activity", m.Hashes[hashNames[typ]], "")...)
	}
	return list
}

// origin is the category and type that an object had in MISP, if it says so.
func (m *members) origin() (category, typ string) {
	for _, r := range m.References {
		if r.Source == "misp" {
			category, typ, _ = strings.Cut(r.Description, "/")
			if !slices.Contains(categories, category) || len(typ) > 64 {
				return "", ""
			}
			return category, typ
		}
	}
	return "", ""
}

// categories of the MISP core format.
var categories = []string{
	"Internal reference", "Targeting data", "Antivirus detection", "Payload delivery", "Artifacts dropped", "Payload installation",
	"Persistence mechanism", "Network activity", "Payload type", "Attribution", "External analysis", "Financial fraud",
	"Support Tool", "Social network", "Person", "Other",
}

// detected are the attributes of an indicator: one for each alternative of a pattern of
// plain comparisons, else the pattern itself.
func (m *members) detected() []Attribute {
	if m.PatternType != "" && m.PatternType != "stix" {
		if languages[m.PatternType] == "" {
			return detect(named("text", "Other", m.Pattern, "pattern of type "+m.PatternType))
		}
		return detect(named(languages[m.PatternType], "Payload installation", m.Pattern, m.Name))
	}
	whole := named("stix2-pattern", "Payload installation", m.Pattern, m.Name)
	alternatives, ok := parsePattern(m.Pattern)
	if !ok {
		return detect(whole)
	}
	category, typ := m.origin()
	var list []Attribute
	for _, group := range alternatives {
		part := fromTerms(group)
		if part == nil {
			return detect(whole)
		}
		for i := range part {
			// What it was in MISP counts, if that means the same.
			if len(part) == 1 && typ != "" && pattern(terms(typ, part[i].Value)) == pattern(group) {
				part[i].Type, part[i].Category = typ, category
			}
			if m.Name != "" && m.Name != part[i].Value {
				part[i].Comment = m.Name
			}
		}
		list = append(list, part...)
	}
	return detect(list)
}

func detect(list []Attribute) []Attribute {
	for i := range list {
		list[i].ToIDs = true
	}
	return list
}
