// SPDX-FileCopyrightText: The certlink authors
// SPDX-License-Identifier: Apache-2.0

package notify

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"net/textproto"
	"strings"

	"github.com/wneessen/go-mail"

	"github.com/certlink/certlink/relay/remote"
)

// Layer is where a notification failed.
type Layer string

// The layers, from the nearest to the farthest.
const (
	// LayerSecret: a file with credentials or certificates cannot be used.
	LayerSecret Layer = "Secret"
	// LayerName: the name of the server is not found.
	LayerName Layer = "Name"
	// LayerNetwork: no connection, or no answer in time.
	LayerNetwork Layer = "Network"
	// LayerTLS: no TLS, or a certificate that is not accepted.
	LayerTLS Layer = "TLS"
	// LayerLogin: the credentials are refused.
	LayerLogin Layer = "Login"
	// LayerServer: the server answers, and does not take it.
	LayerServer Layer = "Server"
)

// LayerOf tells where a notification failed.
func LayerOf(err error) Layer {
	if told, ok := errors.AsType[*remote.StatusError](err); ok {
		if remote.CauseOf(told) == remote.CauseRefused {
			return LayerLogin
		}
		return LayerServer
	}
	switch {
	case errors.Is(err, remote.ErrCredentials):
		return LayerSecret
	case errors.Is(err, remote.ErrRedirect), errors.Is(err, remote.ErrTooLong), errors.Is(err, remote.ErrBomb), errors.Is(err, errTalks):
		return LayerServer
	case isTLS(err):
		return LayerTLS
	case is[*net.DNSError](err):
		return LayerName
	}
	return mailLayer(err)
}

func mailLayer(err error) Layer {
	if code := replyOf(err); code != 0 {
		switch code {
		case 530, 534, 535, 538:
			return LayerLogin
		}
		return LayerServer
	}
	switch {
	case errors.Is(err, mail.ErrNoSupportedAuthDiscovered), errors.Is(err, mail.ErrPlainAuthNotSupported), errors.Is(err, mail.ErrLoginAuthNotSupported):
		return LayerLogin
	case is[*mail.SendError](err):
		return LayerServer
	}
	return LayerNetwork
}

// replyOf is the code of the mail server's answer (RFC 5321, section 4.2), 0 for none.
func replyOf(err error) int {
	if told, ok := errors.AsType[*textproto.Error](err); ok {
		return told.Code
	}
	if sent, ok := errors.AsType[*mail.SendError](err); ok {
		return sent.ErrorCode()
	}
	return 0
}

func isTLS(err error) bool {
	if errors.Is(err, errTLS) || is[*tls.CertificateVerificationError](err) || is[x509.UnknownAuthorityError](err) ||
		is[x509.CertificateInvalidError](err) || is[x509.HostnameError](err) || is[tls.RecordHeaderError](err) || is[tls.AlertError](err) {
		return true
	}
	// go-mail has no error of its own for a server without STARTTLS.
	return err != nil && strings.Contains(err.Error(), "STARTTLS")
}

func is[E error](err error) bool {
	_, ok := errors.AsType[E](err)
	return ok
}

// Explain says in one line where it failed and what a person can do, in the same words
// for the same fault.
func Explain(err error) string {
	if err == nil {
		return ""
	}
	if is[*remote.Error](err) || is[*remote.StatusError](err) || errors.Is(err, remote.ErrCredentials) {
		return oneLine(remote.Explain(err), 512)
	}
	switch layer := LayerOf(err); layer {
	case LayerName:
		return "the name of the mail server is not found: see whether smtp.server is right"
	case LayerTLS:
		if errors.Is(err, errTLS) {
			return errTLS.Error()
		}
		return "no TLS with the mail server: name its CA in ca.crt, and see whether smtp.tls and the port fit (Required: 465, StartTLS: 587)"
	case LayerLogin:
		return fmt.Sprintf("the mail server refuses to log us in%s: mend username and password in the Secret", code(err))
	case LayerServer:
		if errors.Is(err, errTalks) {
			return errTalks.Error() + ": see whether smtp.server is right, and is a mail server"
		}
		return fmt.Sprintf("the mail server does not take the mail%s: see whether it relays from this sender to these receivers", code(err))
	default:
		what := "no connection to the mail server"
		if errors.Is(err, context.DeadlineExceeded) {
			what = "the mail server is too slow"
		}
		return what + ": see whether smtp.server is right, the server runs and the network lets the relay through"
	}
}

func code(err error) string {
	if c := replyOf(err); c != 0 {
		return fmt.Sprintf(" (%d)", c)
	}
	return ""
}
