// SPDX-FileCopyrightText: The certlink authors
// SPDX-License-Identifier: Apache-2.0

package remote

import (
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/certlink/certlink/relay/config"
)

// maxFileBytes is the largest file with credentials, certificates or CAs.
const maxFileBytes = 256 << 10

// Files are the files of a configuration, for those who watch them. They need not exist.
func Files(cfg config.Remote) []string {
	cfg = expand(cfg)
	var list []string
	for _, path := range named(&cfg) {
		if *path != "" {
			list = append(list, *path)
		}
	}
	return list
}

// expand writes the files of Directory into the fields.
func expand(cfg config.Remote) config.Remote {
	if cfg.Directory != "" {
		for i, path := range named(&cfg) {
			*path = filepath.Join(cfg.Directory, config.RemoteKeys()[i])
		}
	}
	return cfg
}

// named are the fields, in the order of config.RemoteKeys.
func named(cfg *config.Remote) []*string {
	return []*string{&cfg.CAFile, &cfg.CertFile, &cfg.KeyFile, &cfg.UsernameFile, &cfg.PasswordFile, &cfg.TokenFile, &cfg.HeaderFile}
}

// secrets are the contents of the files.
type secrets struct {
	ca, cert, key, username, password, token, header []byte
}

func (s *secrets) fields() []*[]byte {
	return []*[]byte{&s.ca, &s.cert, &s.key, &s.username, &s.password, &s.token, &s.header}
}

var errMissing = errors.New("is missing")

// readSecrets reads all files; those of a directory as far as they are there. An
// error names the file, never its content.
func readSecrets(cfg config.Remote) (*secrets, error) {
	optional := cfg.Directory != ""
	cfg = expand(cfg)
	s := &secrets{}
	fields, found := s.fields(), 0
	for i, path := range named(&cfg) {
		if *path == "" {
			continue
		}
		text, err := readFile(*path)
		if optional && errors.Is(err, errMissing) {
			continue
		}
		if err != nil {
			return nil, fmt.Errorf("%w: %w", ErrCredentials, err)
		}
		*fields[i] = text
		found++
	}
	if optional && found == 0 {
		return nil, fmt.Errorf("%w: %s holds none of %s", ErrCredentials, filepath.Base(cfg.Directory), strings.Join(config.RemoteKeys(), ", "))
	}
	return s, s.complete()
}

// complete tells whether what is there makes sense together.
func (s *secrets) complete() error {
	ways := 0
	for _, way := range [][]byte{s.username, s.token, s.header} {
		if way != nil {
			ways++
		}
	}
	switch {
	case (s.username == nil) != (s.password == nil):
		return fmt.Errorf("%w: username and password go together", ErrCredentials)
	case (s.cert == nil) != (s.key == nil):
		return fmt.Errorf("%w: certificate and key go together", ErrCredentials)
	case ways > 1:
		return fmt.Errorf("%w: only one of username, token and authorization can be used", ErrCredentials)
	}
	return nil
}

func readFile(path string) ([]byte, error) {
	f, err := os.Open(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("%s %w", shortPath(path), errMissing)
	}
	if err != nil {
		return nil, fmt.Errorf("%s cannot be read", shortPath(path))
	}
	defer f.Close()
	text, err := io.ReadAll(io.LimitReader(f, maxFileBytes+1))
	switch {
	case err != nil:
		return nil, fmt.Errorf("%s cannot be read", shortPath(path))
	case len(text) > maxFileBytes:
		return nil, fmt.Errorf("%s has more than %d bytes", shortPath(path), maxFileBytes)
	case len(text) == 0:
		return nil, fmt.Errorf("%s is empty", shortPath(path))
	}
	return text, nil
}

// shortPath is directory and name: as mounted, the Secret and its key.
func shortPath(path string) string {
	return filepath.Join(filepath.Base(filepath.Dir(path)), filepath.Base(path))
}

// sum tells two states of the files apart.
func (s *secrets) sum() [sha256.Size]byte {
	h := sha256.New()
	for _, f := range s.fields() {
		fmt.Fprintf(h, "%d:", len(*f))
		h.Write(*f)
	}
	return [sha256.Size]byte(h.Sum(nil))
}

// authorization is the value of the header, empty for none.
func (s *secrets) authorization(cfg config.Remote) (string, error) {
	line := func(text []byte) string { return strings.TrimRight(string(text), "\r\n") }
	value, file := "", ""
	switch {
	case s.header != nil:
		value, file = strings.TrimSpace(line(s.header)), cfg.HeaderFile
	case s.token != nil:
		value, file = "Bearer "+strings.TrimSpace(line(s.token)), cfg.TokenFile
	case s.username != nil || s.password != nil:
		user := line(s.username)
		if strings.Contains(user, ":") {
			return "", fmt.Errorf("%w: %s holds a colon (RFC 7617)", ErrCredentials, shortPath(cfg.UsernameFile))
		}
		return "Basic " + base64.StdEncoding.EncodeToString([]byte(user+":"+line(s.password))), nil
	}
	if strings.ContainsFunc(value, func(c rune) bool { return c < ' ' || c == 0x7f }) {
		return "", fmt.Errorf("%w: %s holds more than one line", ErrCredentials, shortPath(file))
	}
	return value, nil
}

// tls is the configuration of TLS that the files make.
func (s *secrets) tls(cfg config.Remote) (*tls.Config, error) {
	c := &tls.Config{MinVersion: tls.VersionTLS12}
	if s.ca != nil {
		c.RootCAs = x509.NewCertPool()
		if !c.RootCAs.AppendCertsFromPEM(s.ca) {
			return nil, fmt.Errorf("%w: %s holds no certificate in PEM", ErrCredentials, shortPath(cfg.CAFile))
		}
	}
	if s.cert != nil || s.key != nil {
		pair, err := tls.X509KeyPair(s.cert, s.key)
		if err != nil { // what crypto/tls says of a key is not repeated
			return nil, fmt.Errorf("%w: %s and %s are no certificate with its key", ErrCredentials, shortPath(cfg.CertFile), shortPath(cfg.KeyFile))
		}
		c.Certificates = []tls.Certificate{pair}
	}
	return c, nil
}
