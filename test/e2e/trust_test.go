// SPDX-FileCopyrightText: The certlink authors
// SPDX-License-Identifier: Apache-2.0

//go:build e2e

package e2e

import (
	"context"
	"crypto/tls"
	"fmt"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/certlink/certlink/api/v1alpha1"
	"github.com/certlink/certlink/internal/relayclient"
	"github.com/certlink/certlink/internal/testca"
	wire "github.com/certlink/certlink/relay/desk"
	"github.com/certlink/certlink/test/scenario"
)

func down(reason string) scenario.Want {
	return scenario.Want{Type: v1alpha1.ConditionConnected, Status: metav1.ConditionFalse, Reason: reason}
}

// explained waits for a reason and checks that the message says which side and
// what to do, and that our own side stays ready.
func explained(t *testing.T, p *scenario.Party, peer string, want scenario.Want) {
	t.Helper()
	got, err := p.AwaitPeer(within(t, patience), peer, append(scenario.True(v1alpha1.ConditionReady), want)...)
	must(t, err)
	for _, c := range got.Status.Conditions {
		if c.Type == v1alpha1.ConditionConnected {
			t.Logf("%s says: %s: %s", p.Name, c.Reason, c.Message)
			if len(c.Message) < 20 {
				t.Errorf("the message %q says too little", c.Message)
			}
		}
	}
}

// trust replaces the bundle that p holds for other, and puts the right one back
// after the test.
func trust(t *testing.T, p, other *scenario.Party, bundle string) {
	t.Helper()
	var right string
	err := scenario.Change(t.Context(), p, other.Name, &v1alpha1.PeerCERT{}, func(peer *v1alpha1.PeerCERT) {
		right = peer.Spec.Trust.Bundle
		peer.Spec.Trust.Bundle = bundle
	})
	must(t, err)
	cleanup(t, func(ctx context.Context) error {
		err := scenario.Change(ctx, p, other.Name, &v1alpha1.PeerCERT{}, func(peer *v1alpha1.PeerCERT) { peer.Spec.Trust.Bundle = right })
		if err != nil {
			return err
		}
		return both(ctx, func(ctx context.Context, p, other *scenario.Party) error {
			_, err := p.AwaitPeer(ctx, other.Name, scenario.True(v1alpha1.ConditionConnected)...)
			return err
		})
	})
}

func TestAWrongBundle(t *testing.T) {
	connected(t)
	client := desk(t, alfa)
	var sent wire.Message
	t.Run("is_named_on_both_sides_and_nothing_crosses", func(t *testing.T) {
		trust(t, alfa, bravo, testca.New(t, bravo.TrustDomain).Bundle())
		explained(t, alfa, bravo.Name, down(v1alpha1.ReasonPeerCertificateUntrusted))
		explained(t, bravo, alfa.Name, down(v1alpha1.ReasonPeerRefusedUs))
		var err error
		sent, err = client.Send(within(t, patience), wire.SendRequest{Hotline: bravo.Name, Subject: "s", Text: "t", Officer: "e2e"})
		must(t, err)
		// A later look at the link, so that a delivery had its chance.
		err = scenario.Poll(within(t, patience), "the failed delivery is in the report", func(ctx context.Context) error {
			r, err := scenario.Report(ctx, client)
			if err != nil {
				return err
			}
			for _, h := range r.Hotlines {
				if h.Name == bravo.Name && h.Queued > 0 && h.Error != "" {
					t.Logf("the report says: %s", h.Error)
					return nil
				}
			}
			return fmt.Errorf("the hotlines are %+v", r.Hotlines)
		})
		must(t, err)
		if m, err := client.Get(t.Context(), relayclient.Out, bravo.TrustDomain, sent.ID); err != nil || m.State != "Queued" {
			t.Errorf("the message is %s (%v), want it queued", m.State, err)
		}
	})
	t.Run("put_right_the_message_arrives", func(t *testing.T) {
		arrives(t, client, sent.ID)
	})
}

