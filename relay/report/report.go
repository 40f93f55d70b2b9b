// SPDX-FileCopyrightText: The certlink authors
// SPDX-License-Identifier: Apache-2.0

// Package report is the relay's self-report and the second of the two seams
// between operator and relay: the relay serves it on its local port, the
// operator long-polls it and turns it into conditions.
//
// GET /report?since=REVISION on the local port answers with the report as soon
// as its revision differs from REVISION, or with 304 after 30 s. The revision
// changes only when something changes on which a person would act; counters
// that move all the time are metrics, not report. What the relay could not look
// at is absent or "Unknown", never guessed.
package report

import "time"

// Path of the report on the local port, and the longest time that a request
// with ?since= waits there.
const (
	Path    = "/report"
	MaxWait = 30 * time.Second
)

// Report is the state of a relay as it sees itself.
type Report struct {
	// Revision is an opaque mark of this state. It differs after each change and
	// after each start of the relay.
	Revision string `json:"revision"`
	// StartedAt is when this relay process started.
	StartedAt time.Time `json:"startedAt"`
	// Version of the relay's build.
	Version string `json:"version,omitempty"`
	// Config says which configuration is live.
	Config ConfigState `json:"config"`
	// Identity describes our own certificates as loaded.
	Identity IdentityState `json:"identity"`
	// Peers by name.
	Peers []Peer `json:"peers,omitempty"`
	// Exports by name.
	Exports []Export `json:"exports,omitempty"`
	// Imports by name.
	Imports []Import `json:"imports,omitempty"`
	// Deliveries by import and name.
	Deliveries []Delivery `json:"deliveries,omitempty"`
	// Hotlines by name.
	Hotlines []Hotline `json:"hotlines,omitempty"`
	// Services: exports, then imports, each by name.
	Services []Service `json:"services,omitempty"`
	// Territory: data sets, then warning lists, in the order of the configuration.
	Territory []Dataset `json:"territory,omitempty"`
}

// ConfigState says which configuration the relay runs.
type ConfigState struct {
	// Checksum is the hexadecimal SHA-256 of the configuration file that is live.
	Checksum string `json:"checksum"`
	// RejectedChecksum is that of a newer file which was refused, with Error.
	RejectedChecksum string `json:"rejectedChecksum,omitempty"`
	// Error says why the newer file was refused. It names fields, no secrets.
	Error string `json:"error,omitempty"`
}

// IdentityState describes our own certificates.
type IdentityState struct {
	// Serial of the link certificate that is live, hexadecimal.
	Serial string `json:"serial,omitempty"`
	// LocalSerial and SigningSerial are those of the other two certificates.
	LocalSerial   string `json:"localSerial,omitempty"`
	SigningSerial string `json:"signingSerial,omitempty"`
	// Root is the hash of the CA certificate that the live link certificate chains
	// to, and Roots those of the bundle by which peers are to know us: hexadecimal
	// SHA-256 over DER, sorted.
	Root  string   `json:"root,omitempty"`
	Roots []string `json:"roots,omitempty"`
	// NotAfter is the earliest end of validity among our loaded certificates.
	NotAfter time.Time `json:"notAfter,omitzero"`
	// Error says why newer certificate files were refused; the last good ones
	// are kept.
	Error string `json:"error,omitempty"`
}
