// SPDX-FileCopyrightText: The certlink authors
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"fmt"
	"io"
	"os"
	"strings"

	"github.com/certlink/certlink/relay/config"
	"github.com/certlink/certlink/relay/store"
	"github.com/certlink/certlink/relay/store/postgres"
	"github.com/certlink/certlink/relay/store/sqlite"
)

// maxURL bounds the file with a connection URI.
const maxURL = 16 << 10

// openStore opens the store of the configuration.
func openStore(ctx context.Context, cfg config.Store) (store.Store, error) {
	if cfg.Postgres == nil {
		return sqlite.Open(ctx, sqlite.Config{Path: cfg.SQLite.Path})
	}
	return postgres.Open(ctx, postgres.Config{
		URL:            func() (string, error) { return readURL(cfg.Postgres.URLFile) },
		MaxConnections: int(cfg.Postgres.MaxConnections),
	})
}

// readURL reads a secret: errors name the file, and nothing in it.
func readURL(file string) (string, error) {
	f, err := os.Open(file)
	if err != nil {
		return "", fmt.Errorf("reading the connection URI: %w", err)
	}
	defer f.Close()
	text, err := io.ReadAll(io.LimitReader(f, maxURL+1))
	if err != nil {
		return "", fmt.Errorf("reading the connection URI: %w", err)
	}
	if len(text) > maxURL {
		return "", fmt.Errorf("reading the connection URI: %q is longer than %d bytes", file, maxURL)
	}
	return strings.TrimSpace(string(text)), nil
}

// news acts on what another replica of this relay has stored.
type news struct {
	store store.News
	relay *relay
}

// Run implements runner.
func (n news) Run(ctx context.Context) error {
	if err := n.store.Watch(ctx, n.changed); err != nil {
		return fmt.Errorf("watching the store: %w", err)
	}
	return nil
}

func (n news) changed(topic string) {
	peer, message := strings.CutPrefix(topic, store.HotlineTopic(""))
	if message || topic == "" {
		n.relay.hotline.Stored(peer)
		n.relay.escalations.Wake()
	}
	if peer, recovery := strings.CutPrefix(topic, store.RecoveryTopic("")); recovery || topic == "" {
		n.relay.hotline.Recall(peer)
	}
	if topic == store.ObjectsTopic || topic == "" {
		n.relay.feeds.Stored()
	}
	if topic == store.NotesTopic || topic == "" {
		n.relay.feeds.Noted()
		n.relay.deliveries.Noted()
	}
}
