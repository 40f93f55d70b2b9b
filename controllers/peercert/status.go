// SPDX-FileCopyrightText: The certlink authors
// SPDX-License-Identifier: Apache-2.0

package peercert

import (
	"crypto/x509"
	"fmt"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/certlink/certlink/api/v1alpha1"
	"github.com/certlink/certlink/controllers/internal/link"
	"github.com/certlink/certlink/controllers/internal/lookup"
	"github.com/certlink/certlink/controllers/internal/loop"
	"github.com/certlink/certlink/controllers/internal/relayconfig"
	"github.com/certlink/certlink/controllers/internal/reports"
	"github.com/certlink/certlink/controllers/internal/status"
	"github.com/certlink/certlink/internal/card"
	"github.com/certlink/certlink/relay/config"
	relayreport "github.com/certlink/certlink/relay/report"
)

// report writes what was seen into the status. It is pure.
func report(p *v1alpha1.PeerCERT, s *seen, edit *status.Editor, now time.Time) loop.Outcome {
	describe(p, s)
	edit.Put(v1alpha1.ConditionSuspended, suspended(p))
	if fault := barred(p, s); fault != nil {
		// Not part of the configuration: our relay accepts nothing from the peer.
		edit.Put(v1alpha1.ConditionConnected, status.Fact{Status: metav1.ConditionFalse, Reason: fault.Reason, Message: fault.Message})
		p.Status.TLS, p.Status.Paths = nil, nil
		return loop.Outcome{Verdict: *fault}
	}
	connected, again := link.Connected(s.view, p, now)
	edit.Put(v1alpha1.ConditionConnected, connected)
	proven(p, s.view)

	want := relayconfig.Peer(p, s.bundle.PEM)
	verdict, later := reports.Standing(s.view, want, func(c *config.Config) (config.Peer, bool) { return find(c, p.Name) },
		edit.Holds(v1alpha1.ConditionReady, metav1.ConditionTrue), now)
	expired, end := expiry(s.bundle, now)
	if expired != nil {
		verdict = *expired
	}
	again = lookup.Soonest(again, later)
	if !end.IsZero() {
		again = lookup.Soonest(again, end.Sub(now)+time.Second)
	}
	return loop.Outcome{Verdict: verdict, Again: again}
}

// barred says why the peer is not part of our relay's configuration.
func barred(p *v1alpha1.PeerCERT, s *seen) *status.Verdict {
	if s.local == nil {
		v := lookup.NoLocal()
		return &v
	}
	return relayconfig.PeerFault(p, s.local, s.bundle, s.siblings)
}

func suspended(p *v1alpha1.PeerCERT) status.Fact {
	switch p.Spec.State {
	case v1alpha1.PeerSuspended:
		return status.Fact{
			Status:  metav1.ConditionTrue,
			Reason:  v1alpha1.ReasonSuspended,
			Message: "spec.state is Suspended: feeds are held back in both directions; the hotline and probes go on",
		}
	case v1alpha1.PeerRevoked:
		return status.Fact{
			Status:  metav1.ConditionTrue,
			Reason:  v1alpha1.ReasonRevoked,
			Message: "spec.state is Revoked: nothing is accepted from the peer or sent to it",
		}
	case v1alpha1.PeerActive:
	}
	return status.Fact{Status: metav1.ConditionFalse, Reason: v1alpha1.ReasonActive, Message: "nothing is held back"}
}

// describe fills what follows from the spec alone.
func describe(p *v1alpha1.PeerCERT, s *seen) {
	p.Status.DetectionMilliseconds = link.Detection(p.Spec.Detection).Milliseconds()
	p.Status.Fingerprint = ""
	if certs, err := card.Certificates(s.bundle.PEM); err == nil {
		p.Status.Fingerprint = card.Fingerprint(p.Spec.Identity.TrustDomain, certs)
	}
}

// proven fills what our relay proved of the link; while its report cannot be
// read, the last word stands.
func proven(p *v1alpha1.PeerCERT, v reports.View) {
	found := link.Find(v.Report, p.Name)
	if found == nil {
		return
	}
	if found.TLS != nil {
		p.Status.TLS = &v1alpha1.PeerTLS{
			Version:      found.TLS.Version,
			Group:        found.TLS.Group,
			PeerNotAfter: status.Time(found.TLS.PeerNotAfter),
		}
	}
	if p.Spec.State == v1alpha1.PeerRevoked {
		p.Status.TLS = nil
	}
	paths := make([]v1alpha1.PeerPath, 0, len(found.Paths))
	for _, path := range found.Paths {
		if len(paths) == card.MaxEndpoints {
			break
		}
		out := v1alpha1.PeerPath{Address: path.Address, State: string(path.State)}
		if path.State != relayreport.Up {
			out.Message = status.OneLine(path.Message)
		}
		paths = append(paths, out)
	}
	p.Status.Paths = nil
	if len(paths) > 0 {
		p.Status.Paths = paths
	}
}

func find(c *config.Config, name string) (config.Peer, bool) {
	for _, p := range c.Peers {
		if p.Name == name {
			return p, true
		}
	}
	return config.Peer{}, false
}

// expiry says that no certificate of the bundle is valid now, or when the next
// one ends. The peer stays part of the configuration: the relay refuses it by
// itself, and what waits for it is kept.
func expiry(bundle relayconfig.Bundle, now time.Time) (*status.Verdict, time.Time) {
	certs, err := card.Certificates(bundle.PEM)
	if err != nil {
		return nil, time.Time{}
	}
	var next time.Time
	var last *x509.Certificate
	for _, c := range certs {
		if c.NotAfter.After(now) && !c.NotBefore.After(now) && (next.IsZero() || c.NotAfter.Before(next)) {
			next = c.NotAfter
		}
		if last == nil || c.NotAfter.After(last.NotAfter) {
			last = c
		}
	}
	if !next.IsZero() {
		return nil, next
	}
	return &status.Verdict{
		Fate:   status.Stalled,
		Reason: v1alpha1.ReasonPeerCertificateExpired,
		Message: fmt.Sprintf("spec.trust: no CA certificate of the peer is valid now (the last is valid from %s to %s); ask the peer for its new card",
			last.NotBefore.UTC().Format(time.RFC3339), last.NotAfter.UTC().Format(time.RFC3339)),
	}, time.Time{}
}
