// SPDX-FileCopyrightText: The certlink authors
// SPDX-License-Identifier: Apache-2.0

package link

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"reflect"
	"syscall"

	"github.com/certlink/certlink/relay/identity"
	"github.com/certlink/certlink/relay/report"
	"github.com/certlink/certlink/relay/stream"
)

// Error says why a peer could not be reached, in the words of the report.
type Error struct {
	// Cause of the failure.
	Cause report.Cause
	// Message is one line for people: what is wrong, on which side, what to do. It
	// stays the same while the failure does.
	Message string
	// Err is what was seen, if anything.
	Err error
}

// Error returns the message.
func (e *Error) Error() string { return e.Message }

// Unwrap returns what was seen.
func (e *Error) Unwrap() error { return e.Err }

// Alerts of TLS (RFC 8446 section 6) by which the other end refuses a certificate.
const (
	alertBadCertificate     tls.AlertError = 42
	alertCertificateUnknown tls.AlertError = 46
	alertUnknownCA          tls.AlertError = 48
	alertAccessDenied       tls.AlertError = 49
	alertCertRequired       tls.AlertError = 116
	alertNoProtocol         tls.AlertError = 120
)

// classify says what an error of connecting to an address means.
func classify(address string, err error) *Error {
	if e, ok := errors.AsType[*Error](err); ok {
		return e
	}
	if refused, ok := errors.AsType[*identity.VerifyError](err); ok {
		return &Error{Cause: refused.Cause, Message: at(address, refused.Reason), Err: err}
	}
	if alert, ok := remoteAlert(err); ok {
		return classifyAlert(address, alert, err)
	}
	if header, ok := errors.AsType[tls.RecordHeaderError](err); ok {
		return &Error{Cause: report.CauseProtocol, Err: err,
			Message: at(address, fmt.Sprintf("something answers there that does not speak TLS (%s): correct the address or the port", header.Msg))}
	}
	if unaccepted(err) || errors.Is(err, stream.ErrBusy) || errors.Is(err, stream.ErrClosed) || errors.Is(err, stream.ErrAborted) {
		return &Error{Cause: report.CauseUnreachable, Err: err,
			Message: at(address, "the peer's relay used or closed the connection at the same moment: if this lasts, it is overloaded or stopping")}
	}
	if reason, ok := transport(err); ok {
		return &Error{Cause: report.CauseUnreachable, Err: err,
			Message: at(address, reason+": check address, route and firewall; if they are right, the peer's relay is down")}
	}
	return &Error{Cause: report.CauseProtocol, Err: err, Message: at(address, fmt.Sprintf("the answer is not this protocol: %v", err))}
}

func at(address, text string) string {
	if address == "" {
		return text
	}
	return address + ": " + text
}

// classifyAlert says what the other end told us by a TLS alert.
func classifyAlert(address string, alert tls.AlertError, err error) *Error {
	switch {
	case alert >= alertBadCertificate && alert <= alertCertificateUnknown,
		alert == alertUnknownCA, alert == alertAccessDenied, alert == alertCertRequired:
		return &Error{Cause: report.CauseRefused, Err: err, Message: at(address, fmt.Sprintf(
			"the peer's relay refused our certificate (%v): ask the peer whether it has our present card and has not revoked us; their side says which", alert))}
	case alert == alertNoProtocol:
		return &Error{Cause: report.CauseProtocol, Err: err,
			Message: at(address, "the relay there does not speak this version of the link: one of the two sides must be upgraded")}
	default:
		return &Error{Cause: report.CauseProtocol, Err: err,
			Message: at(address, fmt.Sprintf("the other end broke off the TLS handshake (%v): it may not be a relay", alert))}
	}
}

// remoteAlert finds the alert that the other end sent. crypto/tls wraps it in a
// net.OpError as a type of its own that is not exported, a number like AlertError.
func remoteAlert(err error) (tls.AlertError, bool) {
	op, ok := errors.AsType[*net.OpError](err)
	if !ok || op.Op != "remote error" {
		return 0, false
	}
	v := reflect.ValueOf(op.Err)
	if !v.IsValid() || v.Kind() != reflect.Uint8 {
		return 0, false
	}
	return tls.AlertError(v.Uint()), true //nolint:gosec // the kind is uint8
}

// transport names an error of the network, without ports that differ each time.
func transport(err error) (string, bool) {
	if dns, ok := errors.AsType[*net.DNSError](err); ok {
		if dns.IsNotFound {
			return fmt.Sprintf("the name %q does not exist", dns.Name), true
		}
		return fmt.Sprintf("the name %q cannot be looked up now", dns.Name), true
	}
	if isTimeout(err) {
		return "no answer in time", true
	}
	if errno, ok := errors.AsType[syscall.Errno](err); ok {
		return errno.Error(), true
	}
	if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) || errors.Is(err, net.ErrClosed) {
		return "the connection was closed at once", true
	}
	return "no connection", isDial(err)
}

func isDial(err error) bool {
	op, ok := errors.AsType[*net.OpError](err)
	return ok && op.Op == "dial"
}

func isTimeout(err error) bool {
	if errors.Is(err, context.DeadlineExceeded) || errors.Is(err, os.ErrDeadlineExceeded) {
		return true
	}
	n, ok := errors.AsType[net.Error](err)
	return ok && n.Timeout()
}
