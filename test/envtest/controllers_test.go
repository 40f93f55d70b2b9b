// SPDX-FileCopyrightText: The certlink authors
// SPDX-License-Identifier: Apache-2.0

//go:build envtest

package envtest

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	eventsv1 "k8s.io/api/events/v1"
	networkingv1 "k8s.io/api/networking/v1"
	policyv1 "k8s.io/api/policy/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/certlink/certlink/api/v1alpha1"
	"github.com/certlink/certlink/internal/card"
	"github.com/certlink/certlink/relay/config"
	"github.com/certlink/certlink/relay/report"
)

func TestNation(t *testing.T) {
	n := alfa(t)

	t.Run("status_says_what_people_need", func(t *testing.T) {
		c, err := card.Parse([]byte(n.local.Status.Card))
		if err != nil {
			t.Fatalf("the card cannot be read: %v", err)
		}
		fingerprint, err := c.Fingerprint()
		if err != nil || !card.SameFingerprint(fingerprint, n.local.Status.Fingerprint) {
			t.Errorf("the card has fingerprint %q (%v), status says %q", fingerprint, err, n.local.Status.Fingerprint)
		}
		if c.Name != "alfa" || c.Identity.TrustDomain != "alfa.example" || len(c.Endpoints) != 1 {
			t.Errorf("unexpected card: %+v", c)
		}
		applied := c.PeerCERT()
		applied.Namespace = start(t).Namespace
		if err := n.Client.Create(t.Context(), applied); err != nil {
			t.Errorf("a peer cannot apply the card as it stands: %v", err)
		}
		if n.local.Status.NotAfter == nil || n.local.Status.DeskSecretName != "alfa-desk" {
			t.Errorf("unexpected status: %+v", n.local.Status)
		}
		if n.peer.Status.DetectionMilliseconds != 350 || n.peer.Status.ProtocolVersion != 1 || len(n.peer.Status.Paths) != 2 || n.peer.Status.TLS.Group != "X25519MLKEM768" || n.peer.Status.Fingerprint == "" {
			t.Errorf("unexpected status: %+v", n.peer.Status)
		}
		if *n.export.Status.Stored != 100 || *n.export.Status.Shared != 90 || *n.export.Status.Held != 10 || len(n.export.Status.HeldReasons) != 2 {
			t.Errorf("unexpected status: %+v", n.export.Status)
		}
		if *n.hotline.Status.Unacknowledged != 2 || n.hotline.Status.LastReceiptTime == nil {
			t.Errorf("unexpected status: %+v", n.hotline.Status)
		}
	})

	t.Run("everything_is_owned_by_the_LocalCERT", func(t *testing.T) {
		for _, o := range []client.Object{
			&appsv1.StatefulSet{}, &corev1.Service{}, &corev1.ConfigMap{}, &networkingv1.NetworkPolicy{}, &policyv1.PodDisruptionBudget{},
		} {
			if err := n.Client.Get(t.Context(), client.ObjectKey{Namespace: n.Namespace, Name: "alfa-relay"}, o); err != nil {
				t.Errorf("%T: %v", o, err)
				continue
			}
			if !metav1.IsControlledBy(o, n.local) {
				t.Errorf("%T has owners %v", o, o.GetOwnerReferences())
			}
		}
		if len(n.local.Finalizers) > 0 {
			t.Errorf("there are finalizers: %v", n.local.Finalizers)
		}
	})

	t.Run("the_relay_got_what_was_declared", func(t *testing.T) {
		live := n.relay.live()
		if len(live.Peers) != 1 || live.Peers[0].TrustDomain != "bravo.example" || len(live.Exports) != 1 || len(live.Imports) != 1 || len(live.Hotlines) != 1 {
			t.Errorf("unexpected configuration: %+v", live)
		}
	})

	t.Run("changes_are_told_as_events", func(t *testing.T) {
		eventually(t, "Connected is told", func() error {
			var list eventsv1.EventList
			if err := n.Client.List(t.Context(), &list, client.InNamespace(n.Namespace)); err != nil {
				return err
			}
			for _, e := range list.Items {
				if e.Regarding.Kind == "PeerCERT" && e.Reason == v1alpha1.ReasonProbesAnswered {
					return nil
				}
			}
			return fmt.Errorf("it is not among %d events", len(list.Items))
		})
	})

	t.Run("steady_state_writes_nothing", func(t *testing.T) {
		n.quiet(t, n.operator)
	})

	t.Run("a_restarted_operator_writes_nothing", func(t *testing.T) {
		n.operator.stop()
		asked := n.relay.requests()
		n.operator = runOperator(t, n.server, n.relay.address)
		eventually(t, "the new operator has read the report", func() error {
			if n.relay.requests() < asked+2 {
				return fmt.Errorf("it has asked %d times", n.relay.requests()-asked)
			}
			return nil
		})
		n.watchQuiet(t, n.operator, 0, 5*time.Second)
	})
}

