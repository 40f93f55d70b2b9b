// SPDX-FileCopyrightText: The certlink authors
// SPDX-License-Identifier: Apache-2.0

package desk

import (
	"context"
	"math"
	"net/http"

	"github.com/certlink/certlink/relay/store"
	"github.com/certlink/certlink/relay/trust"
)

// PathTrust: GET lists the record of trust changes, the oldest first
// (?subject=&after=&limit= → trust.Page).
const PathTrust = "/trust/log"

// defaultTrust is the number of records in a page when the client does not say.
const defaultTrust = 256

// TrustLog has the record of trust changes. trust.Keeper is one.
type TrustLog interface {
	// Records returns a page, after the whole chain was verified.
	Records(ctx context.Context, q store.TrustQuery) (trust.Page, error)
}

func (h *handler) trustLog(r *http.Request) (int, any, error) {
	query := r.URL.Query()
	invalid := &InvalidError{}
	q := store.TrustQuery{
		Subject: query.Get("subject"),
		After:   invalid.number(query, "after", 0, math.MaxInt64),
		Limit:   int(invalid.number(query, "limit", defaultTrust, store.MaxTrustRecords)),
	}
	if len(invalid.Faults) > 0 {
		return 0, nil, invalid
	}
	page, err := h.trust.Records(r.Context(), q)
	return http.StatusOK, page, err
}
