// SPDX-FileCopyrightText: The certlink authors
// SPDX-License-Identifier: Apache-2.0

package stix

import "strings"

const (
	uuidLength    = 36
	maxTypeLength = 250
	// MaxIDLength is the length of the longest identifier.
	MaxIDLength = maxTypeLength + len("--") + uuidLength
)

// SplitID returns the type that an identifier names (type--UUID, STIX 2.1
// section 2.9); false if it is not an identifier.
func SplitID(id string) (typ string, ok bool) {
	cut := len(id) - uuidLength - len("--")
	if cut < 0 || id[cut:cut+2] != "--" || !validUUID(id[cut+2:]) || !ValidType(id[:cut]) {
		return "", false
	}
	return id[:cut], true
}

// ValidType tells whether a text can be the name of a STIX type, standard or
// custom: 3 to 250 of a-z, 0-9 and single hyphens, neither first nor last.
func ValidType(typ string) bool {
	if len(typ) < 3 || len(typ) > maxTypeLength || typ[0] == '-' || typ[len(typ)-1] == '-' || strings.Contains(typ, "--") {
		return false
	}
	for i := range len(typ) {
		c := typ[i]
		if c != '-' && (c < 'a' || c > 'z') && (c < '0' || c > '9') {
			return false
		}
	}
	return true
}

func validUUID(s string) bool {
	if len(s) != uuidLength {
		return false
	}
	for i := range len(s) {
		c := s[i]
		switch i {
		case 8, 13, 18, 23:
			if c != '-' {
				return false
			}
		default:
			if (c < '0' || c > '9') && (c < 'a' || c > 'f') && (c < 'A' || c > 'F') {
				return false
			}
		}
	}
	return true
}
