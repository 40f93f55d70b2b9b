// SPDX-FileCopyrightText: The certlink authors
// SPDX-License-Identifier: Apache-2.0

//go:build e2e

package e2e

import (
	"context"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/oklog/ulid/v2"
	"github.com/spiffe/go-spiffe/v2/bundle/x509bundle"
	"github.com/spiffe/go-spiffe/v2/spiffeid"
	"sigs.k8s.io/controller-runtime/pkg/client"

	corev1 "k8s.io/api/core/v1"

	"github.com/certlink/certlink/api/v1alpha1"
	"github.com/certlink/certlink/internal/relayclient"
	wire "github.com/certlink/certlink/relay/desk"
	"github.com/certlink/certlink/relay/journal"
	"github.com/certlink/certlink/relay/receipt"
	"github.com/certlink/certlink/test/scenario"
)

// verify opens a signed receipt with the bundle that p holds for other, as
// anybody could who is shown the two.
func verify(t *testing.T, p, other *scenario.Party, m wire.Message) {
	t.Helper()
	var peer v1alpha1.PeerCERT
	must(t, p.Client.Get(t.Context(), p.Key(other.Name), &peer))
	bundle, err := x509bundle.Parse(spiffeid.RequireTrustDomainFromString(other.TrustDomain), []byte(peer.Spec.Trust.Bundle))
	must(t, err)
	if !strings.Contains(m.Receipt, m.ID) {
		t.Fatalf("the receipt of message %s is %q", m.ID, m.Receipt)
	}
	var chain [][]byte
	for block, rest := pem.Decode([]byte(m.Chain)); block != nil; block, rest = pem.Decode(rest) {
		chain = append(chain, block.Bytes)
	}
	signer, err := receipt.OpenChain(bundle, chain, time.Now())
	if err != nil || signer.TrustDomain != other.TrustDomain {
		t.Fatalf("the receipt of message %s is proven by %q: %v", m.ID, signer.TrustDomain, err)
	}
	proof, err := journal.ParseProof([]byte(m.Proof))
	must(t, err)
	if _, err := proof.Check(journal.Receipt, []byte(m.Receipt), journal.Origin(other.TrustDomain, p.TrustDomain), signer.Key); err != nil {
		t.Errorf("the receipt of message %s is not %s's: %v", m.ID, other.Name, err)
	}
}

func show(t *testing.T, p *scenario.Party, id string) (m wire.Message) {
	t.Helper()
	said, err := p.CLI(within(t, patience), nil, "hotline", "show", id, "-o", "json")
	must(t, err)
	must(t, json.Unmarshal([]byte(said), &m))
	return m
}

func TestHotline(t *testing.T) {
	connected(t)
	for _, pair := range [][2]*scenario.Party{{alfa, bravo}, {bravo, alfa}} {
		p, other := pair[0], pair[1]
		t.Run(p.Name+"_sends_and_"+other.Name+"_acknowledges", func(t *testing.T) {
			start := time.Now()
			said, err := p.CLI(within(t, patience), strings.NewReader("Do you see it as well?\n"), "hotline", "send", other.Name,
				"--subject", "A question", "--kind", "INQUIRY", "--precedence", "FLASH", "--wait", "receipt", "-o", "json")
			must(t, err)
			var sent wire.Message
			must(t, json.Unmarshal([]byte(said), &sent))
			t.Logf("sent and receipted in %.2fs; stored %s, receipt %s", time.Since(start).Seconds(), sent.StoredAt, sent.ReceiptAt)
			verify(t, p, other, show(t, p, sent.ID))

			received := show(t, other, sent.ID)
			if received.Text != "Do you see it as well?\n" || received.Peer != p.TrustDomain || received.Direction != "in" {
				t.Errorf("%s received %+v", other.Name, received)
			}
			inbox, err := other.CLI(within(t, patience), nil, "hotline", "inbox", "--unread")
			must(t, err)
			if !strings.Contains(inbox, sent.ID) {
				t.Errorf("the inbox of %s lacks %s:\n%s", other.Name, sent.ID, inbox)
			}
			_, err = other.CLI(within(t, patience), nil, "hotline", "ack", sent.ID, "--officer", "officer of "+other.Name)
			must(t, err)
			err = scenario.Poll(within(t, patience), "the acknowledgement has come back", func(context.Context) error {
				if m := show(t, p, sent.ID); m.State != "Acknowledged" || m.AcknowledgedBy != "officer of "+other.Name {
					return fmt.Errorf("it is %s by %q", m.State, m.AcknowledgedBy)
				}
				return nil
			})
			must(t, err)
			settled(t)
		})
	}
}

// settled waits until no hotline has anything queued or unread by status.
func settled(t *testing.T) {
	t.Helper()
	err := both(within(t, patience), func(ctx context.Context, p, other *scenario.Party) error {
		_, err := p.AwaitHotline(ctx, other.Name, func(h v1alpha1.Hotline) error {
			return scenario.All(h.Status.Conditions, h.Generation, scenario.True(v1alpha1.ConditionReady, v1alpha1.ConditionReachable, v1alpha1.ConditionAnswered)...)
		})
		return err
	})
	must(t, err)
}

