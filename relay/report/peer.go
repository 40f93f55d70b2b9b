// SPDX-FileCopyrightText: The certlink authors
// SPDX-License-Identifier: Apache-2.0

package report

import "time"

// State of a path or a direction.
type State string

// The states.
const (
	Up      State = "Up"
	Down    State = "Down"
	Unknown State = "Unknown"
	// Suspect is a path that has been silent for a while: requests go over others too.
	Suspect State = "Suspect"
	// Recovering is a path whose heartbeats are back, but not for long enough.
	Recovering State = "Recovering"
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
	// State as configured: Active, Suspended, Drained or Revoked.
	State string `json:"state"`
	// Outbound: our probes come back from the peer.
	Outbound Direction `json:"outbound"`
	// Inbound: the peer's probes reach us.
	Inbound Direction `json:"inbound"`
	// TLS of the last proven connection, nil before the first.
	TLS *TLS `json:"tls,omitempty"`
	// Paths: those that we dial, then those that the peer dials, by address.
	Paths []PathState `json:"paths,omitempty"`
	// DetectionMilliseconds is the worst case from a cut to a path that is Down,
	// with the round trip as measured; coarse.
	DetectionMilliseconds int64 `json:"detectionMilliseconds,omitempty"`
	// Offer is what the peer says, nil before its first offer.
	Offer *Offer `json:"offer,omitempty"`
	// Trust says which CA certificates speak for the peer.
	Trust *Trust `json:"trust,omitempty"`
	// Tunnels is the number of tunnelled connections that are still open, while the
	// peer is Drained.
	Tunnels int64 `json:"tunnels,omitempty"`
}

// Offer is what a peer says of itself and of us, in its last signed offer.
type Offer struct {
	// ReceivedAt is when the last offer with this content arrived; renewed offers
	// of the same content move it by steps of a minute.
	ReceivedAt time.Time `json:"receivedAt"`
	// Versions of the link protocol that the peer speaks, and Version the highest
	// that both do: zero when there is none.
	Versions []int32 `json:"versions"`
	Version  int32   `json:"version"`
	// Release of the peer's relay, as it says. At most 64 characters.
	Release string `json:"release,omitempty"`
	// State is what the peer allows us: Active, Suspended, Drained.
	State string `json:"state"`
	// Card is the fingerprint of our card as the peer holds it.
	Card string `json:"card,omitempty"`
	// AcceptedRoots are the hashes of our CA certificates that the peer accepts,
	// SeenRoot that of the one that our leaf chained to when it was last seen.
	AcceptedRoots []string `json:"acceptedRoots,omitempty"`
	SeenRoot      string   `json:"seenRoot,omitempty"`
	// Exports, Imports and the services are the names of what the peer declares for
	// us, at most 1024 each; Hotline whether it has a hotline to us.
	Exports        []string `json:"exports,omitempty"`
	Imports        []string `json:"imports,omitempty"`
	ServiceExports []string `json:"serviceExports,omitempty"`
	ServiceImports []string `json:"serviceImports,omitempty"`
	Hotline        bool     `json:"hotline,omitempty"`
	// Outbound, Inbound and PathsUp are the peer's own view of the link.
	Outbound State `json:"outbound,omitempty"`
	Inbound  State `json:"inbound,omitempty"`
	PathsUp  int32 `json:"pathsUp,omitempty"`
	// Unknown holds the names of fields that this release does not know, sorted.
	Unknown []string `json:"unknown,omitempty"`
	// Error of the last exchange of offers, with what to do; empty when it succeeded.
	Error string `json:"error,omitempty"`
}

// Trust says which CA certificates speak for a peer.
type Trust struct {
	// Roots in force: hexadecimal SHA-256 over DER, sorted. Fingerprint is that of
	// the peer's card with these.
	Roots       []string `json:"roots"`
	Fingerprint string   `json:"fingerprint"`
	// Learned: the bundle in force came from an offer, not from the configuration.
	// LearnedAt is since when.
	Learned   bool      `json:"learned,omitempty"`
	LearnedAt time.Time `json:"learnedAt,omitzero"`
	// OfferedFingerprint and OfferedRoots are those of a bundle that the peer offers
	// and that waits for a person (rotation Manual); OfferedBundle is its PEM.
	OfferedFingerprint string   `json:"offeredFingerprint,omitempty"`
	OfferedRoots       []string `json:"offeredRoots,omitempty"`
	OfferedBundle      string   `json:"offeredBundle,omitempty"`
	// Error says why an offered bundle was refused, or could not be stored.
	Error string `json:"error,omitempty"`
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
	// Accepted: the peer dials this address of ours; else we dial it.
	Accepted bool `json:"accepted,omitempty"`
	// State of the path.
	State State `json:"state"`
	// Outbound: the peer hears us over this path. Inbound: we hear the peer.
	Outbound State `json:"outbound,omitempty"`
	Inbound  State `json:"inbound,omitempty"`
	// Since is when State was last entered.
	Since time.Time `json:"since,omitzero"`
	// RoundTripMilliseconds of a recent probe, coarse (it does not change the
	// revision). Zero when unknown.
	RoundTripMilliseconds float64 `json:"roundTripMilliseconds,omitempty"`
	// Message says why the path is down.
	Message string `json:"message,omitempty"`
}
