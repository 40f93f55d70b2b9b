// SPDX-FileCopyrightText: The certlink authors
// SPDX-License-Identifier: Apache-2.0

package config

import (
	"net/url"
	"strings"
	"unicode"
)

// maxURLBytes is the longest URL.
const maxURLBytes = 2048

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
	// Directory holds these files under the names that RemoteKeys lists, as a mounted
	// Secret does: each may be missing, not all of them. Instead of the fields above.
	Directory string `json:"directory,omitempty"`
}

// RemoteKeys are the names of the files in Remote.Directory, in the order of the
// fields of Remote: CA certificates, client certificate, its key, user name, password,
// bearer token, value of the Authorization header.
func RemoteKeys() []string {
	return []string{"ca.crt", "tls.crt", "tls.key", "username", "password", "token", "authorization"}
}

func (r Remote) validate(f faults) {
	checkURL(f.in("url"), r.URL)
	for _, file := range []struct{ name, path string }{
		{"caFile", r.CAFile},
		{"certFile", r.CertFile},
		{"keyFile", r.KeyFile},
		{"usernameFile", r.UsernameFile},
		{"passwordFile", r.PasswordFile},
		{"tokenFile", r.TokenFile},
		{"headerFile", r.HeaderFile},
	} {
		if file.path == "" {
			continue
		}
		checkFile(f.in(file.name), file.path)
		if r.Directory != "" {
			f.in(file.name).add("cannot stand beside directory")
		}
	}
	if r.Directory != "" {
		checkFile(f.in("directory"), r.Directory)
	}
	if (r.CertFile == "") != (r.KeyFile == "") {
		f.add("certFile and keyFile go together")
	}
	if (r.UsernameFile == "") != (r.PasswordFile == "") {
		f.add("usernameFile and passwordFile go together")
	}
	ways := 0
	for _, way := range []string{r.UsernameFile, r.TokenFile, r.HeaderFile} {
		if way != "" {
			ways++
		}
	}
	if ways > 1 {
		f.add("only one of usernameFile, tokenFile and headerFile can be used")
	}
}

// checkURL accepts an absolute URL of http or https. It does not quote it: a person
// may have put a password into it.
func checkURL(f faults, text string) {
	u, err := url.Parse(text)
	switch {
	case len(text) > maxURLBytes:
		f.add("has %d bytes, more than %d", len(text), maxURLBytes)
	case err != nil || u.Scheme != "https" && u.Scheme != "http" || u.Hostname() == "":
		f.add("must begin with https:// or http:// and name a host")
	case u.User != nil:
		f.add("must hold no credentials: they belong into files")
	case strings.ContainsFunc(text, func(c rune) bool { return unicode.IsControl(c) || unicode.IsSpace(c) }):
		f.add("must not hold spaces or control characters")
	}
}