// kill ends a relay's process without warning.
func kill(ctx context.Context, p *scenario.Party) error {
	if p.Harness != nil {
		return p.Harness.KillPod(ctx, p.Namespace, p.Relay(), "relay")
	}
	now := int64(0)
	return p.Client.Delete(ctx, &corev1.Pod{ObjectMeta: p.Meta(p.Relay())}, &client.DeleteOptions{GracePeriodSeconds: &now})
}

// sendAll sends a message again under its id until the relay says that it is stored.
func sendAll(ctx context.Context, c *relayclient.Client, hotline string, ids []string, sent func(int)) error {
	for i, id := range ids {
		request := wire.SendRequest{Hotline: hotline, ID: id, Subject: fmt.Sprintf("message %d", i), Text: "burst", Officer: "e2e", Precedence: "PRIORITY"}
		err := scenario.Poll(ctx, "message "+id+" is stored", func(ctx context.Context) error {
			_, err := c.Send(ctx, request)
			return err
		})
		if err != nil {
			return err
		}
		sent(i)
	}
	return nil
}

// received reads an inbox: the serials under which each message is in it, and all serials.
func received(ctx context.Context, c *relayclient.Client) (map[string][]int64, []int64, error) {
	seen, serials := map[string][]int64{}, []int64(nil)
	selection := relayclient.Selection{Direction: relayclient.In, Limit: 200}
	for {
		page, err := c.List(ctx, selection)
		if err != nil {
			return nil, nil, err
		}
		for _, m := range page.Messages {
			seen[m.ID] = append(seen[m.ID], m.Serial)
			serials = append(serials, m.Serial)
		}
		if page.Next == 0 {
			return seen, serials, nil
		}
		selection.Before = page.Next
	}
}

// burst is how many messages each side sends while both relays are killed.
const burst = 100

func TestKilledRelaysLoseNothing(t *testing.T) {
	connected(t)
	ctx := within(t, 3*time.Minute)
	ids := map[*scenario.Party][]string{}
	desks := map[*scenario.Party]*relayclient.Client{}
	for _, p := range []*scenario.Party{alfa, bravo} {
		desks[p] = desk(t, p)
		for range burst {
			ids[p] = append(ids[p], ulid.Make().String())
		}
	}
	var killing sync.WaitGroup
	err := both(ctx, func(ctx context.Context, p, other *scenario.Party) error {
		return sendAll(ctx, desks[p], other.Name, ids[p], func(i int) {
			// Each relay dies while both sides send.
			if at := map[*scenario.Party]int{alfa: burst / 4, bravo: burst / 2}[p]; i == at {
				killing.Go(func() {
					if err := kill(ctx, p); err != nil {
						t.Errorf("killing the relay of %s: %v", p.Name, err)
					}
				})
			}
		})
	})
	must(t, err)
	killing.Wait()
	err = both(ctx, func(ctx context.Context, p, other *scenario.Party) error {
		return scenario.Poll(ctx, "every message of "+p.Name+" is received once", func(ctx context.Context) error {
			return receivedOnce(ctx, desks[other], ids[p])
		})
	})
	must(t, err)
	for p, other := range map[*scenario.Party]*scenario.Party{alfa: bravo, bravo: alfa} {
		for i, id := range ids[p] {
			var m wire.Message
			err := scenario.Poll(ctx, "message "+id+" has its receipt", func(ctx context.Context) (err error) {
				m, err = desks[p].Get(ctx, relayclient.Out, other.TrustDomain, id)
				if err == nil && m.Receipt == "" {
					err = fmt.Errorf("it is %s", m.State)
				}
				return err
			})
			must(t, err)
			if i%10 == 0 {
				verify(t, p, other, m)
			}
			_, err = desks[other].Acknowledge(ctx, p.TrustDomain, id, wire.AckRequest{Officer: "e2e"})
			must(t, err)
		}
		if p.Harness != nil {
			var pod corev1.Pod
			must(t, p.Client.Get(ctx, p.Key(p.Relay()), &pod))
			t.Logf("the relay of %s was restarted %d times", p.Name, pod.Status.ContainerStatuses[0].RestartCount)
			if pod.Status.ContainerStatuses[0].RestartCount == 0 {
				t.Errorf("the relay of %s was not killed", p.Name)
			}
		}
	}
	connected(t)
	settled(t)
}

// receivedOnce checks that an inbox has each message once, in the order of ids, and no gap.
func receivedOnce(ctx context.Context, c *relayclient.Client, ids []string) error {
	seen, serials, err := received(ctx, c)
	if err != nil {
		return err
	}
	before := int64(0)
	for _, id := range ids {
		if len(seen[id]) != 1 {
			return fmt.Errorf("message %s is there %d times", id, len(seen[id]))
		}
		if seen[id][0] <= before {
			return fmt.Errorf("message %s is out of order: its serial is %d, that of the one before %d", id, seen[id][0], before)
		}
		before = seen[id][0]
	}
	slices.Sort(serials)
	for i, serial := range serials {
		if serial != int64(i+1) {
			return fmt.Errorf("the serials have a gap or a double at %d: %v", i+1, serials)
		}
	}
	return nil
}
