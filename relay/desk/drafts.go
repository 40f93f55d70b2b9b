// SPDX-FileCopyrightText: The certlink authors
// SPDX-License-Identifier: Apache-2.0

package desk

import (
	"context"
	"math"
	"net/http"
	"time"

	"github.com/certlink/certlink/relay/access"
	"github.com/certlink/certlink/relay/message"
	"github.com/certlink/certlink/relay/store"
)

// Paths of drafts, for the role desk. {peer} is a trust domain or our name for the peer.
const (
	// PathDrafts: GET lists those that wait (?hotline=&all=true&before=&limit= → MessageList).
	PathDrafts = "/hotline/drafts"
	// PathDraft: GET shows one (→ Message), PUT puts other content in its place (SendRequest
	// → Message).
	PathDraft = "/hotline/drafts/{peer}/{id}"
	// PathRelease, PathReject and PathWithdraw: POST (DraftAct → Message).
	PathRelease  = "/hotline/drafts/{peer}/{id}/release"
	PathReject   = "/hotline/drafts/{peer}/{id}/reject"
	PathWithdraw = "/hotline/drafts/{peer}/{id}/withdraw"
)

// MaxReasonBytes is the longest reason of an act.
const MaxReasonBytes = 512

// StateDraft is the state of a Message that waits for its release, or never got it.
const StateDraft = "Draft"

// States of a draft.
const (
	DraftWaiting   = "Waiting"
	DraftSent      = "Sent"
	DraftRejected  = "Rejected"
	DraftWithdrawn = "Withdrawn"
	DraftExpired   = "Expired"
)

// Draft says what a message of ours waits for. It is a member of a Message.
type Draft struct {
	// Hash is the SHA-256 of the content, in hexadecimal; docs/release.md says over what.
	Hash string `json:"hash"`
	// State is Waiting, Sent, Rejected, Withdrawn or Expired.
	State string `json:"state"`
	// Quorum is how many officers must release it, DrafterMayRelease (Allowed or Denied)
	// whether the drafter is one of them.
	Quorum            int32  `json:"quorum"`
	DrafterMayRelease string `json:"drafterMayRelease"`
	// Drafter is who wrote the content, and when.
	Drafter message.ReleaseBy `json:"drafter"`
	// Releases of exactly this content that count now.
	Releases []message.ReleaseBy `json:"releases,omitempty"`
	// ExpiresAt is when it ends by itself.
	ExpiresAt time.Time `json:"expiresAt"`
	// EndedAt, EndedBy and Reason are how it ended; EndedBy is an identity, empty for the
	// relay.
	EndedAt time.Time `json:"endedAt,omitzero"`
	EndedBy string    `json:"endedBy,omitempty"`
	Reason  string    `json:"reason,omitempty"`
}

// DraftAct is a release, rejection or withdrawal.
type DraftAct struct {
	// Hash of the content that the officer was shown. Required of a release.
	Hash string `json:"hash,omitempty"`
	// Reason, one line of at most 512 bytes. Required of a rejection.
	Reason string `json:"reason,omitempty"`
}

// Drafts are the messages of ours that wait for their release. Methods may be called
// concurrently; what they do is durable on return. Their errors are *InvalidError,
// *ForbiddenError and those of package store: ErrConflict for a draft that has changed or
// ended.
type Drafts interface {
	ListDrafts(ctx context.Context, hotline string, q store.DraftQuery) (MessageList, error)
	GetDraft(ctx context.Context, peer, id string) (Message, error)
	EditDraft(ctx context.Context, peer, id string, r SendRequest) (Message, error)
	ReleaseDraft(ctx context.Context, peer, id string, a DraftAct) (Message, error)
	RejectDraft(ctx context.Context, peer, id string, a DraftAct) (Message, error)
	WithdrawDraft(ctx context.Context, peer, id string, a DraftAct) (Message, error)
}

// serveDrafts adds the paths of drafts.
func (h *handler) serveDrafts(mux *http.ServeMux, d Drafts) {
	handle := func(pattern string, action func(r *http.Request) (any, error)) {
		mux.Handle(pattern, only([]access.Role{access.RoleDesk}, h.reply(func(r *http.Request) (int, any, error) {
			body, err := action(r)
			return http.StatusOK, body, err
		})))
	}
	handle("GET "+PathDrafts, func(r *http.Request) (any, error) { return listDrafts(r, d) })
	handle("GET "+PathDraft, func(r *http.Request) (any, error) {
		return d.GetDraft(r.Context(), r.PathValue("peer"), r.PathValue("id"))
	})
	handle("PUT "+PathDraft, func(r *http.Request) (any, error) {
		var req SendRequest
		if err := decode(r, &req); err != nil {
			return nil, err
		}
		return d.EditDraft(r.Context(), r.PathValue("peer"), r.PathValue("id"), req)
	})
	for path, act := range map[string]func(context.Context, string, string, DraftAct) (Message, error){
		PathRelease: d.ReleaseDraft, PathReject: d.RejectDraft, PathWithdraw: d.WithdrawDraft,
	} {
		handle("POST "+path, func(r *http.Request) (any, error) {
			var req DraftAct
			if err := decode(r, &req); err != nil {
				return nil, err
			}
			return act(r.Context(), r.PathValue("peer"), r.PathValue("id"), req)
		})
	}
}

func listDrafts(r *http.Request, d Drafts) (any, error) {
	query := r.URL.Query()
	invalid := &InvalidError{}
	q := store.DraftQuery{Waiting: query.Get("all") != "true"}
	q.Before = invalid.number(query, "before", 0, math.MaxInt64)
	q.Limit = int(invalid.number(query, "limit", defaultList, store.MaxDrafts))
	if len(invalid.Faults) > 0 {
		return nil, invalid
	}
	return d.ListDrafts(r.Context(), query.Get("hotline"), q)
}
