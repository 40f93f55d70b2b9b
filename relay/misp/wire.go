// SPDX-FileCopyrightText: The certlink authors
// SPDX-License-Identifier: Apache-2.0

package misp

import (
	"bytes"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/go-json-experiment/json"
)

// unmarshal decodes strictly: valid UTF-8, no duplicate names.
func unmarshal(raw []byte, into any) error {
	if err := json.Unmarshal(raw, into); err != nil {
		return fmt.Errorf("%w: %s", ErrFormat, brief(err.Error()))
	}
	return nil
}

// decodes is unmarshal for what is counted, not reported, when it is malformed.
func decodes(raw []byte, into any) bool { return unmarshal(raw, into) == nil }

// loose is a scalar that MISP writes now as a string, now as a number or truth value.
type loose string

// UnmarshalJSON takes any scalar.
func (l *loose) UnmarshalJSON(raw []byte) error {
	raw = bytes.TrimSpace(raw)
	switch {
	case len(raw) == 0 || raw[0] == '{' || raw[0] == '[':
		return fmt.Errorf("%w: a scalar is missing", ErrFormat)
	case raw[0] == '"':
		var text string
		if err := json.Unmarshal(raw, &text); err != nil {
			return err
		}
		*l = loose(text)
	case bytes.Equal(raw, []byte("null")):
		*l = ""
	default:
		*l = loose(raw)
	}
	return nil
}

func (l loose) truth() bool { return l == "true" || l == "1" }

// number is -1 for what is none.
func (l loose) number() int64 {
	n, err := strconv.ParseInt(string(l), 10, 64)
	if err != nil || n < 0 {
		return -1
	}
	return n
}

// latest is the last moment that STIX and RFC 3339 can write.
var latest = time.Date(9999, 12, 31, 23, 59, 59, 0, time.UTC)

// instant reads seconds since 1970; the zero time for what is none.
func (l loose) instant() time.Time {
	n := l.number()
	if n <= 0 || n > latest.Unix() {
		return time.Time{}
	}
	return time.Unix(n, 0).UTC()
}

// moment reads a time of first_seen and last_seen: ISO 8601, or seconds.
func (l loose) moment() time.Time {
	for _, form := range []string{time.RFC3339Nano, "2006-01-02T15:04:05.999999-0700", "2006-01-02T15:04:05.999999", "2006-01-02"} {
		if t, err := time.Parse(form, string(l)); err == nil && t.Year() >= 1970 && t.Year() <= 9999 {
			return t.UTC()
		}
	}
	return l.instant()
}

type tag struct {
	Name loose `json:"name"`
}

type organisation struct {
	Name loose `json:"name"`
	UUID loose `json:"uuid"`
}

type galaxy struct {
	Type    loose     `json:"type"`
	Cluster []cluster `json:"GalaxyCluster"`
}

type cluster struct {
	UUID loose `json:"uuid"`
	Type loose `json:"type"`
}

type sighting struct {
	UUID loose        `json:"uuid"`
	Type loose        `json:"type"`
	Date loose        `json:"date_sighting"`
	Org  organisation `json:"Organisation"`
}

// attribute is the smallest part of an event (MISP core format, section 2.4).
type attribute struct {
	UUID         loose      `json:"uuid"`
	Type         loose      `json:"type"`
	Category     loose      `json:"category"`
	Value        loose      `json:"value"`
	Comment      loose      `json:"comment"`
	Data         loose      `json:"data"`
	ToIDs        loose      `json:"to_ids"`
	Timestamp    loose      `json:"timestamp"`
	FirstSeen    loose      `json:"first_seen"`
	LastSeen     loose      `json:"last_seen"`
	Deleted      loose      `json:"deleted"`
	Distribution loose      `json:"distribution"`
	Group        loose      `json:"sharing_group_id"`
	Relation     loose      `json:"object_relation"`
	Tags         []tag      `json:"Tag"`
	Galaxies     []galaxy   `json:"Galaxy"`
	Sightings    []sighting `json:"Sighting"`
}

// object groups attributes (section 2.5).
type object struct {
	UUID         loose       `json:"uuid"`
	Name         loose       `json:"name"`
	Comment      loose       `json:"comment"`
	Timestamp    loose       `json:"timestamp"`
	Deleted      loose       `json:"deleted"`
	Distribution loose       `json:"distribution"`
	Group        loose       `json:"sharing_group_id"`
	FirstSeen    loose       `json:"first_seen"`
	LastSeen     loose       `json:"last_seen"`
	Attributes   []attribute `json:"Attribute"`
	References   []reference `json:"ObjectReference"`
}

type reference struct {
	Target loose `json:"referenced_uuid"`
}

// header is an event without its attributes and objects.
type header struct {
	UUID         loose
	Info         loose
	Date         loose
	Timestamp    loose
	Published    loose
	PublishedAt  loose
	Analysis     loose
	Threat       loose
	Distribution loose
	Group        loose
	Orgc         organisation
	Tags         []tag
	Galaxies     []galaxy
}

// member is where a member of an event goes; nil for one that is not needed.
func (h *header) member(name string) any {
	return map[string]any{
		"uuid": &h.UUID, "info": &h.Info, "date": &h.Date, "timestamp": &h.Timestamp, "published": &h.Published,
		"publish_timestamp": &h.PublishedAt, "analysis": &h.Analysis, "threat_level_id": &h.Threat,
		"distribution": &h.Distribution, "sharing_group_id": &h.Group, "Orgc": &h.Orgc, "Tag": &h.Tags, "Galaxy": &h.Galaxies,
	}[name]
}

// brief makes words of another side fit for an error.
func brief(text string) string {
	text = strings.Map(func(r rune) rune {
		if strconv.IsPrint(r) {
			return r
		}
		return '.'
	}, strings.ToValidUTF8(text, "."))
	if runes := []rune(text); len(runes) > 120 {
		return string(runes[:120]) + "…"
	}
	return text
}
