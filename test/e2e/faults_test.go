// SPDX-FileCopyrightText: The certlink authors
// SPDX-License-Identifier: Apache-2.0

//go:build e2e

package e2e

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"path"
	"strings"
	"testing"
	"time"

	"github.com/oklog/ulid/v2"
	corev1 "k8s.io/api/core/v1"

	"github.com/certlink/certlink/api/v1alpha1"
	"github.com/certlink/certlink/internal/relayclient"
	wire "github.com/certlink/certlink/relay/desk"
	"github.com/certlink/certlink/test/scenario"
)

// TestTheAPIServerMayBeAway: with alfa's API server stopped, feed and hotline go
// on in both directions; when it is back, alfa's status catches up.
func TestTheAPIServerMayBeAway(t *testing.T) {
	if !needsHarness(t, "stopping the API server") {
		return
	}
	connected(t)
	for _, pair := range [][2]*scenario.Party{{alfa, bravo}, {bravo, alfa}} {
		removeFeed(t, pair[0], "away")
		removeFeed(t, pair[1], "away-from-"+pair[0].Name)
		must(t, pair[0].Export(t.Context(), "away", v1alpha1.TLPGreen, map[string]v1alpha1.TLPLevel{"own": ""}, pair[1].Name))
		must(t, pair[1].Import(t.Context(), "away-from-"+pair[0].Name, pair[0].Name, "away"))
		push(t, pair[0], "away.own", scenario.Indicators("before", "GREEN", 1)...)
	}
	stored(t, alfa, "away-from-bravo", 1)
	stored(t, bravo, "away-from-alfa", 1)
	ours, theirs := directDesk(t, alfa), directDesk(t, bravo)

	// The last cleanup runs first.
	cleanup(t, alfa.Harness.StartAPIServer)
	must(t, alfa.Harness.StopAPIServer(t.Context()))
	stopped := time.Now()
	if err := alfa.Client.Get(within(t, 2*time.Second), alfa.Key(alfa.Name), &v1alpha1.LocalCERT{}); err == nil {
		t.Fatal("alfa's API server still answers")
	}
	for name, way := range map[string]struct {
		from, to   *relayclient.Client
		at, origin *scenario.Party
	}{
		"from_alfa_to_bravo": {ours, theirs, bravo, alfa},
		"from_bravo_to_alfa": {theirs, ours, alfa, bravo},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := way.from.Push(within(t, patience), "away.own", scenario.Indicators("while-away", "GREEN", 2))
			must(t, err)
			err = scenario.Poll(within(t, patience), "the objects have crossed", func(ctx context.Context) error {
				page, err := way.to.Objects(ctx, "away-from-"+way.origin.Name, "", 0)
				if err == nil && len(page.Objects) != 3 {
					err = fmt.Errorf("%d of 3 objects are there", len(page.Objects))
				}
				return err
			})
			must(t, err)
			message, err := way.from.Send(within(t, patience), wire.SendRequest{Hotline: way.at.Name, Subject: "away", Text: "t", Officer: "e2e", Precedence: "FLASH"})
			must(t, err)
			err = scenario.Poll(within(t, patience), "the message has its receipt", func(ctx context.Context) error {
				m, err := way.from.Get(ctx, relayclient.Out, way.at.TrustDomain, message.ID)
				if err == nil && m.State == "Queued" {
					err = errors.New("it is queued")
				}
				return err
			})
			must(t, err)
			_, err = way.to.Acknowledge(within(t, patience), way.origin.TrustDomain, message.ID, wire.AckRequest{Officer: "e2e"})
			must(t, err)
		})
	}
	must(t, alfa.Harness.StartAPIServer(within(t, patience)))
	t.Logf("alfa's API server was away for %.1fs", time.Since(stopped).Seconds())
	back := time.Now()
	counts(t, alfa, "away", 3, map[string]int64{})
	stored(t, alfa, "away-from-bravo", 3)
	_, err := alfa.AwaitHotline(within(t, patience), bravo.Name, func(h v1alpha1.Hotline) error {
		if h.Status.LastReceiptTime == nil || h.Status.LastReceiptTime.Time.Before(stopped.Add(-2*time.Second)) {
			return fmt.Errorf("the last receipt is of %s", h.Status.LastReceiptTime)
		}
		return nil
	})
	must(t, err)
	connected(t)
	settled(t)
	t.Logf("alfa's status has caught up %.1fs after its API server was back", time.Since(back).Seconds())
}

