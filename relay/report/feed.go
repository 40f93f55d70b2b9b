// SPDX-FileCopyrightText: The certlink authors
// SPDX-License-Identifier: Apache-2.0

package report

import "time"

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
