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
	// Hotlines by name.
	Hotlines []Hotline `json:"hotlines,omitempty"`
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
	// NotAfter is the earliest end of validity among our loaded certificates.
	NotAfter time.Time `json:"notAfter,omitzero"`
	// Error says why newer certificate files were refused; the last good ones
	// are kept.
	Error string `json:"error,omitempty"`
}

// State of a path or a direction.
type State string

// The states.
const (
	Up      State = "Up"
	Down    State = "Down"
	Unknown State = "Unknown"
)

// Cause names what is wrong with a link, in words that are part of this seam.
type Cause string

// The causes. Ours is what we see when we dial; a cause that the peer is to
// mend says so in its message.
const (
	// CauseNone: nothing is wrong.
	CauseNone Cause = ""
	// CauseUnreachable: no TCP connection: name, route or port.
	CauseUnreachable Cause = "Unreachable"
	// CauseUntrusted: the peer's chain does not end in our bundle for it.
	CauseUntrusted Cause = "Untrusted"
	// CauseTrustDomain: the peer's leaf names another trust domain.
	CauseTrustDomain Cause = "TrustDomain"
	// CauseExpired: a certificate of the peer's chain or our bundle is outside
	// its validity.
	CauseExpired Cause = "Expired"
	// CauseRefused: the peer refused our certificate, or does not know us.
	CauseRefused Cause = "Refused"
	// CauseSilent: we reach the peer, but its probes do not reach us.
	CauseSilent Cause = "Silent"
	// CauseProtocol: the peer's answer is not this protocol.
	CauseProtocol Cause = "Protocol"
	// CauseNoEndpoints: we have no address to dial.
	CauseNoEndpoints Cause = "NoEndpoints"
)

// Peer is the state of the link to one peer.
type Peer struct {
	// Name is our name for the peer.
	Name string `json:"name"`
	// State as configured: Active, Suspended or Revoked.
	State string `json:"state"`
	// Outbound: our probes come back from the peer.
	Outbound Direction `json:"outbound"`
	// Inbound: the peer's probes reach us.
	Inbound Direction `json:"inbound"`
	// TLS of the last proven connection, nil before the first.
	TLS *TLS `json:"tls,omitempty"`
	// Paths by address.
	Paths []PathState `json:"paths,omitempty"`
}

// Direction is one direction of a link.
type Direction struct {
	// State of the direction.
	State State `json:"state"`
	// Since is when State was last entered.
	Since time.Time `json:"since,omitzero"`
	// Cause of Down.
	Cause Cause `json:"cause,omitempty"`
	// Message says what is wrong, on which side and what to do. One line.
	Message string `json:"message,omitempty"`
}

// TLS describes a TLS session.
type TLS struct {
	// Version, for example "TLS 1.3".
	Version string `json:"version"`
	// Group of the key exchange, for example "X25519MLKEM768".
	Group string `json:"group"`
	// PeerNotAfter is the earliest end of validity in the peer's chain.
	PeerNotAfter time.Time `json:"peerNotAfter,omitzero"`
}

// PathState is one way to a peer.
type PathState struct {
	// Address of the endpoint.
	Address string `json:"address"`
	// State of the path.
	State State `json:"state"`
	// RoundTripMilliseconds of a recent probe, coarse (it does not change the
	// revision). Zero when unknown.
	RoundTripMilliseconds float64 `json:"roundTripMilliseconds,omitempty"`
	// Message says why the path is down.
	Message string `json:"message,omitempty"`
}

// Export is the state of a feed that we publish.
type Export struct {
	// Name of the export.
	Name string `json:"name"`
	// Stored is the number of object versions in its sources.
	Stored int64 `json:"stored"`
	// Undecided is the number of stored objects without a decision under the
	// current rule.
	Undecided int64 `json:"undecided"`
	// Peers holds the counts for each peer.
	Peers []ExportPeer `json:"peers,omitempty"`
	// Error of the last decision run.
	Error string `json:"error,omitempty"`
}

// ExportPeer counts the decisions of an export for one peer.
type ExportPeer struct {
	// Peer by name.
	Peer string `json:"peer"`
	// Shared is the number of objects that may leave.
	Shared int64 `json:"shared"`
	// Held counts the objects held back by reason, sorted by reason.
	Held []Held `json:"held,omitempty"`
}

// Held is a number of objects held back for one reason.
type Held struct {
	// Reason, for example "Unmarked".
	Reason string `json:"reason"`
	// Objects held for this reason.
	Objects int64 `json:"objects"`
}

// Import is the state of a feed that we collect.
type Import struct {
	// Name of the import.
	Name string `json:"name"`
	// Stored is the number of object versions kept.
	Stored int64 `json:"stored"`
	// LastSuccess is when a pull last ended without error, to the minute.
	LastSuccess time.Time `json:"lastSuccess,omitzero"`
	// Failing is when the present row of failures began; zero when the last pull succeeded.
	Failing time.Time `json:"failing,omitzero"`
	// Error of the last pull, with what to do.
	Error string `json:"error,omitempty"`
	// QuotaReached: the pull stopped at maxObjects.
	QuotaReached bool `json:"quotaReached,omitempty"`
	// Refused is the number of received objects that were not valid STIX and
	// were not kept.
	Refused int64 `json:"refused,omitempty"`
}

// Hotline is the state of a hotline.
type Hotline struct {
	// Name of the hotline.
	Name string `json:"name"`
	// Peer at the other end.
	Peer string `json:"peer"`
	// Queued is the number of our messages without a verified receipt.
	Queued int64 `json:"queued"`
	// OverdueReceipts is the number of these whose receipt deadline has passed.
	OverdueReceipts int64 `json:"overdueReceipts"`
	// OverdueAcknowledgements is the number of our messages whose
	// acknowledgement deadline has passed.
	OverdueAcknowledgements int64 `json:"overdueAcknowledgements"`
	// LastReceipt is when the peer last stored a message of ours, as its receipt says.
	LastReceipt time.Time `json:"lastReceipt,omitzero"`
	// Unacknowledged is the number of received messages that our desk has not acknowledged.
	Unacknowledged int64 `json:"unacknowledged"`
	// Error of the last delivery attempt, with what to do.
	Error string `json:"error,omitempty"`
}
