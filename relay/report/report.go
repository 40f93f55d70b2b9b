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
	// Sources that our relay fetches, in the order of the configuration. Those that
	// tools push into are not here.
	Sources []Source `json:"sources,omitempty"`
}

// Source is the state of a source of an export that our relay fetches: the same as of
// an import, by the name of the source.
type Source Import

// ExportPeer counts the decisions of an export for one peer.
type ExportPeer struct {
	// Peer by name.
	Peer string `json:"peer"`
	// Shared is the number of objects that may leave.
	Shared int64 `json:"shared"`
	// Held counts the objects held back by reason, sorted by reason.
	Held []Held `json:"held,omitempty"`
	// Refused counts versions that the peer says in signed receipts not to have kept.
	Refused int64 `json:"refused,omitempty"`
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
	// Error of the last pull, with what to do. A pull that succeeded without a part says so here.
	Error string `json:"error,omitempty"`
	// QuotaReached: the pull stopped at maxObjects.
	QuotaReached bool `json:"quotaReached,omitempty"`
	// Refused is the number of received objects that were not valid STIX and
	// were not kept.
	Refused int64 `json:"refused,omitempty"`
	// Withdrawn is the number of versions that the peer has withdrawn since our start, and
	// that were dropped.
	Withdrawn int64 `json:"withdrawn,omitempty"`
	// Quarantined is the number of received objects that are held until somebody
	// accepts or drops them; QuarantineOverflow counts what found no room there.
	Quarantined        int64 `json:"quarantined,omitempty"`
	QuarantineOverflow int64 `json:"quarantineOverflow,omitempty"`
	// Progress of a pull that has taken a while and still goes on.
	Progress Progress `json:"progress,omitzero"`
}

// Progress is how far a long pull has come. It moves in steps.
type Progress struct {
	// Started is when the pull began.
	Started time.Time `json:"started"`
	// Objects received so far, rounded down to 1, 2 or 5 times a power of ten.
	Objects int64 `json:"objects"`
	// Percent of the whole, in steps of 10; zero also while the whole is not known.
	Percent int32 `json:"percent,omitempty"`
}

// Delivery is the state of a delivery of an import; those that are read, as MISP feeds
// are, have none.
type Delivery struct {
	// Import whose objects are delivered, by name.
	Import string `json:"import"`
	// Name of the delivery.
	Name string `json:"name"`
	// Delivered is the number of objects that the other side took.
	Delivered int64 `json:"delivered"`
	// Waiting is the number of objects that wait, counted up to 100000.
	Waiting int64 `json:"waiting"`
	// Dead is the number of objects that the other side did not take: dead letters.
	Dead int64 `json:"dead"`
	// Failing is when the present row of failures began; zero when the last attempt succeeded.
	Failing time.Time `json:"failing,omitzero"`
	// Error of the last attempt, with what to do; empty when it succeeded.
	Error string `json:"error,omitempty"`
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
	// OverdueAnswers is the number of our messages that ask for an answer whose deadline
	// has passed.
	OverdueAnswers int64 `json:"overdueAnswers,omitempty"`
	// OverdueInbox is the number of received messages that our own desk has not
	// acknowledged before their deadline.
	OverdueInbox int64 `json:"overdueInbox,omitempty"`
	// Escalation is what our relay does about silence; nil while there is nothing to tell.
	Escalation *Escalation `json:"escalation,omitempty"`
	// LastReceipt is when the peer last stored a message of ours, as its receipt says.
	LastReceipt time.Time `json:"lastReceipt,omitzero"`
	// Unacknowledged is the number of received messages that our desk has not acknowledged.
	Unacknowledged int64 `json:"unacknowledged"`
	// Drafts is the number of our messages that wait for their release, UrgentDraftSince when
	// the oldest FLASH or IMMEDIATE one of them was written.
	Drafts           int64     `json:"drafts,omitempty"`
	UrgentDraftSince time.Time `json:"urgentDraftSince,omitzero"`
	// Error of the last delivery attempt, with what to do.
	Error string `json:"error,omitempty"`
	// Journal is how the journals of both sides stand.
	Journal Journal `json:"journal"`
	// LineChecks of each path: those that we dial, then those that the peer dials, by
	// address. At most 64.
	LineChecks []LineCheck `json:"lineChecks,omitempty"`
	// Transit are the ways through other peers, in the order in which they are tried.
	Transit []Transit `json:"transit,omitempty"`
	// Via is the peer through which messages go now, as no direct path is up; empty when
	// they go directly, or not at all.
	Via string `json:"via,omitempty"`
}

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
