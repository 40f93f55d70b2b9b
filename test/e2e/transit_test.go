// SPDX-FileCopyrightText: The certlink authors
// SPDX-License-Identifier: Apache-2.0

//go:build e2e

package e2e

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"testing"
	"time"

	apimeta "k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/certlink/certlink/api/v1alpha1"
	wire "github.com/certlink/certlink/relay/desk"
	"github.com/certlink/certlink/test/nations"
	"github.com/certlink/certlink/test/scenario"
)

// raiseTime bounds a third cluster.
const raiseTime = 10 * time.Minute

// raiseCharlie raises a third nation for one test, linked with both others.
func raiseCharlie(t *testing.T) *scenario.Party {
	t.Helper()
	ctx := within(t, raiseTime)
	begun := time.Now()
	all, err := scenario.Nations(ctx, 3, programs, os.Stdout)
	must(t, err)
	charlie := scenario.NewParty(all[2], "e2e-"+all[2].Name, programs)
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), 2*time.Minute)
		defer cancel()
		var failed []error
		for _, p := range []*scenario.Party{alfa, bravo} {
			failed = append(failed, client.IgnoreNotFound(p.Client.Delete(ctx, &v1alpha1.PeerCERT{ObjectMeta: p.Meta(charlie.Name)})))
		}
		if err := errors.Join(append(failed, nations.Down(ctx, all[2].Name))...); err != nil {
			t.Errorf("taking charlie down: %v", err)
		}
	})
	must(t, errors.Join(scenario.Install(ctx, charlie.Cluster), charlie.Remove(ctx)))
	must(t, charlie.Found(ctx, volume))
	_, err = charlie.Founded(ctx, volume)
	must(t, err)
	for _, p := range []*scenario.Party{alfa, bravo} {
		must(t, errors.Join(scenario.Introduce(ctx, p, charlie), scenario.Introduce(ctx, charlie, p)))
	}
	for _, p := range []*scenario.Party{alfa, bravo} {
		patch(t, charlie, &v1alpha1.PeerCERT{ObjectMeta: charlie.Meta(p.Name)}, `{"spec":{"transit":"Allowed"}}`)
		_, err := p.AwaitPeer(ctx, charlie.Name, scenario.True(v1alpha1.ConditionConnected, v1alpha1.ConditionPeerAccepted)...)
		must(t, err)
	}
	t.Logf("charlie is linked after %.0f s", time.Since(begun).Seconds())
	return charlie
}

func patch(t *testing.T, p *scenario.Party, o client.Object, content string) {
	t.Helper()
	must(t, p.Client.Patch(t.Context(), o, client.RawPatch("application/merge-patch+json", []byte(content))))
}

// reachable waits for a reason of the condition Reachable of p's hotline to other.
func reachable(t *testing.T, p, other *scenario.Party, status metav1.ConditionStatus, reason string) {
	t.Helper()
	_, err := p.AwaitHotline(within(t, patience), other.Name, func(h v1alpha1.Hotline) error {
		c := apimeta.FindStatusCondition(h.Status.Conditions, v1alpha1.ConditionReachable)
		if c == nil || c.Status != status || c.Reason != reason {
			return fmt.Errorf("Reachable is %+v", c)
		}
		return nil
	})
	must(t, err)
}

// sendFlash sends, and returns the message's id.
func sendFlash(t *testing.T, subject string) string {
	t.Helper()
	m, err := desk(t, alfa).Send(within(t, patience), wire.SendRequest{Hotline: bravo.Name, Subject: subject, Text: "neutral", Officer: "e2e", Precedence: "FLASH"})
	must(t, err)
	return m.ID
}

// onceThere waits until alfa has the receipt of a message, and sees that bravo has it once.
func onceThere(t *testing.T, id string) {
	t.Helper()
	must(t, scenario.Poll(within(t, patience), "the message has its receipt", func(context.Context) error {
		if m := show(t, alfa, id); m.State == "Queued" {
			return errors.New("it is queued")
		}
		return nil
	}))
	verify(t, alfa, bravo, show(t, alfa, id))
	said, err := bravo.CLI(within(t, patience), nil, "hotline", "list", "-o", "json")
	must(t, err)
	var list wire.MessageList
	must(t, json.Unmarshal([]byte(said), &list))
	n := 0
	for _, m := range list.Messages {
		if m.ID == id {
			n++
		}
	}
	if n != 1 {
		t.Errorf("bravo has message %s %d times", id, n)
	}
}

