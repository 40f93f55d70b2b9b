// SPDX-FileCopyrightText: The certlink authors
// SPDX-License-Identifier: Apache-2.0

package desk

import (
	"context"
	"net/http"
	"time"

	"github.com/certlink/certlink/relay/access"
)

// Paths of exercises, for the role desk. {hotline} is the name of a hotline.
const (
	// PathExercises: POST registers a drill and begins it (ExerciseRequest → ExerciseReport).
	PathExercises = "/hotline/exercises/{hotline}"
	// PathExercise: GET measures a drill (→ ExerciseReport).
	PathExercise = "/hotline/exercises/{hotline}/{name}"
)

// Exercises runs drills. Its errors are *InvalidError and those of package store: ErrNotFound
// for a hotline or exercise that we do not have, ErrConflict for a name that is used.
type Exercises interface {
	StartExercise(ctx context.Context, hotline string, r ExerciseRequest) (ExerciseReport, error)
	ExerciseReport(ctx context.Context, hotline, name string) (ExerciseReport, error)
}

// ExerciseRequest begins a drill.
type ExerciseRequest struct {
	// Script in YAML, at most 128 KiB.
	Script string `json:"script"`
	// Officer who begins it, and whom its messages name.
	Officer string `json:"officer"`
}

// ExerciseReport is what came of a drill, with the times that were measured.
type ExerciseReport struct {
	Name    string `json:"name"`
	Hotline string `json:"hotline"`
	// By is the trust domain whose drill it is, Peer the other side.
	By           string         `json:"by"`
	Peer         string         `json:"peer"`
	Officer      string         `json:"officer"`
	Conversation string         `json:"conversation"`
	Start        time.Time      `json:"start"`
	At           time.Time      `json:"at"`
	Steps        []ExerciseStep `json:"steps"`
	// JWS is the report without this member, signed by our relay (typ certlink-exercise-report).
	JWS string `json:"jws,omitempty"`
	// Countersignature is what the other side says of it, when the drill is over.
	Countersignature *ExerciseCountersignature `json:"countersignature,omitempty"`
}

// ExerciseCountersignature is what the other side of a drill says of its report.
type ExerciseCountersignature struct {
	Exercise string `json:"exercise"`
	// ReportSHA256 is the hexadecimal digest of the report's payload.
	ReportSHA256 string    `json:"report_sha256"`
	By           string    `json:"by"`
	At           time.Time `json:"at"`
	// Agreed: it holds the same times. Else Differences, one line each.
	Agreed      bool     `json:"agreed"`
	Differences []string `json:"differences,omitempty"`
	// JWS is this without this member, signed (typ certlink-exercise-countersignature).
	JWS string `json:"jws,omitempty"`
}

// ExerciseStep is one message of a drill. Receipt and Acknowledged are by the peer's clock,
// as it signed them, the others by ours.
type ExerciseStep struct {
	Step         int       `json:"step"`
	Message      string    `json:"message"`
	Subject      string    `json:"subject"`
	Precedence   string    `json:"precedence"`
	Due          time.Time `json:"due"`
	Sent         time.Time `json:"sent,omitzero"`
	Receipt      time.Time `json:"receipt,omitzero"`
	Acknowledged time.Time `json:"acknowledged,omitzero"`
	Answered     time.Time `json:"answered,omitzero"`
	// ReceiptKept, AckKept and AnswerKept say whether what the script expects came in time:
	// Yes, No or Waits; empty where it expects nothing.
	ReceiptKept string `json:"receiptKept,omitempty"`
	AckKept     string `json:"ackKept,omitempty"`
	AnswerKept  string `json:"answerKept,omitempty"`
}

// serveExercises adds the paths of exercises.
func (h *handler) serveExercises(mux *http.ServeMux, x Exercises) {
	for pattern, do := range map[string]func(r *http.Request) (any, error){
		"POST " + PathExercises: func(r *http.Request) (any, error) {
			var req ExerciseRequest
			if err := decode(r, &req); err != nil {
				return nil, err
			}
			return x.StartExercise(r.Context(), r.PathValue("hotline"), req)
		},
		"GET " + PathExercise: func(r *http.Request) (any, error) {
			return x.ExerciseReport(r.Context(), r.PathValue("hotline"), r.PathValue("name"))
		},
	} {
		mux.Handle(pattern, only([]access.Role{access.RoleDesk}, h.reply(func(r *http.Request) (int, any, error) {
			body, err := do(r)
			return http.StatusOK, body, err
		})))
	}
}
