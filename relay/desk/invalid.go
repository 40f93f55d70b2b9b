// SPDX-FileCopyrightText: The certlink authors
// SPDX-License-Identifier: Apache-2.0

package desk

import (
	"net/url"
	"strconv"
	"strings"
)

// Fault is one thing that is wrong with a request.
type Fault struct {
	// Field of the request, as in its JSON.
	Field string `json:"field"`
	// Reason says what is wrong and what is allowed.
	Reason string `json:"reason"`
}

// InvalidError says everything that is wrong with a request, all at once. The
// server answers 422. The other errors of the hotline are those of package store:
// ErrNotFound (404), ErrConflict (409) and ErrFull (507).
type InvalidError struct {
	Faults []Fault
}

// Error lists the faults in one line.
func (e *InvalidError) Error() string {
	var lines []string
	for _, f := range e.Faults {
		lines = append(lines, f.Field+": "+f.Reason)
	}
	return strings.Join(lines, "; ")
}

// number reads a number of a query from 1 to most; absent is what it is without.
func (e *InvalidError) number(query url.Values, name string, absent, most int64) int64 {
	text := query.Get(name)
	if text == "" {
		return absent
	}
	n, err := strconv.ParseInt(text, 10, 64)
	if err != nil || n < 1 || n > most {
		e.Faults = append(e.Faults, Fault{Field: name, Reason: "is not one of the numbers that are allowed here"})
	}
	return n
}
