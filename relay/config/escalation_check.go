// SPDX-FileCopyrightText: The certlink authors
// SPDX-License-Identifier: Apache-2.0

package config

import (
	"net/mail"
	"regexp"
	"strings"
)

var labelName = regexp.MustCompile(`^[a-zA-Z_][a-zA-Z0-9_]{0,127}$`)

// validateEscalation checks notifiers, steps and notices of a hotline, and that the
// latter name the former.
func (h Hotline) validateEscalation(f faults) {
	names := newSet("notifier name")
	notifiers := f.in("notifiers")
	checkCount(notifiers, len(h.Notifiers), maxNotifiers)
	for i, n := range h.Notifiers {
		at := notifiers.at(i)
		checkName(at.in("name"), n.Name)
		names.add(at.in("name"), n.Name)
		n.validate(at)
	}
	steps, taken := f.in("escalation"), newSet("step name")
	checkCount(steps, len(h.Escalation), maxSteps)
	for i, s := range h.Escalation {
		at := steps.at(i)
		checkName(at.in("name"), s.Name)
		taken.add(at.in("name"), s.Name)
		s.validate(at, names)
	}
	notices := f.in("delivery")
	checkCount(notices, len(h.Delivery), maxNotices)
	for i, n := range h.Delivery {
		checkPrecedences(notices.at(i).in("precedences"), n.Precedences)
		checkNotify(notices.at(i).in("notify"), n.Notify, names)
	}
}

func (n Notifier) validate(f faults) {
	checkOneOf(f.in("include"), n.Include, IncludeHeader, IncludeFull, IncludeFullWithRed)
	parts := 0
	if w := n.Webhook; w != nil {
		parts++
		w.Remote.validate(f.in("webhook").in("remote"))
		if w.SecretFile != "" {
			checkFile(f.in("webhook").in("secretFile"), w.SecretFile)
		}
	}
	if n.Alertmanager != nil {
		parts++
		n.Alertmanager.validate(f.in("alertmanager"))
	}
	if n.SMTP != nil {
		parts++
		n.SMTP.validate(f.in("smtp"))
	}
	if parts != 1 {
		f.add("must set exactly one of webhook, alertmanager and smtp")
	}
}

func (a Alertmanager) validate(f faults) {
	checkCount(f.in("servers"), len(a.Servers), 8)
	if len(a.Servers) == 0 {
		f.in("servers").add("must name at least one server")
	}
	for i, s := range a.Servers {
		s.validate(f.in("servers").at(i))
	}
	checkCount(f.in("labels"), len(a.Labels), 16)
	names := newSet("label")
	for i, l := range a.Labels {
		at := f.in("labels").at(i)
		names.add(at.in("name"), l.Name)
		checkText(at.in("value"), l.Value, 256)
		switch {
		case !labelName.MatchString(l.Name):
			at.in("name").add("%q must hold letters, digits and '_', at most 128, and begin with no digit", clip(l.Name))
		case l.Name == "alertname", strings.HasPrefix(l.Name, "certlink_"), strings.HasPrefix(l.Name, "__"):
			at.in("name").add("%q is not yours to set: take another name", clip(l.Name))
		}
	}
}

func (s SMTP) validate(f faults) {
	checkAddress(f.in("server"), s.Server)
	checkOneOf(f.in("tls"), s.TLS, MailTLSRequired, MailStartTLS, MailPlainLoopback)
	if s.TLS == MailPlainLoopback {
		if !IsLoopback(s.Server) {
			f.in("tls").add("may be PlainLoopback only for a server on this host: 127.0.0.1, [::1] or localhost")
		}
		if s.UsernameFile != "" || s.PasswordFile != "" {
			f.in("tls").add("must not be PlainLoopback with credentials: they would be sent without TLS")
		}
	}
	for _, file := range []struct{ name, path string }{
		{"caFile", s.CAFile}, {"usernameFile", s.UsernameFile}, {"passwordFile", s.PasswordFile}, {"directory", s.Directory},
	} {
		if file.path == "" {
			continue
		}
		checkFile(f.in(file.name), file.path)
		if s.Directory != "" && file.name != "directory" {
			f.in(file.name).add("cannot stand beside directory")
		}
	}
	if (s.UsernameFile == "") != (s.PasswordFile == "") {
		f.add("usernameFile and passwordFile go together")
	}
	checkMailbox(f.in("from"), s.From)
	checkCount(f.in("to"), len(s.To), 32)
	if len(s.To) == 0 {
		f.in("to").add("must name at least one receiver")
	}
	to := newSet("receiver")
	for i, address := range s.To {
		checkMailbox(f.in("to").at(i), address)
		to.add(f.in("to").at(i), address)
	}
}

// checkMailbox accepts a bare address (RFC 5321, section 4.1.2), as it stands in an envelope.
func checkMailbox(f faults, address string) {
	parsed, err := mail.ParseAddress(address)
	if err != nil || parsed.Address != address || len(address) > 254 || strings.ContainsAny(address, "\r\n \t") {
		f.add("%q must be a bare e-mail address, for example duty@cert.example, at most 254 bytes", clip(address))
	}
}

func (s Step) validate(f faults, notifiers *set) {
	checkOneOf(f.in("stage"), s.Stage, Stages()...)
	checkPrecedences(f.in("precedences"), s.Precedences)
	checkRange(f.in("afterSeconds"), s.AfterSeconds, 0, 2_592_000)
	checkNotify(f.in("notify"), s.Notify, notifiers)
	switch {
	case s.RepeatSeconds != 0:
		checkRange(f.in("repeatSeconds"), s.RepeatSeconds, 60, 604_800)
		checkRange(f.in("maxRepeats"), s.MaxRepeats, 1, 100)
	case s.MaxRepeats != 0:
		f.in("maxRepeats").add("says nothing without repeatSeconds")
	}
}

func checkPrecedences(f faults, list []string) {
	seen := newSet("precedence")
	for i, p := range list {
		checkOneOf(f.at(i), p, "FLASH", "IMMEDIATE", "PRIORITY", "ROUTINE")
		seen.add(f.at(i), p)
	}
}

func checkNotify(f faults, list []string, notifiers *set) {
	checkCount(f, len(list), maxNotifiers)
	if len(list) == 0 {
		f.add("must name at least one notifier")
	}
	seen := newSet("notifier")
	for i, name := range list {
		seen.add(f.at(i), name)
		if !notifiers.has(name) {
			f.at(i).add("no notifier of this hotline is named %q", clip(name))
		}
	}
}
