// SPDX-FileCopyrightText: The certlink authors
// SPDX-License-Identifier: Apache-2.0

package config

import (
	"net"
	"net/netip"
	"slices"
)

// Include says how much of a message a notifier is told.
type Include string

// The amounts.
const (
	// IncludeHeader tells kind, precedence, TLP, ids, peer and times; no subject, no text. The default.
	IncludeHeader Include = "Header"
	// IncludeFull tells subject and text too, but not of a message that is TLP:RED.
	IncludeFull Include = "Full"
	// IncludeFullWithRed tells them of messages that are TLP:RED, too.
	IncludeFullWithRed Include = "FullWithRed"
)

// MailTLS says how a connection to a mail server is protected.
type MailTLS string

// The ways.
const (
	// MailTLSRequired begins with TLS (RFC 8314), usually on port 465. The default.
	MailTLSRequired MailTLS = "Required"
	// MailStartTLS begins in plain text and goes on only after STARTTLS (RFC 3207), usually on port 587.
	MailStartTLS MailTLS = "StartTLS"
	// MailPlainLoopback is without TLS, for a server on this very host: any other address is refused.
	MailPlainLoopback MailTLS = "PlainLoopback"
)

// Stage of a message at which somebody is silent.
type Stage string

// The stages.
const (
	// StageReceipt: the peer's relay has not signed that it stored a message of ours.
	StageReceipt Stage = "Receipt"
	// StageAcknowledgement: no duty officer of the peer has signed that it was read.
	StageAcknowledgement Stage = "Acknowledgement"
	// StageAnswer: the peer has not answered a message that asks for an answer.
	StageAnswer Stage = "Answer"
	// StageInbox: our own desk has not acknowledged a message of the peer.
	StageInbox Stage = "Inbox"
)

// Stages in the order in which a message comes to them.
func Stages() []Stage { return []Stage{StageReceipt, StageAcknowledgement, StageAnswer, StageInbox} }

// Notifier tells our own people something. Exactly one of Webhook, Alertmanager and SMTP is set.
type Notifier struct {
	// Name of the notifier, unique in its hotline.
	Name string `json:"name"`
	// Include is Header (default), Full or FullWithRed.
	Include Include `json:"include,omitempty"`
	// Webhook posts JSON to a URL.
	Webhook *NotifyWebhook `json:"webhook,omitempty"`
	// Alertmanager posts alerts to the API v2 of Alertmanager.
	Alertmanager *Alertmanager `json:"alertmanager,omitempty"`
	// SMTP sends e-mail.
	SMTP *SMTP `json:"smtp,omitempty"`
}

// NotifyWebhook takes signed notices.
type NotifyWebhook struct {
	// Remote is the receiver. The file hmac in its directory is the key of the signature.
	Remote Remote `json:"remote"`
	// SecretFile holds the key of the HMAC-SHA256 signature of each request, where there is
	// no directory.
	SecretFile string `json:"secretFile,omitempty"`
}

// Alertmanager is a Prometheus Alertmanager, or a cluster of them.
type Alertmanager struct {
	// Servers are the members of the cluster: each is told, and one that takes it is
	// enough. The URL is what stands in front of /api/v2/alerts. 1 to 8.
	Servers []Remote `json:"servers"`
	// Labels are put on each alert, beside ours. At most 16.
	Labels []Label `json:"labels,omitempty"`
}

// Label of an alert.
type Label struct {
	// Name of the label, as Prometheus allows; alertname and those that begin with
	// certlink_ are ours.
	Name string `json:"name"`
	// Value, at most 256 bytes.
	Value string `json:"value"`
}

// SMTP is a mail server that takes mail from us (RFC 6409).
type SMTP struct {
	// Server is HOST:PORT.
	Server string `json:"server"`
	// TLS is Required (default), StartTLS or PlainLoopback.
	TLS MailTLS `json:"tls,omitempty"`
	// CAFile holds the CA certificates in PEM that the server's certificate must chain
	// to. Empty means those of the system.
	CAFile string `json:"caFile,omitempty"`
	// UsernameFile and PasswordFile hold the credentials; empty means none. They are
	// never sent without TLS.
	UsernameFile string `json:"usernameFile,omitempty"`
	PasswordFile string `json:"passwordFile,omitempty"`
	// Directory holds ca.crt, username and password instead, as a mounted Secret does.
	Directory string `json:"directory,omitempty"`
	// From is the sender's address, without a display name.
	From string `json:"from"`
	// To are the addresses of the receivers, without display names. 1 to 32.
	To []string `json:"to"`
}

// Files are the credentials in the form in which package remote reads them.
func (s SMTP) Files() Remote {
	return Remote{CAFile: s.CAFile, UsernameFile: s.UsernameFile, PasswordFile: s.PasswordFile, Directory: s.Directory}
}

// Step of the escalation: whom to tell when somebody has been silent for so long.
type Step struct {
	// Name of the step, unique in its hotline. It is how the journal knows the step: a
	// step with a new name is taken anew.
	Name string `json:"name"`
	// Stage is Receipt, Acknowledgement, Answer or Inbox.
	Stage Stage `json:"stage"`
	// Precedences that the step is for; none means all.
	Precedences []string `json:"precedences,omitempty"`
	// AfterSeconds past the deadline of the stage: 0 (default) to 2592000.
	AfterSeconds int32 `json:"afterSeconds,omitempty"`
	// Notify names the notifiers. 1 to 16.
	Notify []string `json:"notify"`
	// RepeatSeconds until the step is taken again while the silence lasts: 0 (default,
	// never) or 60 to 604800.
	RepeatSeconds int32 `json:"repeatSeconds,omitempty"`
	// MaxRepeats is how often it is taken again at most: 1 to 100, default 10 where
	// RepeatSeconds is set.
	MaxRepeats int32 `json:"maxRepeats,omitempty"`
}

// Notice says who hears of each new message of the peer.
type Notice struct {
	// Precedences that it is for; none means all.
	Precedences []string `json:"precedences,omitempty"`
	// Notify names the notifiers. 1 to 16.
	Notify []string `json:"notify"`
}

// DefaultMaxRepeats of a step that repeats.
const DefaultMaxRepeats = 10

// Bounds of the escalation of one hotline.
const (
	maxNotifiers = 16
	maxSteps     = 32
	maxNotices   = 8
)

// setEscalationDefaults completes notifiers and steps.
func (h *Hotline) setEscalationDefaults() {
	for i := range h.Notifiers {
		n := &h.Notifiers[i]
		fill(&n.Include, IncludeHeader)
		if n.SMTP != nil {
			fill(&n.SMTP.TLS, MailTLSRequired)
		}
	}
	for i := range h.Escalation {
		if s := &h.Escalation[i]; s.RepeatSeconds > 0 {
			fill(&s.MaxRepeats, DefaultMaxRepeats)
		}
	}
}

// For tells whether a list of precedences names one; an empty list names all. What is
// no precedence that we know counts as ROUTINE.
func For(precedences []string, precedence string) bool {
	if !slices.ContainsFunc(DefaultDeadlines(), func(d Deadline) bool { return d.Precedence == precedence }) {
		precedence = "ROUTINE"
	}
	return len(precedences) == 0 || slices.Contains(precedences, precedence)
}

// IsLoopback tells whether HOST:PORT can only be this host.
func IsLoopback(address string) bool {
	host, _, err := net.SplitHostPort(address)
	if err != nil {
		return false
	}
	ip, err := netip.ParseAddr(host)
	return host == "localhost" || err == nil && ip.IsLoopback()
}
