// SPDX-FileCopyrightText: The certlink authors
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"crypto/hmac"
	"crypto/sha256"
	"crypto/tls"
	"encoding/hex"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"time"

	"github.com/emersion/go-sasl"
	"github.com/emersion/go-smtp"
)

// The ports of hear.
const (
	heardAddress = ":8080" // GET gives all that was heard, oldest first
	hookAddress  = ":8443"
	mailAddress  = ":8465"
)

// maxHeard bounds one request or mail, in bytes.
const maxHeard = 4 << 20

// heard is one request of a webhook, or one mail.
type heard struct {
	Via string `json:"via"` // webhook or mail
	// Signed: the signature of a webhook is right, or the sender of a mail has logged in.
	Signed bool     `json:"signed"`
	Key    string   `json:"key,omitempty"`
	To     []string `json:"to,omitempty"`
	Text   string   `json:"text"`
}

// ear keeps what notifiers are told.
type ear struct {
	hmac, password []byte

	mu  sync.Mutex // guards what follows
	all []heard
}

func (e *ear) note(h heard) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.all = append(e.all, h)
}

// hear takes webhooks and mail over TLS. The directory holds tls.crt and tls.key, and
// optionally hmac and the password of the user "duty".
func hear(dir string) error {
	cert, err := tls.LoadX509KeyPair(filepath.Join(dir, "tls.crt"), filepath.Join(dir, "tls.key"))
	if err != nil {
		return err
	}
	e := &ear{}
	for name, into := range map[string]*[]byte{"hmac": &e.hmac, "password": &e.password} {
		if *into, err = os.ReadFile(filepath.Join(dir, name)); err != nil && !errors.Is(err, os.ErrNotExist) {
			return err
		}
	}
	conf := &tls.Config{Certificates: []tls.Certificate{cert}, MinVersion: tls.VersionTLS12}
	ended := make(chan error, 3)
	show := &http.Server{Addr: heardAddress, ReadHeaderTimeout: 5 * time.Second, Handler: http.HandlerFunc(e.show)}
	hook := &http.Server{Addr: hookAddress, ReadHeaderTimeout: 5 * time.Second, TLSConfig: conf, Handler: http.HandlerFunc(e.hook)}
	mail := smtp.NewServer(smtp.BackendFunc(func(*smtp.Conn) (smtp.Session, error) { return &mailSession{ear: e}, nil }))
	mail.Addr, mail.Domain, mail.TLSConfig, mail.MaxMessageBytes = mailAddress, "hear", conf, maxHeard
	go func() { ended <- show.ListenAndServe() }()
	go func() { ended <- hook.ListenAndServeTLS("", "") }()
	go func() { ended <- mail.ListenAndServeTLS() }()
	return <-ended
}

func (e *ear) show(w http.ResponseWriter, _ *http.Request) {
	e.mu.Lock()
	defer e.mu.Unlock()
	_ = json.NewEncoder(w).Encode(e.all)
}

// hook checks the signature as a receiver of a nation would write it after docs/sharedfeed.md.
func (e *ear) hook(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(io.LimitReader(r.Body, maxHeard))
	if err != nil {
		return
	}
	mac := hmac.New(sha256.New, []byte(strings.TrimSpace(string(e.hmac))))
	_, _ = io.WriteString(mac, r.Header.Get("Certlink-Timestamp")+"."+string(body))
	want := "sha256=" + hex.EncodeToString(mac.Sum(nil))
	signed := hmac.Equal([]byte(want), []byte(r.Header.Get("Certlink-Signature")))
	e.note(heard{Via: "webhook", Signed: signed, Key: r.Header.Get("Idempotency-Key"), Text: string(body)})
	if !signed {
		w.WriteHeader(http.StatusUnauthorized)
	}
}

// mailSession takes mail of who has logged in.
type mailSession struct {
	*ear
	known bool
	to    []string
}

func (*mailSession) AuthMechanisms() []string { return []string{sasl.Plain} }

func (s *mailSession) Auth(mechanism string) (sasl.Server, error) {
	if mechanism != sasl.Plain {
		return nil, smtp.ErrAuthUnknownMechanism
	}
	return sasl.NewPlainServer(func(_, user, password string) error {
		if s.known = user == "duty" && password == string(s.password); !s.known {
			return smtp.ErrAuthFailed
		}
		return nil
	}), nil
}

func (s *mailSession) Mail(string, *smtp.MailOptions) error {
	if !s.known {
		return smtp.ErrAuthRequired
	}
	return nil
}

func (s *mailSession) Rcpt(to string, _ *smtp.RcptOptions) error {
	s.to = append(s.to, to)
	return nil
}

func (s *mailSession) Data(r io.Reader) error {
	text, err := io.ReadAll(r)
	if err == nil {
		s.note(heard{Via: "mail", Signed: s.known, To: s.to, Text: string(text)})
	}
	return err
}

func (s *mailSession) Reset()      { s.to = nil }
func (*mailSession) Logout() error { return nil }
