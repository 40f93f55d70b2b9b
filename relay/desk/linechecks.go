// SPDX-FileCopyrightText: The certlink authors
// SPDX-License-Identifier: Apache-2.0

package desk

import (
	"context"
	"encoding/json"
	"net/http"
	"time"

	"github.com/certlink/certlink/relay/access"
)

// Paths of line checks, for the role desk. {hotline} is the name of a hotline.
const (
	// PathLineChecks: POST checks every path of a hotline now (→ LineCheckRun). It takes no body.
	PathLineChecks = "/hotline/linechecks/{hotline}"
	// PathAvailability: GET shows the availability record of a month (YYYY-MM) as it is stored
	// (→ Availability); POST exchanges it with the peer now. It takes no body.
	PathAvailability = "/hotline/availability/{hotline}/{month}"
)

// LineChecker checks lines. It may be called concurrently. Its errors are *InvalidError
// and those of package store: ErrNotFound for a hotline or month that we do
// not have.
type LineChecker interface {
	CheckLine(ctx context.Context, hotline string) (LineCheckRun, error)
	Availability(ctx context.Context, hotline, month string) (Availability, error)
	ExchangeAvailability(ctx context.Context, hotline, month string) (Availability, error)
}

// LineCheckRun is what came of checks that a person asked for.
type LineCheckRun struct {
	Hotline string `json:"hotline"`
	Peer    string `json:"peer"`
	// At is when the checks were sent.
	At time.Time `json:"at"`
	// Checks: for each path, ours first, then the last one of the peer.
	Checks []LineChecked `json:"checks"`
}

// LineChecked is one path in one direction.
type LineChecked struct {
	// DialledBy is the trust domain that dials, Address what it dials.
	DialledBy string `json:"dialledBy"`
	Address   string `json:"address"`
	// Direction is sent (a check of ours, now) or received (the last one of the peer).
	Direction string `json:"direction"`
	// State is Answered, Missed, NotTested or NotDeclared. Of a check of ours it is that of
	// this very check.
	State string `json:"state"`
	// Number of the check, on this path and direction.
	Number int64 `json:"number,omitempty"`
	// RoundTripMicroseconds from sending to the verified receipt.
	RoundTripMicroseconds int64 `json:"roundTripMicroseconds,omitempty"`
	// OurTime and TheirTime of the check by either clock.
	OurTime   time.Time `json:"ourTime,omitzero"`
	TheirTime time.Time `json:"theirTime,omitzero"`
	// SignedBy is the SPIFFE ID of the peer's signer.
	SignedBy string `json:"signedBy,omitempty"`
	// Failure in one line.
	Failure string `json:"failure,omitempty"`
}

// Availability is the availability record of a month: the views of both sides, and what
// each says of the other's.
type Availability struct {
	Hotline string `json:"hotline"`
	Peer    string `json:"peer"`
	Month   string `json:"month"`
	// State is Agreed, Disagreed, Unsigned (the peer has not countersigned) or Running (the
	// month is not over; what there is will be replaced).
	State string `json:"state"`
	// Ours and Theirs are the records; nil while there is none.
	Ours   *SignedRecord `json:"ours,omitempty"`
	Theirs *SignedRecord `json:"theirs,omitempty"`
	// Error says why the peer could not be asked just now.
	Error string `json:"error,omitempty"`
}

// States of an Availability.
const (
	AvailabilityAgreed    = "Agreed"
	AvailabilityDisagreed = "Disagreed"
	AvailabilityUnsigned  = "Unsigned"
	AvailabilityRunning   = "Running"
)

// SignedRecord is one side's record, and the other's countersignature.
type SignedRecord struct {
	// Record is the payload (docs/schema/availability-record-1.json), JWS the signed form.
	Record json.RawMessage `json:"record"`
	JWS    string          `json:"jws"`
	// Verified: signature and certificate chain are good. Else Fault says why not.
	Verified bool   `json:"verified"`
	Fault    string `json:"fault,omitempty"`
	// CounterJWS is the other side's countersignature, CounterVerified and CounterFault as above.
	CounterJWS      string `json:"counterJWS,omitempty"`
	CounterVerified bool   `json:"counterVerified,omitempty"`
	CounterFault    string `json:"counterFault,omitempty"`
	// Agreed and Differences are what the countersignature says.
	Agreed      bool     `json:"agreed,omitempty"`
	Differences []string `json:"differences,omitempty"`
}

// serveLineChecks adds the paths of line checks.
func (h *handler) serveLineChecks(mux *http.ServeMux, c LineChecker) {
	for pattern, do := range map[string]func(r *http.Request) (any, error){
		"POST " + PathLineChecks: func(r *http.Request) (any, error) {
			return c.CheckLine(r.Context(), r.PathValue("hotline"))
		},
		"GET " + PathAvailability: func(r *http.Request) (any, error) {
			return c.Availability(r.Context(), r.PathValue("hotline"), r.PathValue("month"))
		},
		"POST " + PathAvailability: func(r *http.Request) (any, error) {
			return c.ExchangeAvailability(r.Context(), r.PathValue("hotline"), r.PathValue("month"))
		},
	} {
		mux.Handle(pattern, only([]access.Role{access.RoleDesk}, h.reply(func(r *http.Request) (int, any, error) {
			body, err := do(r)
			return http.StatusOK, body, err
		})))
	}
}
