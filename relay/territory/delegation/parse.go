// SPDX-FileCopyrightText: The certlink authors
// SPDX-License-Identifier: Apache-2.0

package delegation

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"net/netip"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/certlink/certlink/relay/territory/span"
)

// parser is a file half read.
type parser struct {
	set     Set
	build   span.Builder[Record]
	version bool
	// counted and promised are the records of each type, and what the summary says.
	counted, promised map[string]int
	fields            [][]byte
}

// Parse reads a file. Its errors are ErrFormat, ErrIncomplete, ErrTooLarge and those
// of the reader, with the number of the line.
func Parse(r io.Reader) (*Set, error) {
	p := &parser{counted: map[string]int{}, promised: map[string]int{}}
	lines := bufio.NewScanner(r)
	lines.Buffer(make([]byte, 0, maxLine), maxLine)
	n := 0
	for lines.Scan() {
		n++
		if err := p.line(bytes.TrimSpace(lines.Bytes())); err != nil {
			return nil, fmt.Errorf("line %d: %w", n, err)
		}
	}
	if err := lines.Err(); err != nil {
		if errors.Is(err, bufio.ErrTooLong) {
			err = fmt.Errorf("%w: it is longer than %d bytes", ErrFormat, maxLine)
		}
		return nil, fmt.Errorf("line %d: %w", n+1, err)
	}
	return p.finish()
}

func (p *parser) finish() (*Set, error) {
	if !p.version {
		return nil, fmt.Errorf("%w: it has no version line", ErrFormat)
	}
	for typ, promised := range p.promised {
		if p.counted[typ] < promised {
			return nil, fmt.Errorf("%w: %d of %d of type %s", ErrIncomplete, p.counted[typ], promised, typ)
		}
	}
	if p.set.Records == 0 {
		return nil, fmt.Errorf("%w: it has no record", ErrFormat)
	}
	p.set.Table = p.build.Table()
	return &p.set, nil
}

func (p *parser) line(line []byte) error {
	if len(line) == 0 || line[0] == '#' {
		return nil
	}
	p.split(line)
	switch {
	case !p.version:
		return p.header()
	case len(p.fields) >= 6 && string(p.fields[5]) == "summary":
		return p.summary()
	case len(p.fields) < 7:
		return fmt.Errorf("%w: it has %d fields, not 7", ErrFormat, len(p.fields))
	}
	return p.record()
}

// split keeps seven fields: what an extended record has beyond is not needed.
func (p *parser) split(line []byte) {
	p.fields = p.fields[:0]
	for len(p.fields) < 7 {
		field, rest, more := bytes.Cut(line, []byte("|"))
		p.fields = append(p.fields, field)
		if !more {
			return
		}
		line = rest
	}
}

// header reads version|registry|serial|records|startdate|enddate|UTC offset. The end
// date is the day that the file describes; some registries' serial is another number.
func (p *parser) header() error {
	if len(p.fields) < 6 || len(p.fields[0]) == 0 || p.fields[0][0] < '1' || p.fields[0][0] > '9' {
		return fmt.Errorf("%w: it does not begin with a version line", ErrFormat)
	}
	for _, field := range []int{5, 2, 4} {
		if day, err := time.Parse("20060102", string(p.fields[field])); err == nil {
			p.set.Date, p.version = day, true
			return nil
		}
	}
	return fmt.Errorf("%w: its version line has no date", ErrFormat)
}

// summary reads registry|*|type|*|count|summary. A file of all registries has one of
// each.
func (p *parser) summary() error {
	n, err := strconv.ParseUint(string(p.fields[4]), 10, 31)
	if err != nil {
		return fmt.Errorf("%w: its summary has no count", ErrFormat)
	}
	typ := string(p.fields[2])
	if typ == "ipv4" || typ == "ipv6" || typ == "asn" {
		p.promised[typ] += int(n)
	}
	return nil
}

// record reads registry|cc|type|start|value|date|status.
func (p *parser) record() error {
	typ, start, value := string(p.fields[2]), string(p.fields[3]), string(p.fields[4])
	if typ != "ipv4" && typ != "ipv6" && typ != "asn" {
		return nil // a type that is yet to come
	}
	if p.set.Records++; p.set.Records > MaxRecords {
		return ErrTooLarge
	}
	p.counted[typ]++
	r, err := p.says()
	if err != nil {
		return err
	}
	n, err := strconv.ParseUint(value, 10, 33)
	if err != nil || !p.add(typ, start, n, r) {
		return fmt.Errorf("%w: %q and %q are no range of type %s", ErrFormat, brief(start), brief(value), typ)
	}
	return nil
}

// add adds a range; false if it is none.
func (p *parser) add(typ, start string, n uint64, r Record) bool {
	if typ == "asn" {
		first, err := strconv.ParseUint(start, 10, 32)
		return err == nil && p.build.Numbers(uint32(first), n, r)
	}
	first, err := netip.ParseAddr(start)
	switch {
	case err != nil || first.Zone() != "" || first.Is4() != (typ == "ipv4"):
		return false
	case typ == "ipv4":
		return p.build.Four(first, n, r)
	case n < 1 || n > 128:
		return false
	}
	p.build.Prefix(netip.PrefixFrom(first, int(n)), r)
	return true
}

// says reads what a record says of its range.
func (p *parser) says() (r Record, err error) {
	if cc := p.fields[1]; len(cc) > 0 {
		var ok bool
		if r.Country, ok = span.ParseCountry(strings.ToUpper(string(cc))); !ok {
			return r, fmt.Errorf("%w: %q is no country code", ErrFormat, brief(string(cc)))
		}
	}
	if r.registry, err = intern(&p.set.registries, p.fields[0]); err != nil {
		return r, err
	}
	if r.status, err = intern(&p.set.statuses, p.fields[6]); err != nil {
		return r, err
	}
	if day, err := strconv.ParseUint(string(p.fields[5]), 10, 32); err == nil && day >= 1970_01_01 && day <= 9999_12_31 {
		r.date = uint32(day)
	}
	return r, nil
}

func intern(words *[]string, word []byte) (uint8, error) {
	i := slices.IndexFunc(*words, func(w string) bool { return w == string(word) })
	if i >= 0 {
		return uint8(i), nil
	}
	if len(*words) == maxWords || len(word) > 32 {
		return 0, fmt.Errorf("%w: it has more than %d registries or statuses", ErrTooLarge, maxWords)
	}
	*words = append(*words, string(word))
	return uint8(len(*words) - 1), nil
}

func brief(text string) string {
	if len(text) > 64 {
		text = text[:64] + "…"
	}
	return strings.ToValidUTF8(text, "?")
}
