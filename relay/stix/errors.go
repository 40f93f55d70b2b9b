// SPDX-FileCopyrightText: The certlink authors
// SPDX-License-Identifier: Apache-2.0

package stix

import (
	"errors"
	"fmt"
	"strings"
	"unicode"
)

var (
	// ErrTooLarge: an object is longer than MaxObjectBytes.
	ErrTooLarge = fmt.Errorf("larger than %d bytes", MaxObjectBytes)
	// ErrTooDeep: an object is nested deeper than MaxDepth.
	ErrTooDeep = fmt.Errorf("nested deeper than %d levels", MaxDepth)
	// ErrSyntax: not JSON as it must be: grammar, UTF-8 or duplicate names.
	ErrSyntax = errors.New("not valid JSON")
	// ErrInvalid: JSON, but not a STIX object.
	ErrInvalid = errors.New("not a valid STIX object")
	// ErrContainer: what holds the objects is not a JSON object with an array of
	// objects. Nothing can be read after it.
	ErrContainer = errors.New("not a STIX bundle or TAXII envelope")
)

// ObjectError is the refusal of one object of a container. Those after it can
// still be read.
type ObjectError struct {
	// Index of the object in its container, from 0.
	Index int64
	// ID as the object claims it, if that much could be read; checked and
	// bounded, so that it can be shown.
	ID string
	// Err is one of the sentinels above, wrapped.
	Err error
}

// Error implements error.
func (e *ObjectError) Error() string {
	if e.ID == "" {
		return fmt.Sprintf("object %d: %v", e.Index, e.Err)
	}
	return fmt.Sprintf("object %d, %q: %v", e.Index, e.ID, e.Err)
}

// Unwrap gives the cause.
func (e *ObjectError) Unwrap() error { return e.Err }

// maxQuoted bounds what an error repeats of an input.
const maxQuoted = 120

// brief makes a text of the input fit for an error or a log line.
func brief(text string) string {
	text = strings.Map(func(r rune) rune {
		if unicode.IsPrint(r) {
			return r
		}
		return '.'
	}, strings.ToValidUTF8(text, "."))
	if runes := []rune(text); len(runes) > maxQuoted {
		return string(runes[:maxQuoted]) + "…"
	}
	return text
}