// quiet waits until nothing has been written for a moment, and then that nothing
// is written for longer.
func (n *nation) quiet(t *testing.T, o *operator) {
	t.Helper()
	eventually(t, "the writes have ended", func() error {
		before := len(o.writes.since(0))
		pause(t, time.Second)
		if more := o.writes.since(before); len(more) > 0 {
			return fmt.Errorf("there were %v", more)
		}
		return nil
	})
	n.watchQuiet(t, o, len(o.writes.since(0)), 5*time.Second)
}

func (n *nation) watchQuiet(t *testing.T, o *operator, before int, d time.Duration) {
	t.Helper()
	for end := time.Now().Add(d); time.Now().Before(end); pause(t, 100*time.Millisecond) {
		if more := o.writes.since(before); len(more) > 0 {
			t.Fatalf("nothing has changed, but the operator wrote: %v", more)
		}
	}
}

func TestLinkConditions(t *testing.T) {
	n := alfa(t)
	for _, tc := range []struct {
		name          string
		out, in       report.Direction
		want, message string
	}{
		{"unreachable", down(report.CauseUnreachable, ""), up(), "False/AddressUnreachable", "spec.endpoints"},
		{"untrusted", down(report.CauseUntrusted, ""), up(), "False/PeerCertificateUntrusted", "card"},
		{"trust_domain", down(report.CauseTrustDomain, ""), up(), "False/PeerTrustDomainMismatch", "trustDomain"},
		{"expired", down(report.CauseExpired, ""), up(), "False/PeerCertificateExpired", "validity"},
		{"refused", down(report.CauseRefused, "they say: unknown CA"), up(), "False/PeerRefusedUs", "they say: unknown CA"},
		{"silent", up(), down(report.CauseSilent, ""), "False/PeerSilent", "ask the peer"},
		{"silent_without_a_cause", up(), down(report.CauseNone, ""), "False/PeerSilent", "ask the peer"},
		{"protocol", down(report.CauseProtocol, ""), up(), "False/ProtocolError", "protocol"},
		{"up_again", up(), up(), "True/ProbesAnswered", "both directions"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			n.relay.change(func(r *report.Report) {
				r.Peers = slices.Clone(r.Peers)
				r.Peers[0].Outbound, r.Peers[0].Inbound = tc.out, tc.in
				follow(&r.Peers[0])
			})
			n.expect(t, n.peer, "Connected="+tc.want, "Ready=True")
			if m := message(n.peer, "Connected"); !strings.Contains(m, tc.message) {
				t.Errorf("message %q does not contain %q", m, tc.message)
			}
			reachable := "Reachable=False/LinkDown"
			if strings.HasPrefix(tc.want, "True") {
				reachable = "Reachable=True"
			}
			n.expect(t, n.hotline, reachable, "Ready=True")
		})
	}

	t.Run("a_relay_that_restarts_changes_nothing", func(t *testing.T) {
		n.quiet(t, n.operator)
		before := len(n.operator.writes.since(0))
		var proven []report.Peer
		n.relay.change(func(r *report.Report) { proven = r.Peers })
		n.relay.down()
		pause(t, 2*time.Second)
		n.relay.up(t)
		n.relay.change(func(r *report.Report) { // nothing is proven yet
			r.Peers = slices.Clone(r.Peers)
			r.Peers[0].Outbound, r.Peers[0].Inbound = report.Direction{State: report.Unknown}, report.Direction{State: report.Unknown}
			r.Peers[0].DetectionMilliseconds, r.Peers[0].Offer = 0, nil
			follow(&r.Peers[0])
		})
		pause(t, time.Second)
		n.relay.change(func(r *report.Report) { r.Peers = proven })
		n.watchQuiet(t, n.operator, before, 2*time.Second)
	})

	t.Run("a_relay_that_is_lost_makes_everything_Unknown", func(t *testing.T) {
		n.relay.down()
		n.expect(t, n.local, "RelayAvailable=Unknown/RelayUnreachable", "Ready=Unknown/RelayUnreachable", "CertificatesIssued=True")
		n.expect(t, n.peer, "Connected=Unknown/RelayUnreachable", "Redundant=Unknown", "PeerAccepted=Unknown", "TrustInSync=Unknown", "Ready=Unknown")
		n.expect(t, n.export, "Delivering=Unknown", "Fresh=Unknown", "Ready=Unknown")
		n.expect(t, n.hotline, "Reachable=Unknown", "Answered=Unknown", "Ready=Unknown")
		n.relay.up(t)
		n.expect(t, n.peer, "Connected=True", "Ready=True")
		n.expect(t, n.local, "RelayAvailable=True", "Ready=True")
	})
}

