// SPDX-FileCopyrightText: The certlink authors
// SPDX-License-Identifier: Apache-2.0

package notify

import (
	"io"
	"net"
	"net/mail"
	"slices"
	"strings"
	"testing"

	"github.com/certlink/certlink/relay/config"
)

func mailTo(t *testing.T, p *postOffice, how config.MailTLS, files map[string]string) config.Notifier {
	t.Helper()
	s := &config.SMTP{Server: p.address, TLS: how, From: "certlink@alfa.example", To: []string{"duty@alfa.example", "chief@alfa.example"}}
	if files != nil {
		s.Directory = directory(t, files)
	}
	return config.Notifier{Name: "mail", SMTP: s}
}

func mustNotifier(t *testing.T, c config.Notifier) Notifier {
	t.Helper()
	n, err := New(c, nil, nil)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(n.Close)
	return n
}

func login(p *postOffice) { p.user, p.password = "certlink", "s3cret" }

func TestAMailArrives(t *testing.T) {
	for name, tt := range map[string]struct {
		server mode
		client config.MailTLS
		secure bool
	}{
		"over_TLS": {implicit, config.MailTLSRequired, true}, "after_STARTTLS": {starttls, config.MailStartTLS, true}, "without_TLS_on_this_host": {plain, config.MailPlainLoopback, false},
	} {
		t.Run(name, func(t *testing.T) {
			var p *postOffice
			var files map[string]string
			if tt.secure {
				p = newPostOffice(t, tt.server, login)
				files = map[string]string{"ca.crt": p.ca, "username": "certlink\n", "password": "s3cret\n"}
			} else {
				p = newPostOffice(t, tt.server)
			}
			if err := mustNotifier(t, mailTo(t, p, tt.client, files)).Notify(t.Context(), silent()); err != nil {
				t.Fatalf("%v (%s)", err, Explain(err))
			}
			text, to, secure, err := p.one()
			if err != nil || secure != tt.secure || !slices.Equal(to, []string{"duty@alfa.example", "chief@alfa.example"}) {
				t.Fatalf("to %v, secure %v: %v", to, secure, err)
			}
			wantMail(t, text)
		})
	}
}

func wantMail(t *testing.T, text string) {
	t.Helper()
	msg, err := mail.ReadMessage(strings.NewReader(text))
	if err != nil {
		t.Fatal(err)
	}
	for name, want := range map[string]string{
		"Message-Id": "<n-1@alfa.example>", "Auto-Submitted": "auto-generated", "Certlink-Event": "Escalated", "Importance": "high",
		"Subject": "[certlink] FLASH INQUIRY to bravo is not acknowledged (01J0000000000000000000000A), step wake",
	} {
		if got := strings.Join(strings.Fields(msg.Header.Get(name)), " "); got != want {
			t.Errorf("%s is %q, not %q", name, got, want)
		}
	}
	content, err := io.ReadAll(msg.Body)
	if err != nil || !strings.Contains(string(content), "TLP: RED") || strings.Contains(string(content), "Subject:") {
		t.Errorf("the mail says %s (%v)", content, err)
	}
}

func TestAMailThatFailsSaysWhichLayer(t *testing.T) {
	starting, loggedIn, open := newPostOffice(t, starttls, login), newPostOffice(t, implicit, login), newPostOffice(t, plain)
	closed, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	nobody := &postOffice{address: closed.Addr().String()}
	_ = closed.Close()
	_, otherCA := certificate(t)
	for name, tt := range map[string]struct {
		to    *postOffice
		how   config.MailTLS
		files map[string]string
		layer Layer
		says  string
	}{
		"wrong_password":   {loggedIn, config.MailTLSRequired, map[string]string{"ca.crt": loggedIn.ca, "username": "certlink", "password": "wrong"}, LayerLogin, "(535)"},
		"no_login":         {loggedIn, config.MailTLSRequired, map[string]string{"ca.crt": loggedIn.ca}, LayerLogin, "(530)"},
		"unknown_CA":       {loggedIn, config.MailTLSRequired, nil, LayerTLS, "ca.crt"},
		"no_STARTTLS":      {open, config.MailStartTLS, nil, LayerTLS, "smtp.tls"},
		"TLS_to_STARTTLS":  {starting, config.MailTLSRequired, map[string]string{"ca.crt": otherCA}, LayerTLS, "smtp.tls"},
		"nobody_there":     {nobody, config.MailTLSRequired, nil, LayerNetwork, "no connection"},
		"half_a_Secret":    {loggedIn, config.MailTLSRequired, map[string]string{"username": "certlink"}, LayerSecret, "go together"},
		"an_empty_Secret":  {loggedIn, config.MailTLSRequired, map[string]string{}, LayerSecret, "holds none of"},
		"password_in_open": {open, config.MailPlainLoopback, map[string]string{"username": "certlink", "password": "s3cret"}, LayerTLS, "without credentials"},
	} {
		t.Run(name, func(t *testing.T) {
			err := mustNotifier(t, mailTo(t, tt.to, tt.how, tt.files)).Notify(t.Context(), silent())
			if err == nil {
				t.Fatal("it was sent")
			}
			if layer := LayerOf(err); layer != tt.layer || !strings.Contains(Explain(err), tt.says) {
				t.Errorf("layer %s, %q: %v", layer, Explain(err), err)
			}
			if strings.Contains(err.Error()+Explain(err), "s3cret") {
				t.Errorf("the password is told: %v", err)
			}
		})
	}
	if _, _, _, err := open.one(); err == nil {
		t.Error("a mail was sent in the open")
	}
}

func TestARefusedReceiverSilencesNobodyElse(t *testing.T) {
	p := newPostOffice(t, plain, func(p *postOffice) { p.refuse = "duty@alfa.example" })
	c := mailTo(t, p, config.MailPlainLoopback, nil)
	if err := mustNotifier(t, c).Notify(t.Context(), silent()); err != nil {
		t.Fatal(err)
	}
	if _, to, _, err := p.one(); err != nil || !slices.Equal(to, []string{"chief@alfa.example"}) {
		t.Errorf("to %v: %v", to, err)
	}
	c.SMTP.To = []string{"duty@alfa.example"}
	err := mustNotifier(t, c).Notify(t.Context(), silent())
	if err == nil || LayerOf(err) != LayerServer || !strings.Contains(Explain(err), "(550)") {
		t.Errorf("when all are refused: %q, %v", Explain(err), err)
	}
}

func TestWhatAPeerWroteCannotMakeAHeader(t *testing.T) {
	p := newPostOffice(t, plain)
	evil := "x\r\nBcc: everybody@evil.example\r\n\r\n.\r\nMAIL FROM:<a@b>\r\n"
	n := silent(func(n *Notification) {
		i := &n.Items[0]
		i.Kind, i.Precedence, i.TLP, i.Exercise, i.Conversation, i.Subject, i.Text = evil, evil, evil, evil, evil, evil, evil+"\x1b[2J"
	})
	if err := mustNotifier(t, mailTo(t, p, config.MailPlainLoopback, nil)).Notify(t.Context(), n); err != nil {
		t.Fatal(err)
	}
	text, to, _, err := p.one()
	if err != nil || len(to) != 2 {
		t.Fatalf("to %v: %v", to, err)
	}
	msg, err := mail.ReadMessage(strings.NewReader(text))
	if err != nil || msg.Header.Get("Bcc") != "" || strings.Contains(text, "\x1b") {
		t.Errorf("%v: %s", err, text)
	}
}
