// SPDX-FileCopyrightText: The certlink authors
// SPDX-License-Identifier: Apache-2.0

package v1alpha1

// NotifierInclude says how much of a message a notifier is told.
//
// +kubebuilder:validation:Enum=Header;Full;FullWithRed
type NotifierInclude string

// The amounts.
const (
	// IncludeHeader: kind, precedence, TLP, ids, peer and times; no subject, no text.
	IncludeHeader NotifierInclude = "Header"
	// IncludeFull: subject and text too, but not of TLP:RED.
	IncludeFull NotifierInclude = "Full"
	// IncludeFullWithRed: those of TLP:RED, too.
	IncludeFullWithRed NotifierInclude = "FullWithRed"
)

// MailTLS says how the connection to a mail server is protected.
//
// +kubebuilder:validation:Enum=Required;StartTLS;PlainLoopback
type MailTLS string

// The ways.
const (
	// MailTLSRequired begins with TLS (RFC 8314), usually on port 465.
	MailTLSRequired MailTLS = "Required"
	// MailStartTLS goes on only after STARTTLS (RFC 3207), usually on port 587.
	MailStartTLS MailTLS = "StartTLS"
	// MailPlainLoopback is without TLS, for a server on the relay's own host only.
	MailPlainLoopback MailTLS = "PlainLoopback"
)

// EscalationStage is a stage at which somebody is silent about a message.
//
// +kubebuilder:validation:Enum=Receipt;Acknowledgement;Answer;Inbox
type EscalationStage string

// The stages.
const (
	// StageReceipt: the peer's relay has not signed that it stored a message of ours.
	StageReceipt EscalationStage = "Receipt"
	// StageAcknowledgement: no duty officer of the peer has signed that it was read.
	StageAcknowledgement EscalationStage = "Acknowledgement"
	// StageAnswer: the peer has not answered a message that asks for an answer.
	StageAnswer EscalationStage = "Answer"
	// StageInbox: our own desk has not acknowledged a message of the peer.
	StageInbox EscalationStage = "Inbox"
)

// HotlineNotifier tells our own people something.
//
// +kubebuilder:validation:XValidation:rule="[has(self.webhook), has(self.alertmanager), has(self.smtp)].filter(x, x).size() == 1",message="exactly one of webhook, alertmanager and smtp must be set"
type HotlineNotifier struct {
	// name of the notifier.
	// +required
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=63
	// +kubebuilder:validation:XValidation:rule="!format.dns1123Label().validate(self).hasValue()",message="name must hold lower-case letters, digits and '-'"
	Name string `json:"name,omitempty"`

	// include says how much of a message is told: Header, Full (not of TLP:RED) or
	// FullWithRed. Default Header.
	// +optional
	Include NotifierInclude `json:"include,omitempty"`

	// webhook posts signed JSON to a URL.
	// +optional
	Webhook *NotifierWebhook `json:"webhook,omitempty"`

	// alertmanager posts alerts to the API v2 of Prometheus Alertmanager.
	// +optional
	Alertmanager *NotifierAlertmanager `json:"alertmanager,omitempty"`

	// smtp sends e-mail.
	// +optional
	SMTP *NotifierSMTP `json:"smtp,omitempty"`
}

// NotifierWebhook posts JSON to a URL.
type NotifierWebhook struct {
	// receiver of the requests. The key hmac of its Secret, if it is there, signs each of
	// them: HMAC-SHA256 over time and body.
	// +required
	Receiver RemoteEndpoint `json:"receiver,omitzero"`
}

// NotifierAlertmanager is a Prometheus Alertmanager, or a cluster of them.
type NotifierAlertmanager struct {
	// servers are the members of the cluster: each is told, and one that takes it is
	// enough. The URL is what stands in front of /api/v2/alerts. 1 to 8.
	// +required
	// +listType=atomic
	// +kubebuilder:validation:MinItems=1
	// +kubebuilder:validation:MaxItems=8
	Servers []RemoteEndpoint `json:"servers,omitempty"`

	// labels are put on each alert, beside ours. At most 16.
	// +optional
	// +listType=map
	// +listMapKey=name
	// +kubebuilder:validation:MinItems=1
	// +kubebuilder:validation:MaxItems=16
	Labels []AlertLabel `json:"labels,omitempty"`
}

// AlertLabel is a label of an alert.
type AlertLabel struct {
	// name of the label. alertname and those that begin with certlink_ are ours.
	// +required
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=128
	// +kubebuilder:validation:Pattern=`^[a-zA-Z_][a-zA-Z0-9_]*$`
	// +kubebuilder:validation:XValidation:rule="self != 'alertname' && !self.startsWith('certlink_') && !self.startsWith('__')",message="alertname and labels that begin with certlink_ or __ are not yours to set"
	Name string `json:"name,omitempty"`

	// value of the label.
	// +required
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=256
	Value string `json:"value,omitempty"`
}

