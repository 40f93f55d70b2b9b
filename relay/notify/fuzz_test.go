// SPDX-FileCopyrightText: The certlink authors
// SPDX-License-Identifier: Apache-2.0

package notify

import (
	"bytes"
	"net/mail"
	"strings"
	"testing"
	"unicode"

	"github.com/certlink/certlink/relay/config"
)

// FuzzWhatAPeerWrote: whatever stands in the fields of a peer's message, a mail has our headers
// and no other, an alert has labels that Alertmanager takes, and a summary is one line.
func FuzzWhatAPeerWrote(f *testing.F) {
	f.Add("INQUIRY", "FLASH", "RED", "", "a subject", "a text")
	f.Add("X\r\nBcc: a@b", "FLASH\nTo: x@y", "\x00", "E\r\n\r\nbody", "=?utf-8?q?x?=\r\nX: y", ".\r\nQUIT\r\n")
	f.Fuzz(func(t *testing.T, kind, precedence, tlp, exercise, subject, text string) {
		n := silent(func(n *Notification) {
			i := &n.Items[0]
			i.Kind, i.Precedence, i.TLP, i.Exercise, i.Subject, i.Text = kind, precedence, tlp, exercise, subject, text
		})
		if strings.ContainsFunc(summary(n), unicode.IsControl) {
			t.Errorf("the summary is %q", summary(n))
		}
		m := &mailer{conf: config.SMTP{From: "certlink@alfa.example", To: []string{"duty@alfa.example"}}}
		msg, err := m.message(n, m.conf.To)
		if err != nil {
			t.Fatal(err)
		}
		var raw bytes.Buffer
		if _, err := msg.WriteTo(&raw); err != nil {
			t.Fatal(err)
		}
		read, err := mail.ReadMessage(&raw)
		if err != nil {
			t.Fatal(err)
		}
		for name, values := range read.Header {
			if !ours[name] || len(values) != 1 {
				t.Errorf("the header %s is %q", name, values)
			}
		}
		a := &alertmanager{}
		for _, alert := range a.alerts(n) {
			if (exercise == "") != (alert.Labels["alertname"] == AlertSilence) || alert.Labels["severity"] == "critical" && exercise != "" {
				t.Errorf("the labels are %v", alert.Labels)
			}
		}
	})
}

// ours are the headers that a mail of ours may have.
var ours = map[string]bool{
	"From": true, "To": true, "Subject": true, "Date": true, "Message-Id": true, "Mime-Version": true, "Content-Type": true,
	"Content-Transfer-Encoding": true, "User-Agent": true, "X-Mailer": true, "Importance": true, "Priority": true, "X-Priority": true,
	"X-Msmail-Priority": true, "Auto-Submitted": true, "Certlink-Event": true, "Certlink-Hotline": true,
}
