// SPDX-FileCopyrightText: The certlink authors
// SPDX-License-Identifier: Apache-2.0

package desk

import (
	"context"
	"net/http"
	"time"
)

// PathPulls: GET says how far imports and fetched sources have come
// (?feed=NAME → Pulls; without it, of all feeds).
const PathPulls = "/feeds/pulls"

// Puller says how far pulls have come. It may be called concurrently.
type Puller interface {
	Pulls(ctx context.Context, feed string) ([]Pull, error)
}

// Pulls answers PathPulls.
type Pulls struct {
	// Pulls by feed and source.
	Pulls []Pull `json:"pulls"`
}

// Pull is what is fetched from one place, and how far that has come at this moment.
type Pull struct {
	// Feed is the name of the import or export.
	Feed string `json:"feed"`
	// Source is the name of the source of an export; empty for an import.
	Source string `json:"source,omitempty"`
	// From is where it comes from: a peer by name, a host, or files.
	From string `json:"from"`
	// Stored is the number of object versions kept, Refused that of received objects
	// that were not valid or forked.
	Stored  int64 `json:"stored"`
	Refused int64 `json:"refused,omitempty"`
	// QuotaReached: no more is kept.
	QuotaReached bool `json:"quotaReached,omitempty"`
	// LastSuccess is when a pull last ended without error, to the minute.
	LastSuccess time.Time `json:"lastSuccess,omitzero"`
	// Error of the last pull, with what to do.
	Error string `json:"error,omitempty"`
	// Started is when the pull began that is under way; zero when there is none.
	Started time.Time `json:"started,omitzero"`
	// Objects received in it so far.
	Objects int64 `json:"objects,omitempty"`
	// Done of Total, in bytes of a bundle or events of MISP; Total is zero while it is
	// not known.
	Done  int64 `json:"done,omitempty"`
	Total int64 `json:"total,omitempty"`
}

// pulls answers PathPulls.
func (h *handler) pulls(r *http.Request) (int, any, error) {
	list, err := h.puller.Pulls(r.Context(), r.URL.Query().Get("feed"))
	if list == nil {
		list = []Pull{}
	}
	return http.StatusOK, Pulls{Pulls: list}, err
}
