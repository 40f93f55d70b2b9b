// SPDX-FileCopyrightText: The certlink authors
// SPDX-License-Identifier: Apache-2.0

package notify

import (
	"crypto/tls"
	"encoding/pem"
	"errors"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/emersion/go-sasl"
	"github.com/emersion/go-smtp"
	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

var noon = time.Date(2026, 1, 2, 12, 0, 0, 0, time.UTC)

// silent is a notification about a message of ours that nobody reads.
func silent(mods ...func(*Notification)) Notification {
	n := Notification{
		ID: "n-1", Event: Escalated, At: noon, From: "alfa.example", Hotline: "to-bravo", Peer: "bravo", PeerDomain: "bravo.example",
		Items: []Item{{
			ID: "n-1", At: noon, Stage: "Acknowledgement", Step: "wake", Occurrence: 1, Deadline: noon.Add(-time.Minute), Direction: "out",
			Message: "01J0000000000000000000000A", Serial: 7, Conversation: "01J0000000000000000000000A", Kind: "INQUIRY", Precedence: "FLASH", TLP: "RED",
			StoredAt: noon.Add(-time.Hour),
		}},
	}
	for _, mod := range mods {
		mod(&n)
	}
	return n
}

// directory is a mounted Secret.
func directory(t *testing.T, files map[string]string) string {
	t.Helper()
	dir := t.TempDir()
	for name, content := range files {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

// certificate for 127.0.0.1, with the CA that it chains to.
func certificate(t *testing.T) (tls.Certificate, string) {
	t.Helper()
	s := httptest.NewTLSServer(http.NotFoundHandler())
	defer s.Close()
	return s.TLS.Certificates[0], string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: s.Certificate().Raw}))
}

// post is a mail server. It takes mail after a login, if there is a user.
type postOffice struct {
	address, ca    string
	user, password string
	refuse         string // a receiver whom it does not know
	rejects        int    // its answer to a mail that it has read, 0 to take it

	mu     sync.Mutex // guards what follows
	mails  []string
	to     [][]string
	secure []bool
}

type mode int

const (
	implicit mode = iota
	starttls
	plain
)

func newPostOffice(t *testing.T, how mode, mods ...func(*postOffice)) *postOffice {
	t.Helper()
	p := &postOffice{}
	for _, mod := range mods {
		mod(p)
	}
	cert, ca := certificate(t)
	p.ca = ca
	s := smtp.NewServer(smtp.BackendFunc(func(c *smtp.Conn) (smtp.Session, error) { return &session{office: p, conn: c}, nil }))
	s.Domain, s.ReadTimeout, s.WriteTimeout, s.ErrorLog = "127.0.0.1", 10*time.Second, 10*time.Second, discard{}
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	conf := &tls.Config{Certificates: []tls.Certificate{cert}, MinVersion: tls.VersionTLS12}
	switch how {
	case implicit:
		listener = tls.NewListener(listener, conf)
	case starttls:
		s.TLSConfig = conf
	case plain:
	}
	p.address = listener.Addr().String()
	done := make(chan error, 1)
	go func() { done <- s.Serve(listener) }()
	t.Cleanup(func() {
		_ = s.Close()
		<-done
	})
	return p
}

type discard struct{}

func (discard) Printf(string, ...any) {}
func (discard) Println(...any)        {}

type session struct {
	office *postOffice
	conn   *smtp.Conn
	known  bool
	to     []string
}

func (s *session) AuthMechanisms() []string {
	if s.office.user == "" {
		return nil
	}
	return []string{sasl.Plain}
}

func (s *session) Auth(string) (sasl.Server, error) {
	return sasl.NewPlainServer(func(_, user, password string) error {
		if s.known = user == s.office.user && password == s.office.password; !s.known {
			return &smtp.SMTPError{Code: 535, EnhancedCode: smtp.EnhancedCode{5, 7, 8}, Message: "no"}
		}
		return nil
	}), nil
}

func (s *session) Mail(string, *smtp.MailOptions) error {
	if s.office.user != "" && !s.known {
		return &smtp.SMTPError{Code: 530, EnhancedCode: smtp.EnhancedCode{5, 7, 0}, Message: "log in first"}
	}
	return nil
}

func (s *session) Rcpt(to string, _ *smtp.RcptOptions) error {
	if to == s.office.refuse {
		return &smtp.SMTPError{Code: 550, EnhancedCode: smtp.EnhancedCode{5, 1, 1}, Message: "nobody here"}
	}
	s.to = append(s.to, to)
	return nil
}

func (s *session) Data(r io.Reader) error {
	text, err := io.ReadAll(r)
	if err != nil {
		return err
	}
	if code := s.office.rejects; code != 0 {
		return &smtp.SMTPError{Code: code, EnhancedCode: smtp.EnhancedCode{code / 100, 7, 1}, Message: "not this one"}
	}
	_, secure := s.conn.TLSConnectionState()
	if _, ok := s.conn.Conn().(*tls.Conn); ok {
		secure = true
	}
	s.office.mu.Lock()
	defer s.office.mu.Unlock()
	s.office.mails = append(s.office.mails, string(text))
	s.office.to = append(s.office.to, s.to)
	s.office.secure = append(s.office.secure, secure)
	return nil
}

func (s *session) Reset()        { s.to = nil }
func (s *session) Logout() error { return nil }

var errNone = errors.New("there is no mail")

func (p *postOffice) one() (text string, to []string, secure bool, err error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if len(p.mails) != 1 {
		return "", nil, false, errNone
	}
	return p.mails[0], p.to[0], p.secure[0], nil
}