// follow lets the paths of a peer follow its directions.
func follow(p *report.Peer) {
	p.Paths = slices.Clone(p.Paths)
	for i := range p.Paths {
		p.Paths[i].Outbound, p.Paths[i].Inbound = p.Outbound.State, p.Inbound.State
		p.Paths[i].State = p.Outbound.State
		if p.Inbound.State != report.Up {
			p.Paths[i].State = p.Inbound.State
		}
	}
}

func up() report.Direction { return report.Direction{State: report.Up} }

func down(cause report.Cause, message string) report.Direction {
	return report.Direction{State: report.Down, Cause: cause, Message: message}
}

func TestFeedAndHotlineConditions(t *testing.T) {
	n := alfa(t)
	change := func(f func(*report.Report)) {
		n.relay.change(func(r *report.Report) {
			linkUp(r)
			f(r)
		})
	}
	t.Run("nothing_allowed", func(t *testing.T) {
		change(func(r *report.Report) {
			r.Exports[0].Peers[0].Shared = 0
			r.Exports[0].Peers[0].Held = []report.Held{{Reason: "Unmarked", Objects: 100}}
		})
		n.expect(t, n.export, "Delivering=False/NothingAllowed", "Ready=True")
		if *n.export.Status.Held != 100 || n.export.Status.HeldReasons[0].Reason != "Unmarked" {
			t.Errorf("unexpected counts: %+v", n.export.Status)
		}
	})
	t.Run("nothing_stored", func(t *testing.T) {
		change(func(r *report.Report) { r.Exports[0].Stored, r.Exports[0].Peers[0].Shared = 0, 0 })
		n.expect(t, n.export, "Delivering=False/NothingStored")
	})
	t.Run("a_pull_that_fails", func(t *testing.T) {
		change(func(r *report.Report) {
			r.Imports[0].Failing, r.Imports[0].LastSuccess = time.Now(), time.Now().Add(-time.Hour)
			r.Imports[0].Error = "the peer has no collection \"sightings\""
		})
		n.expect(t, n.imports, "Delivering=False/PullFailed", "Fresh=False/PullFailed", "Ready=True")
		if m := message(n.imports, "Delivering"); !strings.Contains(m, "sightings") {
			t.Errorf("unexpected message %q", m)
		}
	})
	t.Run("a_quota_that_is_reached", func(t *testing.T) {
		change(func(r *report.Report) { r.Imports[0].QuotaReached = true })
		n.expect(t, n.imports, "Delivering=False/QuotaReached")
	})
	t.Run("overdue_receipts", func(t *testing.T) {
		change(func(r *report.Report) { r.Hotlines[0].OverdueReceipts, r.Hotlines[0].Error = 1, "their disk is full" })
		n.expect(t, n.hotline, "Reachable=False/ReceiptOverdue", "Answered=True")
		if m := message(n.hotline, "Reachable"); !strings.Contains(m, "their disk is full") {
			t.Errorf("unexpected message %q", m)
		}
	})
	t.Run("overdue_acknowledgements", func(t *testing.T) {
		change(func(r *report.Report) { r.Hotlines[0].OverdueAcknowledgements = 1 })
		n.expect(t, n.hotline, "Reachable=True", "Answered=False/AcknowledgementOverdue")
	})
	t.Run("suspended", func(t *testing.T) {
		change(func(*report.Report) {})
		n.edit(t, n.peer, func() { n.peer.Spec.State = v1alpha1.PeerSuspended })
		n.expect(t, n.peer, "Suspended=True/Suspended", "Connected=True", "Ready=True")
		n.expect(t, n.export, "Delivering=False/Suspended", "Ready=True")
		n.expect(t, n.imports, "Delivering=False/Suspended")
		n.expect(t, n.hotline, "Reachable=True")
	})
	t.Run("revoked", func(t *testing.T) {
		n.edit(t, n.peer, func() { n.peer.Spec.State = v1alpha1.PeerRevoked })
		n.expect(t, n.peer, "Suspended=True/Revoked", "Connected=False/Revoked", "Ready=True")
		n.expect(t, n.hotline, "Reachable=False/Revoked")
		if live := n.relay.live(); live.Peers[0].State != config.Revoked {
			t.Errorf("the relay has state %q", live.Peers[0].State)
		}
	})
}

// edit changes the spec of an object.
func (s *server) edit(t *testing.T, o client.Object, change func()) {
	t.Helper()
	eventually(t, "the change is stored", func() error {
		if err := s.Client.Get(t.Context(), client.ObjectKeyFromObject(o), o); err != nil {
			return err
		}
		change()
		return s.Client.Update(t.Context(), o)
	})
}
