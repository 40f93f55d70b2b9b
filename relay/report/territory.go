// SPDX-FileCopyrightText: The certlink authors
// SPDX-License-Identifier: Apache-2.0

package report

import "time"

// Dataset is the state of a data set of territory, or of a warning list.
type Dataset struct {
	// Name and Format as configured.
	Name   string `json:"name"`
	Format string `json:"format"`
	// Date of the newest snapshot, as its publisher says; zero for a warning list, and
	// while there is none.
	Date time.Time `json:"date,omitzero"`
	// Entries are the ranges of the newest snapshot, or the entries of the list. Zero
	// means that there is nothing yet.
	Entries int `json:"entries,omitempty"`
	// Snapshots of different dates that are used.
	Snapshots int `json:"snapshots,omitempty"`
	// Stale: it could not be fetched for three refresh intervals.
	Stale bool `json:"stale,omitempty"`
	// Error says why the last reading failed; the last good one is used. It holds no
	// secrets.
	Error string `json:"error,omitempty"`
}
