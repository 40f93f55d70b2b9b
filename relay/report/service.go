// SPDX-FileCopyrightText: The certlink authors
// SPDX-License-Identifier: Apache-2.0

package report

// Service is the state of a service that is shared through tunnels.
type Service struct {
	// Name of the export or import.
	Name string `json:"name"`
	// Import: it is a peer's service that we use; else ours, that peers use.
	Import bool `json:"import,omitempty"`
	// Listening: the port of an import is open.
	Listening bool `json:"listening,omitempty"`
	// Error of the last connection that could not be made, with what to do; empty
	// after one that could.
	Error string `json:"error,omitempty"`
	// Refused is the number of connections that peers asked for and that no export
	// allows; it counts in steps: 1, 10, 100 and so on.
	Refused int64 `json:"refused,omitempty"`
}
