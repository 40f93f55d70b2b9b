// SPDX-FileCopyrightText: The certlink authors
// SPDX-License-Identifier: Apache-2.0

package desk

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"math"
	"net/http"
	"time"

	"github.com/certlink/certlink/relay/store"
)

// PathQuarantine: GET lists what an import holds in quarantine, the oldest first
// (?feed=NAME&object=STIX-ID&settled=true&after=N&limit=N → Quarantine; with object, the
// content too). POST settles one item (SettleRequest → QuarantineItem), for the role desk.
const PathQuarantine = "/feeds/quarantine"

// maxQuarantineList is the number of items in a page.
const maxQuarantineList = 1000

// Quarantiner keeps what peers sent and must not be stored as it is. It may be called
// concurrently; what it settles is durable on return. Its errors are *InvalidError and
// those of package store: ErrNotFound for an import or item that we do not have,
// ErrConflict for one that is settled.
type Quarantiner interface {
	Quarantined(ctx context.Context, q QuarantineQuery) (Quarantine, error)
	Settle(ctx context.Context, req SettleRequest) (QuarantineItem, error)
}

// QuarantineQuery selects items of an import.
type QuarantineQuery struct {
	// Feed is the name of the import.
	Feed string
	// Object selects items of one object, with their content; empty means all.
	Object string
	// Settled selects also what is settled.
	Settled bool
	// After selects items behind this number.
	After int64
	// Limit is 1 to 1000.
	Limit int
}

// Quarantine answers PathQuarantine.
type Quarantine struct {
	Feed string `json:"feed"`
	// Held and Bytes are what is held, Overflow counts what found no room.
	Held     int64 `json:"held"`
	Bytes    int64 `json:"bytes"`
	Overflow int64 `json:"overflow,omitempty"`
	// Items of this page.
	Items []QuarantineItem `json:"items"`
	// Next continues the list as "after"; zero at the end.
	Next int64 `json:"next,omitempty"`
}

// QuarantineItem is one object in quarantine.
type QuarantineItem struct {
	// Item is its number.
	Item int64 `json:"item"`
	// Object is the STIX identifier, Version modified, else created.
	Object  string    `json:"object"`
	Version time.Time `json:"version,omitzero"`
	// Reason is Forked, CreatorNotAllowed or AfterRevocation.
	Reason string `json:"reason"`
	// Since is when it came.
	Since time.Time `json:"since"`
	// State is Held, Accepted or Dropped; since when and by whom, if it is settled.
	State     string    `json:"state"`
	SettledAt time.Time `json:"settledAt,omitzero"`
	SettledBy string    `json:"settledBy,omitempty"`
	// Content as received; of what was accepted, the content that it replaced.
	Content []byte `json:"content,omitempty"`
}

// SettleRequest settles an item.
type SettleRequest struct {
	// Feed and Item name it.
	Feed string `json:"feed"`
	Item int64  `json:"item"`
	// Accept puts it into the import, in the place of the version that is stored;
	// otherwise it is dropped.
	Accept bool `json:"accept"`
	// Officer is who decided, for the record.
	Officer string `json:"officer"`
}

// quarantined answers GET of PathQuarantine.
func (h *handler) quarantined(r *http.Request) (int, any, error) {
	query := r.URL.Query()
	var faults InvalidError
	q := QuarantineQuery{
		Feed: query.Get("feed"), Object: query.Get("object"), Settled: query.Get("settled") == "true",
		After: faults.number(query, "after", 0, math.MaxInt64),
		Limit: int(faults.number(query, "limit", maxQuarantineList, maxQuarantineList)),
	}
	if len(faults.Faults) > 0 {
		return 0, nil, &faults
	}
	found, err := h.quarantiner.Quarantined(r.Context(), q)
	return http.StatusOK, found, err
}

// settle answers POST of PathQuarantine.
func (h *handler) settle(r *http.Request) (int, any, error) {
	var req SettleRequest
	d := json.NewDecoder(r.Body)
	d.DisallowUnknownFields()
	if err := d.Decode(&req); err != nil || !errors.Is(d.Decode(&struct{}{}), io.EOF) {
		return 0, nil, &InvalidError{Faults: []Fault{{Field: "body", Reason: "is not one JSON object of this request"}}}
	}
	if req.Officer == "" || len(req.Officer) > store.MaxSettledBy {
		return 0, nil, &InvalidError{Faults: []Fault{{Field: "officer", Reason: "must say who decides, in at most 256 bytes"}}}
	}
	item, err := h.quarantiner.Settle(r.Context(), req)
	if err == nil {
		h.log.InfoContext(r.Context(), "quarantined object settled", "feed", req.Feed, "item", req.Item, "object", item.Object, "state", item.State, "officer", req.Officer)
	}
	return http.StatusOK, item, err
}
