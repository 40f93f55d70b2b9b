// SPDX-FileCopyrightText: The certlink authors
// SPDX-License-Identifier: Apache-2.0

//go:build envtest

package envtest

import (
	"context"
	"crypto/x509"
	"encoding/pem"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	certmanagerv1 "github.com/cert-manager/cert-manager/pkg/apis/certmanager/v1"
	corev1 "k8s.io/api/core/v1"
	eventsv1 "k8s.io/api/events/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/certlink/certlink/api/v1alpha1"
	"github.com/certlink/certlink/internal/cabundle"
	"github.com/certlink/certlink/relay/report"
)

// TestARootIsReplaced plays a whole rotation with a real API server; in the middle
// of it the operator is replaced.
func TestARootIsReplaced(t *testing.T) {
	n := alfa(t)
	offers := n.offers(t)
	n.expect(t, n.local, "TrustInSync=True/InSync")
	old := n.local.Status.Authority.Root

	offers.hold(true)
	two := int32(2)
	n.edit(t, n.local, func() { n.local.Spec.Authority.Generation = &two })
	n.expect(t, n.local, "TrustInSync=False/DistributingRoot", "CertificatesIssued=True", "Ready=True")
	eventually(t, "it waits for bravo", func() error {
		n.expect(t, n.local)
		if r := n.local.Status.Rotation; r == nil || !strings.Contains(r.WaitingFor, "bravo") {
			return fmt.Errorf("rotation is %+v", r)
		}
		return nil
	})
	if bundle, err := cabundle.Parse(n.local.Status.Authority.Bundle); err != nil || len(bundle) != 2 {
		t.Errorf("the card has not both roots: %d (%v)", len(bundle), err)
	}
	n.quiet(t, n.operator) // while it waits

	n.operator.stop()
	n.operator = runOperator(t, n.server, n.relay.address)
	offers.hold(false)
	n.expect(t, n.local, "TrustInSync=True/InSync", "CertificatesIssued=True", "Ready=True")
	a := n.local.Status.Authority
	if a.Generation != 2 || a.Root == old || a.ReplacedRoot != old || n.local.Status.Rotation != nil {
		t.Errorf("unexpected status: %+v", a)
	}
	eventually(t, "the old CA is gone", func() error {
		for _, o := range []client.Object{&corev1.Secret{}, &certmanagerv1.Issuer{}, &certmanagerv1.Certificate{}} {
			err := n.Client.Get(t.Context(), client.ObjectKey{Namespace: n.Namespace, Name: "alfa-ca"}, o)
			if !apierrors.IsNotFound(err) {
				return fmt.Errorf("%T: %w", o, err)
			}
		}
		return nil
	})
	n.quiet(t, n.operator)
	t.Run("each_step_is_told_as_an_event", func(t *testing.T) {
		var list eventsv1.EventList
		if err := n.Client.List(t.Context(), &list, client.InNamespace(n.Namespace)); err != nil {
			t.Fatal(err)
		}
		var reasons []string
		for _, e := range list.Items {
			if e.Regarding.Kind == "LocalCERT" {
				reasons = append(reasons, e.Reason)
				if e.Reason == v1alpha1.ReasonInSync && strings.Contains(e.Note, old[:16]) && strings.Contains(e.Note, a.Root[:16]) {
					reasons = append(reasons, "with both hashes")
				}
			}
		}
		for _, want := range []string{"DistributingRoot", "IssuingFromRoot", "RetiringRoot", "with both hashes"} {
			if !slices.Contains(reasons, want) {
				t.Errorf("no event %s among %v", want, reasons)
			}
		}
	})
}

// played are the offers of bravo, and our relay's certificates, as the relay reports them.
type played struct {
	hold func(bool)
}

// offers lets bravo accept what our relay advertises, unless it is held, and the
// relay mount what is issued.
func (n *nation) offers(t *testing.T) played {
	t.Helper()
	ctx, stop := context.WithCancel(context.Background())
	done, hold, held := make(chan struct{}), make(chan bool), false
	go func() {
		defer close(done)
		var accepted []string
		for ctx.Err() == nil {
			identity, advertised := n.mounted(ctx)
			if !held && len(advertised) > 0 {
				accepted = advertised
			}
			if identity.Root != "" {
				n.relay.changeIf(func(r *report.Report) bool {
					if len(r.Peers) == 0 {
						return false
					}
					offer := &report.Offer{Version: 1, Versions: []int32{1}, State: "Active", ReceivedAt: time.Now().Truncate(time.Minute), AcceptedRoots: accepted, SeenRoot: identity.Root}
					before := r.Peers[0].Offer
					same := before != nil && slices.Equal(before.AcceptedRoots, accepted) && before.SeenRoot == offer.SeenRoot
					if same && r.Identity.Serial == identity.Serial && r.Identity.LocalSerial == identity.LocalSerial && r.Identity.SigningSerial == identity.SigningSerial {
						return false
					}
					r.Peers = slices.Clone(r.Peers)
					r.Peers[0].Offer, r.Identity = offer, identity
					return true
				})
			}
			select {
			case held = <-hold:
			case <-ctx.Done():
			case <-time.After(50 * time.Millisecond):
			}
		}
	}()
	t.Cleanup(func() { stop(); <-done })
	return played{hold: func(h bool) { hold <- h }}
}

// mounted is what the relay would report of its certificates and of its bundle.
func (n *nation) mounted(ctx context.Context) (report.IdentityState, []string) {
	var i report.IdentityState
	for name, serial := range map[string]*string{"link": &i.Serial, "local": &i.LocalSerial, "signing": &i.SigningSerial} {
		var secret corev1.Secret
		if err := n.Client.Get(ctx, client.ObjectKey{Namespace: n.Namespace, Name: "alfa-" + name}, &secret); err != nil {
			return report.IdentityState{}, nil
		}
		block, _ := pem.Decode(secret.Data[corev1.TLSCertKey])
		leaf, err := x509.ParseCertificate(block.Bytes)
		if err != nil {
			return report.IdentityState{}, nil
		}
		*serial = leaf.SerialNumber.Text(16)
		if roots, err := cabundle.Parse(string(secret.Data["ca.crt"])); err == nil && name == "link" {
			i.Root = cabundle.Hash(roots[0])
		}
	}
	c := n.relay.live()
	if c == nil {
		return i, nil
	}
	bundle, err := cabundle.Parse(c.Identity.Bundle)
	if err != nil {
		return i, nil
	}
	return i, cabundle.Hashes(bundle)
}
