// SPDX-FileCopyrightText: The certlink authors
// SPDX-License-Identifier: Apache-2.0

package config

import (
	"strings"
	"testing"
)

// ladder is a hotline whose escalation is good; mods break it.
func ladder(mods ...func(*Hotline)) Hotline {
	h := Hotline{
		Notifiers: []Notifier{
			{Name: "pager", Webhook: &NotifyWebhook{Remote: Remote{URL: "https://pager.alfa.example/"}}},
			{Name: "alerts", Alertmanager: &Alertmanager{Servers: []Remote{{URL: "https://am.alfa.example"}}, Labels: []Label{{Name: "team", Value: "duty"}}}},
			{Name: "mail", SMTP: &SMTP{Server: "mail.alfa.example:465", From: "certlink@alfa.example", To: []string{"duty@alfa.example"}}},
		},
		Escalation: []Step{{Name: "first", Stage: StageReceipt, Notify: []string{"pager", "mail"}, RepeatSeconds: 60}},
		Delivery:   []Notice{{Precedences: []string{"FLASH"}, Notify: []string{"alerts"}}},
	}
	for _, mod := range mods {
		mod(&h)
	}
	h.setEscalationDefaults()
	return h
}

func TestAnEscalationThatCannotBeMeantIsRefused(t *testing.T) {
	mail := func(f func(s *SMTP)) func(*Hotline) { return func(h *Hotline) { f(h.Notifiers[2].SMTP) } }
	step := func(f func(s *Step)) func(*Hotline) { return func(h *Hotline) { f(&h.Escalation[0]) } }
	for name, tt := range map[string]struct {
		change func(*Hotline)
		want   string
	}{
		"a good one":                       {func(*Hotline) {}, ""},
		"mail without TLS to this host":    {mail(func(s *SMTP) { s.TLS, s.Server = MailPlainLoopback, "127.0.0.1:25" }), ""},
		"mail without TLS to elsewhere":    {mail(func(s *SMTP) { s.TLS = MailPlainLoopback }), "notifiers[2].smtp.tls: may be PlainLoopback only"},
		"a host that begins as a loopback": {mail(func(s *SMTP) { s.TLS, s.Server = MailPlainLoopback, "127.evil.example:25" }), "may be PlainLoopback only"},
		"a password without TLS": {mail(func(s *SMTP) {
			s.TLS, s.Server, s.UsernameFile, s.PasswordFile = MailPlainLoopback, "[::1]:25", "/u", "/p"
		}), "without TLS"},
		"an unknown way of TLS":               {mail(func(s *SMTP) { s.TLS = "Opportunistic" }), "must be one of Required"},
		"a server without a port":             {mail(func(s *SMTP) { s.Server = "mail.alfa.example" }), "HOST:PORT"},
		"a receiver with a second header":     {mail(func(s *SMTP) { s.To = []string{"a@b.example\r\nBcc: c@d.example"} }), "bare e-mail address"},
		"a sender with a display name":        {mail(func(s *SMTP) { s.From = "Duty <duty@alfa.example>" }), "bare e-mail address"},
		"nobody to write to":                  {mail(func(s *SMTP) { s.To = nil }), "at least one receiver"},
		"a notifier of two kinds":             {func(h *Hotline) { h.Notifiers[0].SMTP = h.Notifiers[2].SMTP }, "exactly one of webhook"},
		"a notifier of no kind":               {func(h *Hotline) { h.Notifiers[0].Webhook = nil }, "exactly one of webhook"},
		"two notifiers of one name":           {func(h *Hotline) { h.Notifiers[0].Name = "mail" }, "is taken"},
		"a label that is ours":                {func(h *Hotline) { h.Notifiers[1].Alertmanager.Labels[0].Name = "certlink_stage" }, "not yours"},
		"a label that Prometheus cannot take": {func(h *Hotline) { h.Notifiers[1].Alertmanager.Labels[0].Name = "a-b" }, "must hold letters"},
		"no Alertmanager":                     {func(h *Hotline) { h.Notifiers[1].Alertmanager.Servers = nil }, "at least one server"},
		"an unknown amount":                   {func(h *Hotline) { h.Notifiers[0].Include = "All" }, "must be one of Header"},
		"a step that names nobody":            {step(func(s *Step) { s.Notify = nil }), "at least one notifier"},
		"a step that names a stranger":        {step(func(s *Step) { s.Notify = []string{"pagr"} }), `no notifier of this hotline is named "pagr"`},
		"a step of no stage":                  {step(func(s *Step) { s.Stage = "Silence" }), "must be one of Receipt"},
		"a step that repeats each second":     {step(func(s *Step) { s.RepeatSeconds = 1 }), "60 to 604800"},
		"a step that repeats without end":     {step(func(s *Step) { s.MaxRepeats = 101 }), "1 to 100"},
		"a bound on nothing":                  {step(func(s *Step) { s.RepeatSeconds, s.MaxRepeats = 0, 1 }), "says nothing"},
		"a precedence twice":                  {step(func(s *Step) { s.Precedences = []string{"FLASH", "FLASH"} }), "is taken"},
		"a delivery to a stranger":            {func(h *Hotline) { h.Delivery[0].Notify = []string{"x"} }, "delivery[0].notify[0]"},
	} {
		t.Run(name, func(t *testing.T) {
			f := newFaults()
			ladder(tt.change).validateEscalation(f)
			got := ""
			if err := f.err(); err != nil {
				got = err.Error()
			}
			if !strings.Contains(got, tt.want) || tt.want == "" && got != "" {
				t.Errorf("got %q, want %q", got, tt.want)
			}
		})
	}
}

func TestAPrecedenceThatWeDoNotKnowCountsAsRoutine(t *testing.T) {
	for _, tt := range []struct {
		list []string
		of   string
		want bool
	}{
		{nil, "FLASH", true}, {nil, "CRITIC", true},
		{[]string{"FLASH"}, "FLASH", true}, {[]string{"FLASH"}, "ROUTINE", false},
		{[]string{"ROUTINE"}, "CRITIC", true}, {[]string{"FLASH"}, "CRITIC", false},
	} {
		if got := For(tt.list, tt.of); got != tt.want {
			t.Errorf("%v for %s: %v", tt.list, tt.of, got)
		}
	}
}
