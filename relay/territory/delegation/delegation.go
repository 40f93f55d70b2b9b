// SPDX-FileCopyrightText: The certlink authors
// SPDX-License-Identifier: Apache-2.0

package delegation

import (
	"errors"
	"fmt"
	"time"

	"github.com/certlink/certlink/relay/territory/span"
)

// Bounds of a file.
const (
	// MaxRecords is the largest number of records. All registries together have
	// about 700,000.
	MaxRecords = 2_000_000
	// maxLine is the length of the longest line in bytes.
	maxLine = 4096
	// maxWords is the number of different registries and of different statuses.
	maxWords = 64
)

// The errors of Parse.
var (
	// ErrFormat: a line is not of the format.
	ErrFormat = errors.New("is no RIR statistics exchange file")
	// ErrIncomplete: there are fewer records than the summary lines say.
	ErrIncomplete = errors.New("is cut: it holds fewer records than its summary says")
	// ErrTooLarge: there are more than MaxRecords, or more distinct words than the
	// format has use for.
	ErrTooLarge = errors.New("is too large")
)

// Record is what a registry says of a range.
type Record struct {
	// Country of the holder; none where nothing is delegated.
	Country span.Country
	// registry and status are indexes into the words of the Set.
	registry, status uint8
	// date is yyyymmdd, zero when it is not known.
	date uint32
}

// Set is one file. It does not change.
type Set struct {
	*span.Table[Record]
	// Date is the last day that the file covers, as its version line says.
	Date time.Time
	// Records is their number in the file.
	Records              int
	registries, statuses []string
}

// Registry that made the record.
func (s *Set) Registry(r Record) string { return wordAt(s.registries, r.registry) }

// Status of the range: allocated, assigned, available or reserved.
func (s *Set) Status(r Record) string { return wordAt(s.statuses, r.status) }

// DateOf the delegation as 2006-01-02, "" when it is not known.
func (s *Set) DateOf(r Record) string {
	if r.date == 0 {
		return ""
	}
	return fmt.Sprintf("%04d-%02d-%02d", r.date/10000, r.date/100%100, r.date%100)
}

// In is the record with another country.
func (r Record) In(c span.Country) Record {
	r.Country = c
	return r
}

// At is the country, Country.
func (r Record) At() span.Country { return r.Country }

func wordAt(words []string, i uint8) string {
	if int(i) >= len(words) {
		return ""
	}
	return words[i]
}