// arrives waits for the receipt of a message of alfa, and acknowledges it.
func arrives(t *testing.T, client *relayclient.Client, id string) {
	t.Helper()
	err := scenario.Poll(within(t, patience), "message "+id+" has its receipt", func(ctx context.Context) error {
		m, err := client.Get(ctx, relayclient.Out, bravo.TrustDomain, id)
		if err == nil && m.State == "Queued" {
			err = fmt.Errorf("it is %s", m.State)
		}
		return err
	})
	must(t, err)
	_, err = bravo.CLI(within(t, patience), nil, "hotline", "ack", id)
	must(t, err)
}

// Either side may revoke alone and at once; what the other sends stays with it.
func TestRevokingAPeer(t *testing.T) {
	connected(t)
	state := func(ctx context.Context, to v1alpha1.PeerState) error {
		return scenario.Change(ctx, bravo, alfa.Name, &v1alpha1.PeerCERT{}, func(p *v1alpha1.PeerCERT) { p.Spec.State = to })
	}
	client := desk(t, alfa)
	cleanup(t, func(ctx context.Context) error { return state(ctx, v1alpha1.PeerActive) })
	must(t, state(t.Context(), v1alpha1.PeerRevoked))
	start := time.Now()
	explained(t, bravo, alfa.Name, down(v1alpha1.ReasonRevoked))
	explained(t, alfa, bravo.Name, down(v1alpha1.ReasonPeerRefusedUs))
	t.Logf("alfa knows %.1fs after bravo revoked it", time.Since(start).Seconds())
	sent, err := client.Send(within(t, patience), wire.SendRequest{Hotline: bravo.Name, Subject: "s", Text: "t", Officer: "e2e"})
	must(t, err)
	said, err := alfa.CLI(within(t, patience), nil, "status", "--check")
	if err == nil {
		t.Errorf("status --check is content:\n%s", said)
	}
	if m, err := client.Get(t.Context(), relayclient.Out, bravo.TrustDomain, sent.ID); err != nil || m.State != "Queued" {
		t.Errorf("the message is %s (%v), want it queued", m.State, err)
	}
	must(t, state(t.Context(), v1alpha1.PeerActive))
	connected(t)
	arrives(t, client, sent.ID)
	settled(t)
	said, err = alfa.CLI(within(t, patience), nil, "status", "--check")
	if err != nil {
		t.Errorf("status --check is not content: %v\n%s", err, said)
	}
}

func TestAnExpiredBundle(t *testing.T) {
	connected(t)
	expired := testca.New(t, bravo.TrustDomain, testca.Options{NotBefore: time.Now().Add(-48 * time.Hour), NotAfter: time.Now().Add(-time.Hour)})
	trust(t, alfa, bravo, expired.Bundle())
	peer, err := alfa.AwaitPeer(within(t, patience), bravo.Name, down(v1alpha1.ReasonPeerCertificateExpired))
	must(t, err)
	// It is our own object that is at fault, so Ready says so, too.
	for _, c := range peer.Status.Conditions {
		t.Logf("alfa says: %s=%s %s: %s", c.Type, c.Status, c.Reason, c.Message)
	}
	must(t, scenario.All(peer.Status.Conditions, peer.Generation, scenario.Want{Type: v1alpha1.ConditionReady, Status: metav1.ConditionFalse, Reason: v1alpha1.ReasonPeerCertificateExpired}))
	_, err = bravo.AwaitPeer(within(t, patience), alfa.Name, scenario.Want{Type: v1alpha1.ConditionConnected, Status: metav1.ConditionFalse})
	must(t, err)
}

// addPeer declares a further peer of alfa.
func addPeer(t *testing.T, name, trustDomain, bundle, address string) {
	t.Helper()
	peer := &v1alpha1.PeerCERT{ObjectMeta: alfa.Meta(name)}
	peer.Spec.Identity = v1alpha1.Identity{DisplayName: name, TrustDomain: trustDomain}
	peer.Spec.Trust.Bundle = bundle
	if address != "" {
		peer.Spec.Endpoints = []v1alpha1.Endpoint{{Address: address}}
	}
	must(t, alfa.Apply(t.Context(), peer))
	cleanup(t, func(ctx context.Context) error { return alfa.Client.Delete(ctx, peer) })
}

