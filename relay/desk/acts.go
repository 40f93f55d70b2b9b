// SPDX-FileCopyrightText: The certlink authors
// SPDX-License-Identifier: Apache-2.0

package desk

import (
	"context"
	"math"
	"net/http"
	"time"

	"github.com/certlink/certlink/relay/access"
)

// PathActs: GET reads what people and our relay did, from our journal of a hotline
// (?from=INDEX&message=ID → ActList), for the role desk.
const PathActs = "/journal/{hotline}/acts"

// Acts reads the acts in our journals. It may be called concurrently. Its error is
// store.ErrNotFound for a hotline that we do not have.
type Acts interface {
	// ListActs returns acts from an index of the journal on, oldest first, those about one
	// message if it is given.
	ListActs(ctx context.Context, hotline, message string, from int64) (ActList, error)
}

// JournalAct is an entry of our journal about what somebody did.
type JournalAct struct {
	// Index of the entry, from 0.
	Index int64 `json:"index"`
	// Act is its name, as docs/journal.md lists them.
	Act string    `json:"act"`
	At  time.Time `json:"at"`
	// Message that it is about, and whose: OUT or IN.
	Message   string `json:"message,omitempty"`
	Direction string `json:"direction,omitempty"`
	// By is the identity that the relay authenticated; empty for the relay itself.
	By      string            `json:"by,omitempty"`
	Details map[string]string `json:"details,omitempty"`
}

// ActList is a part of the acts of a journal.
type ActList struct {
	Acts []JournalAct `json:"acts"`
	// Next continues when put into ?from=; zero at the end.
	Next int64 `json:"next,omitempty"`
}

// serveActs adds the path of acts.
func (h *handler) serveActs(mux *http.ServeMux, a Acts) {
	mux.Handle("GET "+PathActs, only([]access.Role{access.RoleDesk}, h.reply(func(r *http.Request) (int, any, error) {
		query, invalid := r.URL.Query(), &InvalidError{}
		from := invalid.number(query, "from", 0, math.MaxInt64)
		if len(invalid.Faults) > 0 {
			return 0, nil, invalid
		}
		list, err := a.ListActs(r.Context(), r.PathValue("hotline"), query.Get("message"), from)
		return http.StatusOK, list, err
	})))
}
