// SPDX-FileCopyrightText: The certlink authors
// SPDX-License-Identifier: Apache-2.0

package config

// Remote is an HTTP(S) server of ours, or of a partner without certlink, that the
// relay calls. Secrets are files, read again when they change.
type Remote struct {
	// URL with scheme https or http; http only where the network is trusted. No
	// user information, at most 2048 bytes.
	URL string `json:"url"`
	// CAFile holds the CA certificates in PEM that the server's certificate must chain
	// to. Empty means those of the system.
	CAFile string `json:"caFile,omitempty"`
	// CertFile and KeyFile hold our client certificate; empty means none.
	CertFile string `json:"certFile,omitempty"`
	KeyFile  string `json:"keyFile,omitempty"`
	// UsernameFile and PasswordFile hold the credentials of HTTP Basic (RFC 7617).
	UsernameFile string `json:"usernameFile,omitempty"`
	PasswordFile string `json:"passwordFile,omitempty"`
	// TokenFile holds a bearer token (RFC 6750), instead of Basic. HeaderFile holds
	// instead the whole value of the Authorization header, as MISP wants its key.
	TokenFile  string `json:"tokenFile,omitempty"`
	HeaderFile string `json:"headerFile,omitempty"`
}
