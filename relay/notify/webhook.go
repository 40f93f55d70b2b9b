// SPDX-FileCopyrightText: The certlink authors
// SPDX-License-Identifier: Apache-2.0

package notify

import (
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"net/http"
	"time"

	"github.com/certlink/certlink/relay/config"
	"github.com/certlink/certlink/relay/deliver"
)

// The headers of a webhook's request beside those of package deliver: HeaderID,
// HeaderTimestamp and HeaderSignature.
const (
	HeaderEvent   = "Certlink-Event"
	HeaderHotline = "Certlink-Hotline"
)

// bodyVersion of the webhook's body.
const bodyVersion = 1

// Body is what a webhook gets.
type Body struct {
	Version int    `json:"version"`
	ID      string `json:"id"`
	Event   Event  `json:"event"`
	// Summary is one line for people.
	Summary    string    `json:"summary"`
	At         time.Time `json:"at"`
	From       string    `json:"from"`
	Hotline    string    `json:"hotline"`
	Peer       string    `json:"peer"`
	PeerDomain string    `json:"peerTrustDomain"`
	// Exercise: all items are of exercises, and nobody is to act as if they were real.
	Exercise bool   `json:"exercise,omitempty"`
	Items    []Item `json:"items"`
}

type webhook struct {
	hook *deliver.Hook
	now  func() time.Time
}

func newWebhook(c config.NotifyWebhook, log *slog.Logger, now func() time.Time) (*webhook, error) {
	hook, err := deliver.NewHook(c.Remote, c.SecretFile, log)
	if err != nil {
		return nil, err
	}
	return &webhook{hook: hook, now: now}, nil
}

func (w *webhook) Close() { w.hook.Close() }

// Notify implements Notifier.
func (w *webhook) Notify(ctx context.Context, n Notification) error {
	ctx, cancel := context.WithTimeout(ctx, Timeout)
	defer cancel()
	b := Body{
		Version: bodyVersion, ID: n.ID, Event: n.Event, Summary: summary(n), At: n.At.UTC(),
		From: n.From, Hotline: n.Hotline, Peer: n.Peer, PeerDomain: n.PeerDomain, Exercise: n.exercise(), Items: n.Items,
	}
	if b.Items == nil {
		b.Items = []Item{}
	}
	body, err := json.Marshal(b)
	if err != nil {
		return fmt.Errorf("encoding notification: %w", err)
	}
	header := http.Header{}
	header.Set("Content-Type", "application/json")
	header.Set(deliver.HeaderID, `"`+n.ID+`"`)
	header.Set(HeaderEvent, string(n.Event))
	header.Set(HeaderHotline, n.Hotline)
	return w.hook.Post(ctx, header, body, w.now())
}
