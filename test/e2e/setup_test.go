// SPDX-FileCopyrightText: The certlink authors
// SPDX-License-Identifier: Apache-2.0

//go:build e2e

package e2e

import (
	"context"
	"testing"
	"time"

	"github.com/certlink/certlink/api/v1alpha1"
	"github.com/certlink/certlink/internal/relayclient"
	"github.com/certlink/certlink/test/scenario"
)

// needsHarness reports whether the clusters are ours; if not, it says what is
// left out.
func needsHarness(t *testing.T, fault string) bool {
	t.Helper()
	if alfa.Harness == nil {
		t.Logf("LEFT OUT on clusters of your own: %s needs the nations harness", fault)
		return false
	}
	return true
}

// within bounds a wait.
func within(t *testing.T, d time.Duration) context.Context {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), d)
	t.Cleanup(cancel)
	return ctx
}

// cleanup runs after the test, within patience.
func cleanup(t *testing.T, run func(ctx context.Context) error) {
	t.Helper()
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), patience)
		defer cancel()
		if err := run(ctx); err != nil {
			t.Errorf("cleaning up: %v", err)
		}
	})
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// desk returns a client of a relay's local port, through the API server.
func desk(t *testing.T, p *scenario.Party) *relayclient.Client {
	t.Helper()
	dial, closing, err := p.Forward(scenario.LocalPort)
	must(t, err)
	t.Cleanup(closing)
	client, err := p.Desk(t.Context(), dial)
	must(t, err)
	t.Cleanup(client.Close)
	return client
}

// directDesk returns a client of a relay's local port past the API server.
func directDesk(t *testing.T, p *scenario.Party) *relayclient.Client {
	t.Helper()
	dial, err := p.Direct(t.Context())
	must(t, err)
	client, err := p.Desk(t.Context(), dial)
	must(t, err)
	t.Cleanup(client.Close)
	return client
}

// connected waits until both sides see the link up.
func connected(t *testing.T) {
	t.Helper()
	err := both(within(t, patience), func(ctx context.Context, p, other *scenario.Party) error {
		_, err := p.AwaitPeer(ctx, other.Name, scenario.True(v1alpha1.ConditionConnected)...)
		return err
	})
	must(t, err)
}

// removeFeeds deletes feeds after the test: first the import, then the export.
func removeFeed(t *testing.T, p *scenario.Party, name string) {
	t.Helper()
	cleanup(t, func(ctx context.Context) error {
		return p.Client.Delete(ctx, &v1alpha1.SharedFeed{ObjectMeta: p.Meta(name)})
	})
}
