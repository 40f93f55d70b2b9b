// SPDX-FileCopyrightText: The certlink authors
// SPDX-License-Identifier: Apache-2.0

package remote

import (
	"crypto/tls"
	"strings"

	"github.com/certlink/certlink/relay/config"
)

// Credentials are what the files of a configuration say at one moment, for protocols
// other than HTTP.
type Credentials struct {
	// Username and Password; empty for none.
	Username, Password string
	// TLS has the CAs and our certificate, and no server's name.
	TLS *tls.Config
}

// ReadCredentials reads the files of a configuration. Its errors wrap ErrCredentials
// and name files, never their content. Without any file there are no credentials, and
// the CAs of the system count.
func ReadCredentials(cfg config.Remote) (Credentials, error) {
	s, err := readSecrets(cfg)
	if err != nil {
		return Credentials{}, err
	}
	conf, err := s.tls(expand(cfg))
	if err != nil {
		return Credentials{}, err
	}
	line := func(text []byte) string { return strings.TrimRight(string(text), "\r\n") }
	return Credentials{Username: line(s.username), Password: line(s.password), TLS: conf}, nil
}