// sendFile sends a message with a file, and returns what looks at bravo
// whether it is there as it was.
func sendFile(t *testing.T, name string, size int) (arrived func()) {
	t.Helper()
	path, content := attachment(t, name, size)
	said, err := alfa.CLI(within(t, patience), nil, "hotline", "send", bravo.Name, "--subject", name, "--text", "See the file.", "--attach", path, "-o", "json")
	must(t, err)
	var sent wire.Message
	must(t, json.Unmarshal([]byte(said), &sent))
	return func() {
		t.Helper()
		onceThere(t, sent.ID)
		target := filepath.Join(t.TempDir(), "got")
		_, err := bravo.CLI(within(t, patience), nil, "hotline", "attachment", "get", sent.ID, name, "-o", target)
		must(t, err)
		got, err := os.ReadFile(target)
		must(t, err)
		if !bytes.Equal(got, content) {
			t.Errorf("bravo has %d other bytes of %s", len(got), name)
		}
	}
}

// TestAMessageGoesThroughAThirdNationAndByCourier: with the line between alfa and bravo
// cut, a message crosses through charlie, with bravo's receipt; with charlie cut off too,
// alfa knows in time; a courier carries it; and with the line back nothing is doubled.
func TestAMessageGoesThroughAThirdNationAndByCourier(t *testing.T) {
	if !needsHarness(t, "a third nation") {
		return
	}
	connected(t)
	charlie := raiseCharlie(t)
	for _, pair := range [][2]*scenario.Party{{alfa, bravo}, {bravo, alfa}} {
		p, other := pair[0], pair[1]
		// With a short deadline alfa soon knows what does not arrive.
		patch(t, p, &v1alpha1.Hotline{ObjectMeta: p.Meta(other.Name)},
			`{"spec":{"transit":[{"name":"`+charlie.Name+`"}],"deadlines":[{"precedence":"FLASH","receiptSeconds":10}]}}`)
		cleanup(t, func(ctx context.Context) error {
			return p.Client.Patch(ctx, &v1alpha1.Hotline{ObjectMeta: p.Meta(other.Name)}, client.RawPatch("application/merge-patch+json", []byte(`{"spec":{"transit":null,"deadlines":null}}`)))
		})
	}
	must(t, both(within(t, patience), func(ctx context.Context, p, other *scenario.Party) error {
		_, err := p.AwaitHotline(ctx, other.Name, func(h v1alpha1.Hotline) error {
			return scenario.All(h.Status.Conditions, h.Generation, scenario.True(v1alpha1.ConditionReady)...)
		})
		return err
	}))
	cleanup(t, scenario.Restore)
	must(t, scenario.Cut(t.Context(), alfa.Cluster, bravo.Cluster))
	reachable(t, alfa, bravo, metav1.ConditionTrue, v1alpha1.ReasonByTransit)
	first := sendFlash(t, "through charlie")
	onceThere(t, first)
	arrived := sendFile(t, "through-charlie.bin", 2<<20)
	arrived()

	must(t, scenario.Cut(t.Context(), alfa.Cluster, charlie.Cluster))
	id := sendFlash(t, "by courier")
	arrived = sendFile(t, "by-courier.bin", 1<<20+1)
	// A relay that was restarted knows no more of what the other holds than its store does.
	must(t, kill(within(t, patience), alfa))
	must(t, scenario.Poll(within(t, patience), "alfa's relay is back", func(ctx context.Context) error {
		_, err := alfa.CLI(ctx, nil, "hotline", "list")
		return err
	}))
	reachable(t, alfa, bravo, metav1.ConditionFalse, v1alpha1.ReasonReceiptOverdue)
	there, back := t.TempDir(), t.TempDir()
	ctx := within(t, 2*patience)
	carry := func(from, to *scenario.Party, dir string) {
		said, err := from.CLI(ctx, nil, "courier", "export", to.Name, "-d", dir, "--max-size", "50k")
		must(t, err)
		t.Log(said)
		for range 2 {
			said, err = to.CLI(ctx, nil, "courier", "import", dir)
			must(t, err)
		}
		t.Log(said)
	}
	carry(alfa, bravo, there)
	carry(bravo, alfa, back)
	onceThere(t, id)
	arrived()

	must(t, scenario.Restore(t.Context()))
	connected(t)
	_, err := bravo.CLI(ctx, nil, "courier", "import", there)
	must(t, err)
	onceThere(t, id)
	for _, read := range []string{first, id} { // what nobody reads escalates
		_, err := bravo.CLI(ctx, nil, "hotline", "ack", read, "--officer", "e2e")
		must(t, err)
	}
}
