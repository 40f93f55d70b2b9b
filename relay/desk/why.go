// SPDX-FileCopyrightText: The certlink authors
// SPDX-License-Identifier: Apache-2.0

package desk

import (
	"context"
	"encoding/json"
	"net/http"
	"time"
)

// PathWhy: GET says for each export why an object reached a peer, or did not
// (?object=STIX-ID&peer=NAME → Why).
const PathWhy = "/feeds/why"

// Explainer says what was decided about objects. It may be called concurrently,
// and stores nothing. Its errors are *InvalidError and store.ErrNotFound for a
// peer that we do not have.
type Explainer interface {
	Why(ctx context.Context, object, peer string) (Why, error)
}

// Why is what our exports decided about one object for one peer.
type Why struct {
	// Object is the STIX identifier that was asked for.
	Object string `json:"object"`
	// Peer is our name for the peer.
	Peer string `json:"peer"`
	// Feeds that hold the object or name the peer, by name; at most 1024.
	Feeds []WhyFeed `json:"feeds"`
}

// WhyFeed is what one export decided.
type WhyFeed struct {
	// Feed is the name of the export.
	Feed string `json:"feed"`
	// Stops says why nothing of the feed reaches the peer now, whatever was
	// decided; "" when nothing stops it.
	Stops string `json:"stops,omitempty"`
	// Rule is the hash of the rule in force; "" while it is being read.
	Rule string `json:"rule,omitempty"`
	// Versions of the object in the feed's sources, the oldest first, at most 100;
	// none when the object is not there.
	Versions []WhyVersion `json:"versions,omitempty"`
}

// Outcome of a decision.
type Outcome string

// The outcomes.
const (
	// Shared: the peer's collection holds the version.
	Shared Outcome = "Shared"
	// Held: the rule does not allow it.
	Held Outcome = "Held"
	// Undecided: the rule in force has not looked at it yet. It is not shared.
	Undecided Outcome = "Undecided"
)

// WhyVersion is what was decided about one version.
type WhyVersion struct {
	// Version of the object: modified, else created; zero for an object without.
	Version time.Time `json:"version,omitzero"`
	// Source that holds it, and since when.
	Source  string    `json:"source"`
	AddedAt time.Time `json:"addedAt"`
	// Outcome, with its reason as in the status of the SharedFeed, and in words.
	Outcome Outcome `json:"outcome"`
	Reason  string  `json:"reason,omitempty"`
	Message string  `json:"message"`
	// DecidedAt is when it was decided; zero while Undecided.
	DecidedAt time.Time `json:"decidedAt,omitzero"`
	// Evidence of the decision: a JSON object (rule.Evidence); absent where the reason says all.
	Evidence json.RawMessage `json:"evidence,omitempty"`
	// SharedAt is the date_added that the peer sees; zero unless Shared.
	SharedAt time.Time `json:"sharedAt,omitzero"`
	// Until is when the rule will find it too old; zero for never.
	Until time.Time `json:"until,omitzero"`
	// Redacted: it leaves without some of its properties.
	Redacted bool `json:"redacted,omitempty"`
	// Delivery says how far a shared version has come; empty unless Shared.
	Delivery Delivery `json:"delivery,omitempty"`
	// DeliveredAt is when that was known: of Sent, not later than this.
	DeliveredAt time.Time `json:"deliveredAt,omitzero"`
	// Refused is the peer's word for why it did not keep the version, in its signed
	// receipt at RefusedAt.
	Refused   string    `json:"refused,omitempty"`
	RefusedAt time.Time `json:"refusedAt,omitzero"`
}

// Delivery is how far a version has come.
type Delivery string

// How far a version has come; each includes those before it.
const (
	// Waiting: the peer has not read it yet.
	Waiting Delivery = "Waiting"
	// HandedOut: it was in a page that may not have come to its end.
	HandedOut Delivery = "HandedOut"
	// Sent: it was in a page that was written to its end.
	Sent Delivery = "Sent"
	// CameBack: the peer came back with a later position, as it does when it has stored it.
	CameBack Delivery = "CameBack"
	// Receipted: a receipt that the peer has signed covers it.
	Receipted Delivery = "Receipted"
)

// why answers PathWhy.
func (h *handler) why(r *http.Request) (int, any, error) {
	query := r.URL.Query()
	w, err := h.explainer.Why(r.Context(), query.Get("object"), query.Get("peer"))
	return http.StatusOK, w, err
}
