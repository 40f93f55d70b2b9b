// SPDX-FileCopyrightText: The certlink authors
// SPDX-License-Identifier: Apache-2.0

// Package problem writes HTTP errors as application/problem+json (RFC 9457). It
// promises one line for people in "detail" and no secret that was not put there.
package problem

import (
	"encoding/json"
	"net/http"
)

// ContentType of a problem.
const ContentType = "application/problem+json"

// Details is the body of a problem.
type Details struct {
	// Title is the text of the status.
	Title string `json:"title"`
	// Status repeats the HTTP status.
	Status int `json:"status"`
	// Detail says what is wrong and what to do.
	Detail string `json:"detail,omitempty"`
}

// Write answers a request with a problem.
func Write(w http.ResponseWriter, status int, detail string) {
	w.Header().Set("Content-Type", ContentType)
	w.WriteHeader(status)
	// An error here means that the client is gone: there is nobody to tell.
	_ = json.NewEncoder(w).Encode(Details{Title: http.StatusText(status), Status: status, Detail: detail})
}
