// SPDX-FileCopyrightText: The certlink authors
// SPDX-License-Identifier: Apache-2.0

package remote

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"time"
)

// What a server can do wrong. Every one comes inside an *Error.
var (
	// ErrStalled: the server sent nothing, or next to nothing, for too long.
	ErrStalled = errors.New("the server sent too little for too long")
	// ErrTooLong: the answer is longer than the caller takes.
	ErrTooLong = errors.New("the answer is too long")
	// ErrBomb: the answer grows beyond reason when it is decompressed.
	ErrBomb = errors.New("the answer is a decompression bomb")
	// ErrRedirect: the server points to another host, or to less protection.
	ErrRedirect = errors.New("the server redirects to elsewhere, which is not followed")
	// ErrCredentials: a file with credentials or certificates cannot be used.
	ErrCredentials = errors.New("the credentials cannot be used")
)

// Error is a request that got no answer, or an answer that did not come whole.
type Error struct {
	Method, Host string
	Err          error
}

// Error implements error.
func (e *Error) Error() string { return fmt.Sprintf("%s %s: %v", e.Method, e.Host, e.Err) }

// Unwrap returns the cause.
func (e *Error) Unwrap() error { return e.Err }

// StatusError is an answer that says no.
type StatusError struct {
	Method, Host string
	// Status is the HTTP status.
	Status int
	// RetryAfter is how long the server asks to wait, at most an hour; zero if it
	// does not ask.
	RetryAfter time.Duration
}

// Error implements error.
func (e *StatusError) Error() string {
	return fmt.Sprintf("%s %s: the server answers %d %s", e.Method, e.Host, e.Status, http.StatusText(e.Status))
}

// Clean takes the URL off an error of net/http; it could tell a secret in its query.
func Clean(err error) error {
	if e, ok := errors.AsType[*url.Error](err); ok {
		return Clean(e.Err)
	}
	return err
}

// Cause is the kind of an error, fit for a metric or a condition.
type Cause string

// The causes.
const (
	CauseUnreachable Cause = "Unreachable"
	CauseUntrusted   Cause = "Untrusted"
	CauseRefused     Cause = "Refused"
	CauseNotFound    Cause = "NotFound"
	CauseBusy        Cause = "Busy"
	CauseServer      Cause = "ServerError"
	CauseAnswer      Cause = "BadAnswer"
	CauseCredentials Cause = "Credentials"
)

// CauseOf classifies an error of this package; any other is CauseUnreachable.
func CauseOf(err error) Cause {
	if told, ok := errors.AsType[*StatusError](err); ok {
		return causeOfStatus(told.Status)
	}
	switch {
	case errors.Is(err, ErrCredentials):
		return CauseCredentials
	case errors.Is(err, ErrRedirect), errors.Is(err, ErrTooLong), errors.Is(err, ErrBomb):
		return CauseAnswer
	case untrusted(err):
		return CauseUntrusted
	}
	return CauseUnreachable
}

func causeOfStatus(status int) Cause {
	switch {
	case status == http.StatusUnauthorized, status == http.StatusForbidden, status == http.StatusProxyAuthRequired:
		return CauseRefused
	case status == http.StatusNotFound, status == http.StatusGone:
		return CauseNotFound
	case status == http.StatusTooManyRequests, status == http.StatusServiceUnavailable:
		return CauseBusy
	case status >= 500:
		return CauseServer
	}
	return CauseAnswer
}

// untrusted tells whether the server's certificate was not accepted.
func untrusted(err error) bool {
	_, is := errors.AsType[*tls.CertificateVerificationError](err)
	return is || isA[x509.UnknownAuthorityError](err) || isA[x509.CertificateInvalidError](err) || isA[x509.HostnameError](err)
}

func isA[E error](err error) bool {
	_, is := errors.AsType[E](err)
	return is
}

// Advice says what a person can do about an error, without a full stop; empty if
// there is nothing but to wait.
func Advice(err error) string {
	switch CauseOf(err) {
	case CauseUntrusted:
		return "name the CA of the server in ca.crt, and see whether its certificate has run out or is for another name"
	case CauseRefused:
		return "see whether the credentials are right and may read this"
	case CauseNotFound:
		return "see whether the URL is right"
	case CauseCredentials:
		return "mend the Secret"
	case CauseAnswer:
		return "see whether the URL is that of the right server"
	case CauseUnreachable:
		return "see whether the URL is right, the server runs and the network lets the relay through"
	}
	return ""
}

// Explain says in one line what is wrong and what a person can do, in the same words
// for the same fault: ports and counts that differ from attempt to attempt are left out.
func Explain(err error) string {
	text := reason(err)
	if advice := Advice(err); advice != "" {
		text += ": " + advice
	}
	return text
}

func reason(err error) string {
	host := "the server"
	if e, ok := errors.AsType[*Error](err); ok {
		host = e.Host
	}
	if told, ok := errors.AsType[*StatusError](err); ok {
		return fmt.Sprintf("%s answers %d %s", told.Host, told.Status, http.StatusText(told.Status))
	}
	for _, known := range []error{ErrStalled, ErrTooLong, ErrBomb, ErrRedirect} {
		if errors.Is(err, known) {
			return fmt.Sprintf("%s: %v", host, known)
		}
	}
	if name, ok := errors.AsType[*net.DNSError](err); ok {
		return fmt.Sprintf("%s: the name is not found", name.Name)
	}
	if op, ok := errors.AsType[*net.OpError](err); ok {
		err = op.Err // without the ports of this attempt
	} else if e, ok := errors.AsType[*Error](err); ok {
		err = e.Err
	}
	return fmt.Sprintf("%s: %v", host, Clean(err))
}
