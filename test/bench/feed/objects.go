// SPDX-FileCopyrightText: The certlink authors
// SPDX-License-Identifier: Apache-2.0

//go:build linux

package main

import (
	"bytes"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"regexp"
	"strings"
	"time"

	"github.com/google/uuid"
)

// objectBytes is the length of a generated indicator.
const objectBytes = 1100

// dataSet makes the objects that are pushed: the same ones in every run.
type dataSet interface {
	// object is the one with the number; its bytes are the caller's.
	object(number int) json.RawMessage
}

// indicators are STIX 2.1 indicators of 1.1 kB, as a feed of addresses has them.
type indicators struct{}

// mixed spreads a number over 64 bits, so that identifiers do not ascend
// (the finaliser of splitmix64).
func mixed(n uint64) uint64 {
	n += 0x9e3779b97f4a7c15
	n = (n ^ n>>30) * 0xbf58476d1ce4e5b9
	n = (n ^ n>>27) * 0x94d049bb133111eb
	return n ^ n>>31
}

// identifier is a version 4 UUID that the numbers decide.
func identifier(set, number int) string {
	var id uuid.UUID
	binary.BigEndian.PutUint64(id[:8], mixed(uint64(2*number)))               //nolint:gosec // any bits will do
	binary.BigEndian.PutUint64(id[8:], mixed(uint64(2*number+1)^uint64(set))) //nolint:gosec // any bits will do
	id[6], id[8] = id[6]&0x0f|0x40, id[8]&0x3f|0x80
	return id.String()
}

const prose = `Observed by the sensors of the constituency as the source of repeated authentication attempts against remote access services, ` +
	`followed by requests that match the exploitation of a known weakness. The address was confirmed by two independent sources within a day. `

func (indicators) object(number int) json.RawMessage {
	id := identifier(0, number)
	created := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC).Add(time.Duration(number) * 1789 * time.Millisecond)
	stamp := created.Format("2006-01-02T15:04:05.000Z")
	address := fmt.Sprintf("%s.%d", [...]string{"192.0.2", "198.51.100", "203.0.113"}[number%3], mixed(uint64(number))%256) //nolint:gosec // not negative
	object := fmt.Appendf(nil, `{"type":"indicator","spec_version":"2.1","id":"indicator--%s",`+
		`"created":"%s","modified":"%s","name":"Address %s","indicator_types":["malicious-activity"],"confidence":%d,`+
		`"pattern":"[ipv4-addr:value = '%s'] OR [domain-name:value = 'host-%d.example']","pattern_type":"stix","pattern_version":"2.1",`+
		`"valid_from":"%s","kill_chain_phases":[{"kill_chain_name":"mitre-attack","phase_name":"initial-access"}],`+
		`"external_references":[{"source_name":"alfa","external_id":"ALFA-%08d","url":"https://alfa.example/reports/%08d"}],`+
		`"object_marking_refs":["marking-definition--bab4a63c-aed9-4cf5-a766-dfca5abac2bb"],"labels":["observed","confirmed"],"description":"`,
		id, stamp, stamp, address, 50+number%50, address, number, stamp, number, number)
	room := objectBytes - len(object) - len(`"}`)
	object = append(object, strings.Repeat(prose, room/len(prose)+1)[:room]...)
	return append(object, `"}`...)
}

// copies are the objects of a bundle again and again, each time under other identifiers.
type copies struct {
	originals []json.RawMessage
	id        *regexp.Regexp
}

func readCopies(file string) (*copies, error) {
	data, err := os.ReadFile(file)
	if err != nil {
		return nil, fmt.Errorf("reading the bundle: %w", err)
	}
	var bundle struct {
		Objects []json.RawMessage `json:"objects"`
	}
	if err := json.Unmarshal(data, &bundle); err != nil {
		return nil, fmt.Errorf("reading the bundle: %w", err)
	}
	c := &copies{id: regexp.MustCompile(`"id": ?"([a-z0-9-]+--)([0-9a-f-]{36})"`)}
	var definitions []json.RawMessage
	for _, object := range bundle.Objects {
		var compact bytes.Buffer
		if err := json.Compact(&compact, object); err != nil {
			return nil, fmt.Errorf("reading the bundle: %w", err)
		}
		if bytes.Contains(object, []byte(`"marking-definition"`)) {
			definitions = append(definitions, compact.Bytes())
			continue
		}
		c.originals = append(c.originals, compact.Bytes())
	}
	if len(c.originals) == 0 || len(definitions) == 0 {
		return nil, errors.New("reading the bundle: it lacks objects or a marking definition")
	}
	// What marks the others comes first, and once.
	c.originals = append(definitions[:1:1], c.originals...)
	return c, nil
}

func (c *copies) object(number int) json.RawMessage {
	if number < len(c.originals) {
		return c.originals[number]
	}
	rest := len(c.originals) - 1
	original := c.originals[1+(number-1)%rest]
	found := c.id.FindSubmatchIndex(original)
	if found == nil {
		return original
	}
	object := bytes.Clone(original)
	copy(object[found[4]:found[5]], identifier(1, number))
	return object
}
