// SPDX-FileCopyrightText: The certlink authors
// SPDX-License-Identifier: Apache-2.0

package postgres

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"strings"

	"github.com/jackc/pgx/v5/pgconn"

	"github.com/certlink/certlink/relay/store"
)

// SQLSTATE codes that mean something to us.
const (
	diskFull         = "53100"
	tooMany          = "53300"
	shutdown         = "57P01"
	crashed          = "57P02"
	startingUp       = "57P03"
	badPassword      = "28P01"
	badAuthorization = "28000"
	noDatabase       = "3D000"
	noSchema         = "3F000"
	noPrivilege      = "42501"
)

// classify turns the errors of the driver that callers act on into those of
// package store, and takes out what would tell of the connection URI.
func classify(err error) error {
	if failed, ok := errors.AsType[*pgconn.ConnectError](err); ok {
		return explainConnect(failed)
	}
	if code(err) == diskFull {
		return fmt.Errorf("%w: %w", store.ErrFull, err)
	}
	return err
}

// explainConnect says why there is no connection, without the user, the database
// and the list of hosts that the driver's text begins with.
func explainConnect(err error) error {
	if errors.Is(err, store.ErrNewerSchema) {
		return err
	}
	reason := "it does not answer as a PostgreSQL server that takes writes"
	var (
		server      *pgconn.PgError
		name        *net.DNSError
		certificate *tls.CertificateVerificationError
		network     *net.OpError
	)
	switch {
	case errors.Is(err, context.Canceled):
		return fmt.Errorf("connecting to PostgreSQL: %w", context.Canceled)
	case errors.Is(err, context.DeadlineExceeded):
		return fmt.Errorf("connecting to PostgreSQL: %w", context.DeadlineExceeded)
	case errors.As(err, &server):
		switch server.Code {
		case badPassword, badAuthorization:
			reason = "the server refuses the user or the password"
		case diskFull:
			return fmt.Errorf("connecting to PostgreSQL: %w", store.ErrFull)
		default:
			reason = fmt.Sprintf("the server refuses the connection (SQLSTATE %s)", server.Code)
		}
	case errors.As(err, &certificate):
		reason = "the server's certificate is not accepted"
	case errors.As(err, &name):
		reason = "the server's name cannot be resolved"
	case errors.As(err, &network):
		reason = network.Err.Error()
	}
	return &unreachableError{reason, remedyOf(err)}
}

// unreachableError says why there is no connection, and what somebody must do about it, if waiting does not help.
type unreachableError struct{ reason, remedy string }

func (e *unreachableError) Error() string { return "connecting to PostgreSQL: " + e.reason }

// Passes tells whether Open failed for a reason that may pass while its caller waits, or that people mend at the
// database: it cannot be reached, is not ready, or refuses the connection or a statement. What only another
// configuration, database or release mends is none.
func Passes(err error) bool {
	if err == nil || errors.Is(err, store.ErrNewerSchema) || errors.Is(err, context.Canceled) {
		return false
	}
	_, unreachable := errors.AsType[*unreachableError](err)
	_, said := errors.AsType[*pgconn.PgError](err)
	return unreachable || said || errors.Is(err, store.ErrFull) || errors.Is(err, context.DeadlineExceeded) || away(err)
}

// Remedy is what somebody must do before Open can succeed, where Passes says that it may, but waiting alone does not
// help: the server refuses what the relay is or asks for. "" where it may pass by itself.
func Remedy(err error) string {
	if e, ok := errors.AsType[*unreachableError](err); ok {
		return e.remedy
	}
	return remedyOf(err)
}

// remedyOf is Remedy for what the driver says. Classes of SQLSTATE are those of PostgreSQL's manual, "Error Codes".
func remedyOf(err error) string {
	if _, ok := errors.AsType[*tls.CertificateVerificationError](err); ok {
		return "give the server a certificate for the name in the connection URI, or the URI the CA that it comes from (sslrootcert)"
	}
	c := code(err)
	switch {
	case strings.HasPrefix(c, "28"):
		return "give the connection URI a user and a password that the server takes, or let the user in (pg_hba.conf)"
	case c == noDatabase:
		return "make the database that the connection URI names"
	case c == noSchema:
		return "make the schema that the connection URI names (search_path)"
	case c == noPrivilege:
		return "make the user of the connection URI the owner of the database, or of the schema and what is in it: it makes and changes tables"
	case strings.HasPrefix(c, "42"), strings.HasPrefix(c, "0A"), strings.HasPrefix(c, "22"), strings.HasPrefix(c, "23"):
		return "the server refuses a statement of this release: look at what else has changed the schema, or restore a backup; ask the authors"
	}
	return ""
}

func code(err error) string {
	if e, ok := errors.AsType[*pgconn.PgError](err); ok {
		return e.Code
	}
	return ""
}

// away tells whether a transaction could not begin because the server is not
// there, or not ready: what a restart or a failover looks like.
func away(err error) bool {
	switch code(err) {
	case tooMany, shutdown, crashed, startingUp:
		return true
	case "":
	default:
		return false
	}
	if errors.Is(err, context.Canceled) || errors.Is(err, context.DeadlineExceeded) || errors.Is(err, errURL) {
		return false
	}
	_, network := errors.AsType[net.Error](err)
	_, connect := errors.AsType[*pgconn.ConnectError](err)
	return network || connect || errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) || pgconn.SafeToRetry(err)
}
