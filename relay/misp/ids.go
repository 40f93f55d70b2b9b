// SPDX-FileCopyrightText: The certlink authors
// SPDX-License-Identifier: Apache-2.0

package misp

import (
	"encoding/json"

	"github.com/google/uuid"
)

// namespace of the identifiers that this package makes (UUIDv5, RFC 9562 section 5.5).
// It is ours: identifiers in that of the STIX standard are reserved for objects
// without markings of their own.
var namespace = uuid.MustParse("8e3dbd5c-57ab-4e08-93a2-4f0f9f7ab6a4")

// derive makes the identifier that always comes of the same words.
func derive(words ...string) string {
	// A JSON array keeps the words apart whatever they hold.
	text, err := json.Marshal(words)
	if err != nil {
		return uuid.Nil.String() // strings are always marshalled
	}
	return uuid.NewSHA1(namespace, text).String()
}

func derived(typ string, words ...string) string {
	return typ + "--" + derive(append([]string{typ}, words...)...)
}