func TestAnotherTrustDomainAtTheAddress(t *testing.T) {
	local, err := bravo.Local(t.Context())
	must(t, err)
	addPeer(t, "charlie", "charlie.example", testca.New(t, "charlie.example").Bundle(), local.Status.Addresses[0])
	explained(t, alfa, "charlie", down(v1alpha1.ReasonPeerTrustDomainMismatch))
}

func TestAnUnreachableAddress(t *testing.T) {
	// TEST-NET-1 (RFC 5737): nobody is there.
	addPeer(t, "charlie", "charlie.example", testca.New(t, "charlie.example").Bundle(), "192.0.2.1:8443")
	explained(t, alfa, "charlie", down(v1alpha1.ReasonAddressUnreachable))
}

// A certificate that names charlie but was issued by bravo's CA is nobody, even
// though alfa trusts bravo's CA for bravo.
func TestCharlieSignedByBravoIsRefused(t *testing.T) {
	local, err := bravo.Local(t.Context())
	must(t, err)
	name := bravo.Name + "-ca"
	if n := local.Status.Authority.Generation; n > 1 {
		name = fmt.Sprintf("%s-%d", name, n)
	}
	var secret corev1.Secret
	must(t, bravo.Client.Get(t.Context(), bravo.Key(name), &secret))
	bravosCA, err := testca.Load(bravo.TrustDomain, secret.Data["tls.crt"], secret.Data["tls.key"])
	must(t, err)
	charliesCA := testca.New(t, "charlie.example")
	addPeer(t, "charlie", "charlie.example", charliesCA.Bundle(), "")
	_, err = alfa.AwaitPeer(within(t, patience), "charlie", scenario.True(v1alpha1.ConditionReady)...)
	must(t, err)

	knock := func(pair testca.Pair) (*http.Response, error) {
		dial, closing, err := alfa.Forward(scenario.LinkPort)
		must(t, err)
		t.Cleanup(closing)
		client := &http.Client{Timeout: patience, Transport: &http.Transport{
			DisableKeepAlives: true,
			DialContext:       func(ctx context.Context, _, _ string) (net.Conn, error) { return dial(ctx) },
			// Who answers is not the question here.
			TLSClientConfig: &tls.Config{MinVersion: tls.VersionTLS13, Certificates: []tls.Certificate{pair.TLS()}, InsecureSkipVerify: true},
		}}
		req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "https://"+alfa.TrustDomain+"/taxii2/", nil)
		must(t, err)
		req.Header.Set("Accept", relayclient.MediaType)
		return client.Do(req)
	}
	t.Run("charlies_own_certificate_is_welcome", func(t *testing.T) {
		pair := charliesCA.Leaf(t, testca.Leaf{Path: "/relay"})
		err := scenario.Poll(within(t, patience), "alfa's relay knows charlie", func(context.Context) error {
			resp, err := knock(pair)
			if err != nil {
				return err
			}
			defer resp.Body.Close()
			if resp.StatusCode != http.StatusOK {
				return fmt.Errorf("the answer is %s", resp.Status)
			}
			return nil
		})
		must(t, err)
	})
	t.Run("one_signed_by_bravos_CA_is_refused", func(t *testing.T) {
		resp, err := knock(bravosCA.Leaf(t, testca.Leaf{Path: "/relay", TrustDomain: "charlie.example"}))
		if err == nil {
			resp.Body.Close()
			t.Fatalf("alfa answered %s to a certificate of charlie that bravo's CA signed", resp.Status)
		}
		if !strings.Contains(err.Error(), "tls") {
			t.Errorf("the refusal is %v, want one of TLS", err)
		}
		t.Logf("refused: %v", err)
	})
}