// NotifierSMTP is a mail server that takes mail from us.
//
// +kubebuilder:validation:XValidation:rule="!has(self.tls) || self.tls != 'PlainLoopback' || !has(self.authSecretRef) && self.server.matches('^(127[.][0-9.]+|localhost|\\\\[::1\\\\]):[0-9]+$')",message="tls PlainLoopback is for a server on the relay's own host, without authSecretRef"
type NotifierSMTP struct {
	// server is HOST:PORT.
	// +required
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=261
	// +kubebuilder:validation:Pattern=`^(\[[0-9a-fA-F:.]+\]|[A-Za-z0-9]([A-Za-z0-9.-]*[A-Za-z0-9])?):[0-9]{1,5}$`
	Server string `json:"server,omitempty"`

	// tls is Required (from the first byte, usually port 465), StartTLS (usually port
	// 587), or PlainLoopback for a server on the relay's own host. Default Required.
	// +optional
	TLS MailTLS `json:"tls,omitempty"`

	// authSecretRef names a Secret of this namespace with username and password, and in
	// ca.crt the CA certificates that the server's certificate must chain to. Every key is
	// optional; without ca.crt the CAs of the relay's image count, of which it has none.
	// +optional
	AuthSecretRef *SecretReference `json:"authSecretRef,omitempty"`

	// from is the sender's address, without a display name.
	// +required
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=254
	// +kubebuilder:validation:Pattern=`^[^@\s<>,;:"()]+@[^@\s<>,;:"()]+$`
	From string `json:"from,omitempty"`

	// to are the addresses of the receivers, without display names. 1 to 32.
	// +required
	// +listType=set
	// +kubebuilder:validation:MinItems=1
	// +kubebuilder:validation:MaxItems=32
	// +kubebuilder:validation:items:MinLength=1
	// +kubebuilder:validation:items:MaxLength=254
	// +kubebuilder:validation:items:Pattern=`^[^@\s<>,;:"()]+@[^@\s<>,;:"()]+$`
	To []string `json:"to,omitempty"`
}

// HotlineEscalationStep says whom to tell when somebody has been silent for so long.
//
// +kubebuilder:validation:XValidation:rule="!has(self.maxRepeats) || has(self.repeatSeconds)",message="maxRepeats says nothing without repeatSeconds"
type HotlineEscalationStep struct {
	// name of the step. It is how the journal knows the step: one with a new name is
	// taken anew.
	// +required
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=63
	// +kubebuilder:validation:XValidation:rule="!format.dns1123Label().validate(self).hasValue()",message="name must hold lower-case letters, digits and '-'"
	Name string `json:"name,omitempty"`

	// stage at which somebody is silent: Receipt, Acknowledgement or Answer of the peer for
	// a message of ours, or Inbox, where our own desk has not acknowledged one of theirs.
	// +required
	Stage EscalationStage `json:"stage,omitempty"`

	// precedences that the step is for. Default: all.
	// +optional
	// +listType=set
	// +kubebuilder:validation:MinItems=1
	// +kubebuilder:validation:MaxItems=4
	Precedences []Precedence `json:"precedences,omitempty"`

	// afterSeconds past the deadline of the stage. 0 to 2592000, default 0.
	// +optional
	// +kubebuilder:validation:Minimum=0
	// +kubebuilder:validation:Maximum=2592000
	AfterSeconds *int32 `json:"afterSeconds,omitempty"`

	// notify names the notifiers that are told. 1 to 16.
	// +required
	// +listType=set
	// +kubebuilder:validation:MinItems=1
	// +kubebuilder:validation:MaxItems=16
	// +kubebuilder:validation:items:MinLength=1
	// +kubebuilder:validation:items:MaxLength=63
	Notify []string `json:"notify,omitempty"`

	// repeatSeconds until the step is taken again while the silence lasts. 60 to 604800.
	// Default: it is not.
	// +optional
	// +kubebuilder:validation:Minimum=60
	// +kubebuilder:validation:Maximum=604800
	RepeatSeconds *int32 `json:"repeatSeconds,omitempty"`

	// maxRepeats is how often it is taken again at most. 1 to 100, default 10.
	// +optional
	// +kubebuilder:validation:Minimum=1
	// +kubebuilder:validation:Maximum=100
	MaxRepeats *int32 `json:"maxRepeats,omitempty"`
}

// HotlineNotice says who hears of each new message of the peer.
type HotlineNotice struct {
	// precedences that it is for. Default: all.
	// +optional
	// +listType=set
	// +kubebuilder:validation:MinItems=1
	// +kubebuilder:validation:MaxItems=4
	Precedences []Precedence `json:"precedences,omitempty"`

	// notify names the notifiers that are told. 1 to 16.
	// +required
	// +listType=set
	// +kubebuilder:validation:MinItems=1
	// +kubebuilder:validation:MaxItems=16
	// +kubebuilder:validation:items:MinLength=1
	// +kubebuilder:validation:items:MaxLength=63
	Notify []string `json:"notify,omitempty"`
}
