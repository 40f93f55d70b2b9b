// SPDX-FileCopyrightText: The certlink authors
// SPDX-License-Identifier: Apache-2.0

package desk

import (
	"crypto/tls"
	"errors"
	"fmt"
	"strings"

	"github.com/spiffe/go-spiffe/v2/spiffeid"

	"github.com/certlink/certlink/relay/access"
	"github.com/certlink/certlink/relay/config"
)

// ForbiddenError says why this client may not do what it asks. The server answers 403.
type ForbiddenError struct{ Reason string }

// Error is the reason.
func (e *ForbiddenError) Error() string { return e.Reason }

// roleOf reads the path of a SPIFFE ID of ours: a role, and below /desk/ an officer.
func roleOf(path string) (role access.Role, officer string, ok bool) {
	first, officer, below := strings.Cut(strings.TrimPrefix(path, "/"), "/")
	switch role := access.Role(first); role {
	case access.RoleDesk:
		return role, officer, !below || officer != "" && !strings.Contains(officer, "/")
	case access.RoleOperator, access.RoleTool:
		return role, "", !below
	default:
		return "", "", false
	}
}

// OfficerOf is the name in the SPIFFE ID of an officer, spiffe://TRUSTDOMAIN/desk/NAME;
// empty for every other client.
func OfficerOf(id string) string {
	parsed, err := spiffeid.FromString(id)
	if err != nil {
		return ""
	}
	if _, officer, ok := roleOf(parsed.Path()); ok {
		return officer
	}
	return ""
}

// allowed closes the door, in the handshake and for each request, to certificates of ours
// that are for something else, and to officers that the configuration does not list.
func (s *Server) allowed(id spiffeid.ID) error {
	role, officer, ok := roleOf(id.Path())
	if !ok {
		return fmt.Errorf("the certificate is for %s, which has no role on the local port", id)
	}
	d := s.desk.Load()
	if d == nil {
		d = &config.Desk{}
	}
	switch _, known := d.Officer(officer); {
	case officer != "" && !known:
		return fmt.Errorf("the certificate is for %s, and no officer of this name is configured", id)
	case officer == "" && role == access.RoleDesk && d.SharedCertificate == config.Denied:
		return errors.New("the shared certificate of the desk may not be used: use that of an officer")
	}
	return nil
}

// clientName names a client by its role, and an officer by name, for the bound on
// connections.
func clientName(state tls.ConnectionState) (string, error) {
	if len(state.PeerCertificates) == 0 || len(state.PeerCertificates[0].URIs) != 1 {
		return "", errors.New("the connection has no identity")
	}
	path := state.PeerCertificates[0].URIs[0].Path
	if _, _, ok := roleOf(path); !ok {
		return "", errors.New("the connection has no role")
	}
	return strings.TrimPrefix(path, "/"), nil
}
