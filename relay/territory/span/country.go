// SPDX-FileCopyrightText: The certlink authors
// SPDX-License-Identifier: Apache-2.0

package span

import (
	"strconv"
	"strings"
)

// Country is a code of two capital letters as in ISO 3166-1 alpha-2; the zero value
// is none.
type Country uint16

// Mixed stands for the country of a network that lies in more than one.
const Mixed Country = '*'<<8 | '*'

// ParseCountry reads two capital letters.
func ParseCountry(text string) (Country, bool) {
	if len(text) != 2 || text[0] < 'A' || text[0] > 'Z' || text[1] < 'A' || text[1] > 'Z' {
		return 0, false
	}
	return Country(text[0])<<8 | Country(text[1]), true
}

// String returns the two letters, "" for none.
func (c Country) String() string {
	if c == 0 {
		return ""
	}
	return string([]byte{byte(c >> 8), byte(c)})
}

// Names tells whether the code names a country: AP and EU are regions of a
// registry, ZZ is nobody's, and none is none.
func (c Country) Names() bool {
	return c != 0 && c != 'A'<<8|'P' && c != 'E'<<8|'U' && c != 'Z'<<8|'Z'
}

// ParseNumber reads the number of an autonomous system, with or without "AS" before
// it. Zero is none.
func ParseNumber(text string) (uint32, bool) {
	if len(text) > 2 && strings.EqualFold(text[:2], "AS") {
		text = text[2:]
	}
	n, err := strconv.ParseUint(text, 10, 32)
	return uint32(n), err == nil && n != 0
}
