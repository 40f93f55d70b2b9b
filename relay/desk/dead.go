// SPDX-FileCopyrightText: The certlink authors
// SPDX-License-Identifier: Apache-2.0

package desk

import (
	"context"
	"math"
	"net/http"
	"time"

	"github.com/certlink/certlink/relay/store"
)

// PathDead: GET lists the dead letters of a delivery, the oldest first
// (?after=N&limit=N → DeadLetters). POST has all of them tried again (→ Redelivery), for
// the role desk.
const PathDead = "/feeds/deliveries/{feed}/{delivery}/dead"

// maxDeadList is the number of dead letters in a page.
const maxDeadList = 1000

// Deliverer hands objects of imports on. It may be called concurrently; what it queues is
// durable on return. Its error for a delivery that we do not have is store.ErrNotFound.
type Deliverer interface {
	Dead(ctx context.Context, feed, delivery string, after int64, limit int) ([]store.DeadLetter, error)
	Redeliver(ctx context.Context, feed, delivery string) (int64, error)
}

// DeadLetters answers PathDead.
type DeadLetters struct {
	// Letters of this page.
	Letters []DeadLetter `json:"letters"`
	// Next continues the list as "after"; zero at the end.
	Next int64 `json:"next,omitempty"`
}

// DeadLetter is an object that a system of ours did not take.
type DeadLetter struct {
	// Object is the STIX identifier, Version modified, else created; absent for an object
	// without.
	Object  string    `json:"object"`
	Version time.Time `json:"version,omitzero"`
	// Reason in one line, and when it was given up.
	Reason string    `json:"reason"`
	At     time.Time `json:"at"`
	// Queued: it is to be tried again.
	Queued bool `json:"queued,omitempty"`
}

// Redelivery says how many dead letters are to be tried again.
type Redelivery struct {
	Queued int64 `json:"queued"`
}

// deadLetters answers GET of PathDead.
func (h *handler) deadLetters(r *http.Request) (int, any, error) {
	query := r.URL.Query()
	var faults InvalidError
	after := faults.number(query, "after", 0, math.MaxInt64)
	limit := int(faults.number(query, "limit", maxDeadList, maxDeadList))
	if len(faults.Faults) > 0 {
		return 0, nil, &faults
	}
	found, err := h.deliverer.Dead(r.Context(), r.PathValue("feed"), r.PathValue("delivery"), after, limit)
	list := DeadLetters{Letters: make([]DeadLetter, len(found))}
	for i, l := range found {
		list.Letters[i] = DeadLetter{Object: l.ID, Version: l.Version, Reason: l.Reason, At: l.At, Queued: l.Queued}
	}
	if n := len(found); n == limit {
		list.Next = found[n-1].Seq
	}
	return http.StatusOK, list, err
}

// redeliver answers POST of PathDead.
func (h *handler) redeliver(r *http.Request) (int, any, error) {
	n, err := h.deliverer.Redeliver(r.Context(), r.PathValue("feed"), r.PathValue("delivery"))
	return http.StatusAccepted, Redelivery{Queued: n}, err
}
