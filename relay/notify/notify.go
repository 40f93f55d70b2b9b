// SPDX-FileCopyrightText: The certlink authors
// SPDX-License-Identifier: Apache-2.0

package notify

import (
	"context"
	"errors"
	"log/slog"
	"slices"
	"time"

	"github.com/certlink/certlink/relay/config"
)

// Event says what a notification is about.
type Event string

// The events.
const (
	// Escalated: somebody is silent beyond a deadline, and a step of the escalation is taken.
	Escalated Event = "Escalated"
	// Settled: what was escalated is over.
	Settled Event = "Settled"
	// Delivered: a message of the peer has arrived.
	Delivered Event = "Delivered"
	// Test: a person tests the notifier; there is nothing to do.
	Test Event = "Test"
)

// MaxItems of one notification.
const MaxItems = 100

// Notification is what a notifier is told at once.
type Notification struct {
	// ID is the same for the same notification, and holds letters, digits, '-' and '_'.
	ID    string
	Event Event
	// At is now.
	At time.Time
	// From is our trust domain, Hotline the name of the hotline, Peer our name for the
	// peer and PeerDomain its trust domain.
	From, Hotline, Peer, PeerDomain string
	// Items are what it is about, what is real first; at most MaxItems. A test has none.
	Items []Item
}

// Item is one message that a notification is about.
type Item struct {
	// ID as of a notification.
	ID string `json:"id"`
	// At is when it was decided to tell this.
	At time.Time `json:"at"`
	// Stage at which somebody is silent, and the step with its occurrence, from 1; empty for
	// a message that has arrived.
	Stage      string `json:"stage,omitempty"`
	Step       string `json:"step,omitempty"`
	Occurrence int32  `json:"occurrence,omitempty"`
	// Deadline that has passed.
	Deadline time.Time `json:"deadline,omitzero"`
	// Direction is out for a message of ours, else in. Message is its id.
	Direction string `json:"direction"`
	Message   string `json:"message"`
	// What the message says of itself.
	Serial       int64     `json:"serial,omitempty"`
	Conversation string    `json:"conversation,omitempty"`
	Kind         string    `json:"kind,omitempty"`
	Precedence   string    `json:"precedence,omitempty"`
	TLP          string    `json:"tlp,omitempty"`
	Exercise     string    `json:"exercise,omitempty"`
	StoredAt     time.Time `json:"storedAt,omitzero"`
	// Subject and Text only where the notifier is to have them.
	Subject string `json:"subject,omitempty"`
	Text    string `json:"text,omitempty"`
}

// exercise tells whether it is about messages of exercises only.
func (n *Notification) exercise() bool {
	return len(n.Items) > 0 && !slices.ContainsFunc(n.Items, func(i Item) bool { return i.Exercise == "" })
}

// Notifier tells people. It may be used concurrently.
type Notifier interface {
	// Notify tells; nil means that it was taken. It is bounded by ctx and by itself.
	Notify(ctx context.Context, n Notification) error
	// Close ends idle connections.
	Close()
}

// Timeout of one Notify.
const Timeout = 45 * time.Second

// New makes the notifier of a configuration. It reads no file and opens no connection.
// Log and now may be nil.
func New(c config.Notifier, log *slog.Logger, now func() time.Time) (Notifier, error) {
	if log == nil {
		log = slog.New(slog.DiscardHandler)
	}
	if now == nil {
		now = time.Now
	}
	switch {
	case c.Webhook != nil:
		return newWebhook(*c.Webhook, log, now)
	case c.Alertmanager != nil:
		return newAlertmanager(*c.Alertmanager, log)
	case c.SMTP != nil:
		return &mailer{conf: *c.SMTP, log: log}, nil
	}
	return nil, errors.New("building a notifier: it is none of webhook, alertmanager and smtp")
}
