// SPDX-FileCopyrightText: The certlink authors
// SPDX-License-Identifier: Apache-2.0

package taxii

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"time"
	"unicode"

	"github.com/certlink/certlink/relay/store"
)

// ProtocolError is a TAXII error (TAXII 2.1 section 3.6.1): what a server
// answers, and what a Client returns of such an answer.
type ProtocolError struct {
	// Status of the HTTP answer.
	Status int `json:"-"`
	// RetryAfter says when to come again; zero if the server does not say.
	RetryAfter time.Duration `json:"-"`
	// Title is short, Description says what to do.
	Title       string `json:"title"`
	Description string `json:"description,omitempty"`
	// ErrorID finds the event in the server's log.
	ErrorID string `json:"error_id,omitempty"`
	// HTTPStatus is Status as the standard wants it.
	HTTPStatus string `json:"http_status,omitempty"`
	// Details name what is wrong, for example a parameter.
	Details map[string]string `json:"details,omitempty"`

	allow string
}

// Error implements error.
func (e *ProtocolError) Error() string {
	text := fmt.Sprintf("%d %s", e.Status, e.Title)
	if e.Description != "" {
		text += ": " + e.Description
	}
	return text
}

func problem(status int, title, description string, args ...any) *ProtocolError {
	return &ProtocolError{Status: status, Title: title, Description: fmt.Sprintf(description, args...)}
}

// Unauthorized refuses a caller who is nobody.
func Unauthorized() *ProtocolError {
	return problem(http.StatusUnauthorized, "Not authenticated", "show a client certificate that this server knows")
}

// Forbidden refuses a caller who is known, with the reason.
func Forbidden(reason string) *ProtocolError {
	return problem(http.StatusForbidden, "Not allowed", "%s", reason)
}

// NotFound answers for what is not there, or not to be seen.
func NotFound() *ProtocolError {
	return problem(http.StatusNotFound, "Not found", "there is no such resource, or you may not see it")
}

func badParameter(name, description string, args ...any) *ProtocolError {
	e := problem(http.StatusBadRequest, "Wrong parameter", description, args...)
	e.Details = map[string]string{"parameter": name}
	return e
}

// write sends the error. The writer's own error is the client's trouble.
func (e *ProtocolError) write(w http.ResponseWriter) {
	e.HTTPStatus = strconv.Itoa(e.Status)
	body, err := json.Marshal(e)
	if err != nil {
		body = []byte(`{"title":"Internal error"}`)
	}
	h := w.Header()
	if e.RetryAfter > 0 {
		h.Set("Retry-After", strconv.Itoa(int((e.RetryAfter+time.Second-1)/time.Second)))
	}
	if e.allow != "" {
		h.Set("Allow", e.allow)
	}
	if e.Status == http.StatusUnauthorized {
		h.Set("WWW-Authenticate", `ClientCertificate realm="certlink"`)
	}
	send(w, e.Status, body)
}

// asProtocolError turns what a Backend returned into an answer. It tells the
// caller nothing of the inside; report is true for what our own log should have.
func asProtocolError(err error) (answer *ProtocolError, report bool) {
	var known *ProtocolError
	switch {
	case errors.As(err, &known):
		clone := *known
		return &clone, known.Status >= http.StatusInternalServerError && known.Status != http.StatusServiceUnavailable
	case errors.Is(err, store.ErrNotFound):
		return NotFound(), false
	case errors.Is(err, store.ErrFull):
		return problem(http.StatusInsufficientStorage, "Storage is full",
			"nothing of this request was stored: make room at this relay, then repeat it"), true
	}
	return problem(http.StatusInternalServerError, "Internal error", "the error_id finds the event in the relay's log"), true
}

const (
	maxQuoted     = 200
	maxSmallBytes = 8 << 20
)

// brief makes another side's words fit for an error or a log line.
func brief(text string) string {
	if len(text) > 4*maxQuoted {
		text = text[:4*maxQuoted]
	}
	text = strings.Map(func(r rune) rune {
		if unicode.IsPrint(r) {
			return r
		}
		return ' '
	}, strings.ToValidUTF8(text, "."))
	if runes := []rune(text); len(runes) > maxQuoted {
		return string(runes[:maxQuoted]) + "…"
	}
	return text
}