// fill takes every byte of a relay's volume until the returned function is
// called.
func fill(t *testing.T, p *scenario.Party) (empty func()) {
	t.Helper()
	var claim corev1.PersistentVolumeClaim
	must(t, p.Client.Get(t.Context(), p.Key("data-"+p.Relay()), &claim))
	var pv corev1.PersistentVolume
	must(t, p.Client.Get(t.Context(), p.Key(claim.Spec.VolumeName), &pv))
	if pv.Spec.Local == nil {
		t.Fatalf("the volume of %s is no directory of its node", p.Name)
	}
	filler := path.Join(pv.Spec.Local.Path, "filler")
	said, err := p.Harness.Exec(t.Context(), "dd", "if=/dev/zero", "of="+filler, "bs=4k")
	if err == nil || !strings.Contains(string(said), "No space left") {
		t.Fatalf("filling the volume of %s: %v: %s", p.Name, err, said)
	}
	removed := false
	empty = func() {
		if !removed {
			removed = true
			_, err := p.Harness.Exec(context.Background(), "rm", filler)
			must(t, err)
		}
	}
	t.Cleanup(empty)
	return empty
}

// flood sends large messages until enough says so, and returns the ids that the
// relay took and those that it refused.
func flood(t *testing.T, c *relayclient.Client, enough func(refused int) bool) (taken, refused []string) {
	t.Helper()
	ctx := within(t, time.Minute)
	text := strings.Repeat("large message ", wire.MaxTextBytes/14)
	for range 400 {
		id := ulid.Make().String()
		_, err := c.Send(ctx, wire.SendRequest{Hotline: bravo.Name, ID: id, Subject: "flood", Text: text, Officer: "e2e"})
		switch {
		case err == nil:
			taken = append(taken, id)
		case relayclient.IsStatus(err, http.StatusInsufficientStorage):
			if len(refused) == 0 {
				t.Logf("the sender is told: %v", err)
			}
			refused = append(refused, id)
		default:
			t.Fatal(err)
		}
		if enough(len(refused)) {
			return taken, refused
		}
	}
	t.Fatalf("%d messages were taken and %d refused, and it never was enough", len(taken), len(refused))
	return nil, nil
}

// delivered waits until each message is in bravo's inbox once, and acknowledges
// them.
func delivered(t *testing.T, at *relayclient.Client, taken, refused []string) {
	t.Helper()
	ctx := within(t, 2*time.Minute)
	err := scenario.Poll(ctx, "every message that was taken is delivered once", func(ctx context.Context) error {
		seen, _, err := received(ctx, at)
		if err != nil {
			return err
		}
		for _, id := range taken {
			if len(seen[id]) != 1 {
				return fmt.Errorf("message %s is there %d times", id, len(seen[id]))
			}
		}
		for _, id := range refused {
			if len(seen[id]) != 0 {
				t.Fatalf("message %s was refused and has arrived", id)
			}
		}
		return nil
	})
	must(t, err)
	for _, id := range taken {
		_, err := at.Acknowledge(ctx, alfa.TrustDomain, id, wire.AckRequest{Officer: "e2e"})
		must(t, err)
	}
}

func TestAFullDiskAtTheSender(t *testing.T) {
	if !needsHarness(t, "filling a volume") {
		return
	}
	connected(t)
	sender, receiver := desk(t, alfa), desk(t, bravo)
	empty := fill(t, alfa)
	taken, refused := flood(t, sender, func(refused int) bool { return refused == 3 })
	for _, id := range refused {
		if m, err := sender.Get(t.Context(), relayclient.Out, bravo.TrustDomain, id); !relayclient.IsStatus(err, http.StatusNotFound) {
			t.Errorf("message %s was refused; the outbox has it as %q (%v)", id, m.State, err)
		}
	}
	empty()
	m, err := sender.Send(within(t, patience), wire.SendRequest{Hotline: bravo.Name, Subject: "after", Text: "t", Officer: "e2e"})
	must(t, err)
	t.Logf("%d messages were taken before the disk was full", len(taken))
	delivered(t, receiver, append(taken, m.ID), refused)
	connected(t)
	settled(t)
}

func TestAFullDiskAtTheReceiver(t *testing.T) {
	if !needsHarness(t, "filling a volume") {
		return
	}
	connected(t)
	sender, receiver := desk(t, alfa), desk(t, bravo)
	empty := fill(t, bravo)
	told := ""
	taken, refused := flood(t, sender, func(int) bool {
		r, err := scenario.Report(t.Context(), sender)
		must(t, err)
		for _, h := range r.Hotlines {
			if h.Name == bravo.Name && h.Queued > 0 {
				told = h.Error
			}
		}
		return strings.Contains(told, "full")
	})
	t.Logf("after %d messages the sender's report says: %s", len(taken), told)
	if len(refused) > 0 {
		t.Errorf("%d messages were refused at the sender, whose disk has room", len(refused))
	}
	empty()
	delivered(t, receiver, taken, refused)
	connected(t)
	settled(t)
}
