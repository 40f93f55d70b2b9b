// SPDX-FileCopyrightText: The certlink authors
// SPDX-License-Identifier: Apache-2.0

package escalate

import (
	"context"
	"encoding/json"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/emersion/go-smtp"

	"github.com/certlink/certlink/relay/config"
	"github.com/certlink/certlink/relay/deliver"
	"github.com/certlink/certlink/relay/hotline"
	"github.com/certlink/certlink/relay/notify"
	"github.com/certlink/certlink/relay/store/sqlite"
)

// office is a mail server that gives on what it gets.
type office chan string

func (o office) NewSession(*smtp.Conn) (smtp.Session, error) { return o, nil }
func (office) Mail(string, *smtp.MailOptions) error          { return nil }
func (office) Rcpt(string, *smtp.RcptOptions) error          { return nil }
func (office) Reset()                                        {}
func (office) Logout() error                                 { return nil }
func (o office) Data(r io.Reader) error {
	text, err := io.ReadAll(r)
	o <- string(text)
	return err
}

// Real receivers, a real store and the real clock: somebody is silent, and both a signed
// webhook and a mail say so, and stand in the journal.
func TestARealWebhookAndARealMailSayThatSomebodyIsSilent(t *testing.T) {
	hooks, mails, acts := make(chan *http.Request, 9), make(office, 9), make(chan hotline.Act, 9)
	server := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		if want := deliver.Sign([]byte("key"), r.Header.Get(deliver.HeaderTimestamp), body); r.Header.Get(deliver.HeaderSignature) != want {
			t.Errorf("the signature is %q, not %q", r.Header.Get(deliver.HeaderSignature), want)
		}
		r.Body = io.NopCloser(strings.NewReader(string(body)))
		hooks <- r
	}))
	defer server.Close()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	post := smtp.NewServer(mails)
	served := make(chan error, 1)
	go func() { served <- post.Serve(listener) }()
	defer func() {
		_ = post.Close()
		<-served
	}()
	key := filepath.Join(t.TempDir(), "hmac")
	if err := os.WriteFile(key, []byte("key\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	db, err := sqlite.Open(t.Context(), sqlite.Config{Path: filepath.Join(t.TempDir(), "relay.db")})
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = db.Close() }()
	w := &world{t: t, store: db, after: func(a hotline.Act) { acts <- a }}
	w.send("01J0000000000000000000000A")
	w.situations[0].Deadline = time.Now().Add(-time.Minute)
	e, err := New(Config{Store: db, Line: w, TrustDomain: func() string { return "alfa.example" }})
	if err != nil {
		t.Fatal(err)
	}
	c := &config.Config{Peers: []config.Peer{{Name: "bravo", TrustDomain: bravo}}, Hotlines: []config.Hotline{{
		Name: "to-bravo", Peer: "bravo",
		Notifiers: []config.Notifier{
			{Name: "pager", Webhook: &config.NotifyWebhook{Remote: config.Remote{URL: server.URL}, SecretFile: key}},
			{Name: "mail", SMTP: &config.SMTP{Server: listener.Addr().String(), TLS: config.MailPlainLoopback, From: "certlink@alfa.example", To: []string{"duty@alfa.example"}}},
		},
		Escalation: []config.Step{{Name: "wake", Stage: config.StageAcknowledgement, Notify: []string{"pager", "mail"}}},
	}}}
	c.SetDefaults()
	e.Apply(c)
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- e.Run(ctx) }()
	defer func() {
		cancel()
		<-done
	}()
	var body notify.Body
	if err := json.NewDecoder((<-hooks).Body).Decode(&body); err != nil || body.Event != notify.Escalated || body.Items[0].Message != "01J0000000000000000000000A" {
		t.Errorf("the webhook says %+v, %v", body, err)
	}
	if text := <-mails; !strings.Contains(text, "is not acknowledged") || strings.Contains(text, "secret") {
		t.Errorf("the mail says %s", text)
	}
	for i, want := range []string{ActEscalated, ActNotified, ActNotified} {
		if a := <-acts; a.Name != want || a.Message != "01J0000000000000000000000A" {
			t.Errorf("act %d is %+v", i, a)
		}
	}
}
