// SPDX-FileCopyrightText: The certlink authors
// SPDX-License-Identifier: Apache-2.0

package desk

import "strings"

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
