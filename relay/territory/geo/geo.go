// SPDX-FileCopyrightText: The certlink authors
// SPDX-License-Identifier: Apache-2.0

package geo

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"strings"
	"time"

	"github.com/oschwald/maxminddb-golang/v2"

	"github.com/certlink/certlink/relay/territory/span"
)

// Bounds of a database.
const (
	// maxNetworks is the largest number of networks, those that a search tree shows
	// in several places counted for each of them.
	maxNetworks = 16 << 20
	// maxRanges is the largest number of ranges that are kept, neighbours of one value
	// counted once. City databases have a third of it.
	maxRanges = 2 << 20
	// maxRecords is the largest number of different records.
	maxRecords = 2 << 20
	// maxName is the length of the name of an organisation in bytes; longer ones are cut.
	maxName = 64
	// checkEvery is how many networks are read between two looks at the context.
	checkEvery = 1024
)

// The errors of the readers.
var (
	// ErrFormat: the file is no database in the MaxMind DB format, or is damaged.
	ErrFormat = errors.New("is no MaxMind DB file")
	// ErrTooLarge: the database has more networks or records than are read.
	ErrTooLarge = errors.New("is too large")
	// ErrNothing: no record has a field that tells what is looked for.
	ErrNothing = errors.New("holds nothing of what is looked for")
)

// Place is where a publisher locates a network.
type Place struct {
	// Country in which it is, and Registered in which its holder registered it.
	Country, Registered span.Country
}

// In is the place in another country.
func (p Place) In(c span.Country) Place {
	p.Country = c
	return p
}

// At is the country, Country.
func (p Place) At() span.Country { return p.Country }

// Countries is a database of places. It does not change.
type Countries struct {
	*span.Table[Place]
	// Build is when the publisher made it.
	Build time.Time
}

// Systems is a database of autonomous systems. It does not change.
type Systems struct {
	*span.Table[uint32]
	// Build is when the publisher made it.
	Build time.Time
	// Names of the organisations.
	Names map[uint32]string
}

// Whole returns the autonomous system that announces all of a network.
func (s *Systems) Whole(p netip.Prefix) (uint32, bool) {
	n, _, whole := s.Network(p, func(a, b uint32) bool { return a == b })
	return n, whole
}

// ReadCountries reads a database of countries or of cities: country.iso_code and
// registered_country.iso_code, or country_code, or country.
func ReadCountries(ctx context.Context, file []byte) (*Countries, error) {
	var build span.Builder[Place]
	at, err := read(ctx, file, placeOf, func(r maxminddb.Result, p Place) int {
		build.Next(r.Prefix(), p)
		return build.Len()
	})
	if err != nil {
		return nil, err
	}
	return &Countries{Table: build.Table(), Build: at}, nil
}

// ReadSystems reads a database of autonomous systems: autonomous_system_number and
// autonomous_system_organization, or asn and as_name or name.
func ReadSystems(ctx context.Context, file []byte) (*Systems, error) {
	var build span.Builder[uint32]
	names := map[uint32]string{}
	number := func(r maxminddb.Result) (uint32, bool) {
		n, ok := numberOf(r)
		if _, known := names[n]; ok && !known {
			names[n] = nameOf(r)
		}
		return n, ok
	}
	at, err := read(ctx, file, number, func(r maxminddb.Result, n uint32) int {
		build.Next(r.Prefix(), n)
		return build.Len()
	})
	if err != nil {
		return nil, err
	}
	return &Systems{Table: build.Table(), Build: at, Names: names}, nil
}

// read walks a database and adds each network; add returns the number of ranges. A record is decoded once, however
// many networks share it.
func read[V any](ctx context.Context, file []byte, decode func(maxminddb.Result) (V, bool), add func(maxminddb.Result, V) (ranges int)) (time.Time, error) {
	db, err := maxminddb.OpenBytes(file)
	if err != nil {
		return time.Time{}, fmt.Errorf("%w: %s", ErrFormat, brief(err.Error()))
	}
	defer db.Close()
	if err := checkTree(file, db.Metadata); err != nil {
		return time.Time{}, err
	}
	type decoded struct {
		value V
		ok    bool
	}
	records, networks, found := map[uintptr]decoded{}, 0, false
	for r := range db.Networks() {
		if err := r.Err(); err != nil {
			return time.Time{}, fmt.Errorf("%w: %s", ErrFormat, brief(err.Error()))
		}
		if networks++; networks%checkEvery == 0 && ctx.Err() != nil {
			return time.Time{}, context.Cause(ctx)
		}
		record, known := records[r.Offset()]
		if !known {
			if len(records) == maxRecords {
				return time.Time{}, ErrTooLarge
			}
			record.value, record.ok = decode(r)
			records[r.Offset()] = record
		}
		if record.ok {
			if add(r, record.value) > maxRanges {
				return time.Time{}, ErrTooLarge
			}
			found = true
		}
	}
	if !found {
		return time.Time{}, ErrNothing
	}
	return db.Metadata.BuildTime().UTC(), nil
}

func placeOf(r maxminddb.Result) (Place, bool) {
	var p Place
	for _, path := range [][]any{{"country", "iso_code"}, {"country_code"}, {"country"}} {
		if c, ok := countryAt(r, path); ok {
			p.Country = c
			break
		}
	}
	p.Registered, _ = countryAt(r, []any{"registered_country", "iso_code"})
	return p, p != Place{}
}

// countryAt reads a code; what stands there instead is as good as nothing.
func countryAt(r maxminddb.Result, path []any) (span.Country, bool) {
	return span.ParseCountry(strings.ToUpper(textAt(r, path...)))
}

func textAt(r maxminddb.Result, path ...any) string {
	var text string
	if r.DecodePath(&text, path...) != nil {
		return ""
	}
	return text
}

func numberOf(r maxminddb.Result) (uint32, bool) {
	for _, name := range []string{"autonomous_system_number", "asn"} {
		var n uint32
		if r.DecodePath(&n, name) == nil && n != 0 {
			return n, true
		}
		if n, ok := span.ParseNumber(textAt(r, name)); ok {
			return n, true
		}
	}
	return 0, false
}

func nameOf(r maxminddb.Result) string {
	for _, name := range []string{"autonomous_system_organization", "as_name", "name"} {
		if text := textAt(r, name); text != "" {
			return brief(text)
		}
	}
	return ""
}

// brief cuts a text of the file for people to read.
func brief(text string) string {
	text = strings.Map(func(r rune) rune {
		if r < ' ' || r == 0x7f || r == '\uFFFD' {
			return -1
		}
		return r
	}, text)
	if len(text) > maxName {
		text = strings.ToValidUTF8(text[:maxName], "") + "…"
	}
	return text
}
