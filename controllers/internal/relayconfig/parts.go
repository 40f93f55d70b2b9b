// SPDX-FileCopyrightText: The certlink authors
// SPDX-License-Identifier: Apache-2.0

// Package relayconfig turns resources into the relay's configuration, and says
// which resources cannot become part of it and why.
//
// All of it is pure: the controller of LocalCERT assembles the whole with the
// same functions by which the controllers of the other kinds judge their own
// part, so they cannot disagree. One bad resource never keeps a good one out.
package relayconfig

import (
	"slices"

	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/certlink/certlink/api/v1alpha1"
	"github.com/certlink/certlink/internal/card"
	"github.com/certlink/certlink/relay/config"
)

// kibibyte in bytes.
const kibibyte = 1 << 10

// Peer is the part of the configuration that a PeerCERT with this trust bundle asks for.
func Peer(p *v1alpha1.PeerCERT, bundle string) config.Peer {
	out := config.Peer{
		Name:        p.Name,
		TrustDomain: p.Spec.Identity.TrustDomain,
		DisplayName: p.Spec.Identity.DisplayName,
		Bundle:      bundle,
		Rotation:    config.Rotation(p.Spec.Trust.Rotation),
		State:       config.PeerState(p.Spec.State),
		Limits: config.Limits{
			TunnelConnections:     deref(p.Spec.Limits.TunnelConnections),
			TunnelBytesPerSecond:  kibibyte * int64(deref(p.Spec.Limits.TunnelKibibytesPerSecond)),
			TransitBytesPerSecond: kibibyte * int64(deref(p.Spec.Limits.TransitKibibytesPerSecond)),
		},
		Detection: config.Detection{
			IntervalMilliseconds: deref(p.Spec.Detection.IntervalMilliseconds),
			Misses:               deref(p.Spec.Detection.Misses),
		},
		Territory:  PeerTerritory(p.Spec),
		Transit:    config.Transit(p.Spec.Transit),
		Identities: slices.Sorted(slices.Values(p.Spec.Identities)),
	}
	// One form for all spellings, so that a comment in the PEM changes nothing.
	if certs, err := card.Certificates(bundle); err == nil {
		out.Bundle = card.Bundle(certs)
	}
	for _, e := range p.Spec.Endpoints {
		out.Endpoints = append(out.Endpoints, config.Endpoint{Address: e.Address, Label: e.Label, Priority: deref(e.Priority)})
	}
	return out
}

// Export is the part of the configuration that an exporting SharedFeed asks for:
// its peers are those that usable tells.
func Export(f *v1alpha1.SharedFeed, usable func(peer string) bool) config.Export {
	spec := f.Spec.Export
	out := config.Export{
		Name:  f.Name,
		Title: f.Spec.Title,
		Peers: []string{},
		Rule: config.Rule{
			MaxTLP:        string(spec.Rule.MaxTLP),
			Types:         slices.Sorted(slices.Values(spec.Rule.Types)),
			CEL:           spec.Rule.CEL,
			MinConfidence: deref(spec.Rule.MinConfidence),
			MaxAgeDays:    deref(spec.Rule.MaxAgeDays),
			EmanatesFrom:  config.EmanatesFrom(spec.Rule.EmanatesFrom),
		},
		Redaction: config.Redaction{
			Properties:       slices.Sorted(slices.Values(spec.Redaction.Properties)),
			VictimIdentities: string(spec.Redaction.VictimIdentities),
		},
	}
	if out.Rule.EmanatesFrom != config.FromAnywhere {
		// Elsewhere they say nothing, though the API server fills in their defaults.
		out.Rule.MinAgreement, out.Rule.WarningLists = deref(spec.Rule.MinAgreement), string(spec.Rule.WarningLists)
	}
	for _, ref := range spec.PeerRefs {
		if usable(ref.Name) {
			out.Peers = append(out.Peers, ref.Name)
		}
	}
	slices.Sort(out.Peers)
	for _, s := range spec.Sources {
		out.Sources = append(out.Sources, config.Source{Name: s.Name, UnmarkedAs: string(s.UnmarkedAs), Pull: pull(s.Pull)})
	}
	return out
}

// Import is the part of the configuration that an importing SharedFeed asks for.
func Import(f *v1alpha1.SharedFeed) config.Import {
	spec := f.Spec.Import
	return config.Import{
		Name:            f.Name,
		Title:           f.Spec.Title,
		Peer:            spec.PeerRef.Name,
		Collection:      spec.Collection,
		IntervalSeconds: deref(spec.IntervalSeconds),
		MaxObjects:      deref(spec.MaxObjects),
		Deliveries:      deliveries(spec.Deliveries),
	}
}

// Hotline is the part of the configuration that a Hotline asks for.
func Hotline(h *v1alpha1.Hotline) config.Hotline {
	out := config.Hotline{Name: h.Name, Peer: h.Spec.PeerRef.Name, Release: release(h.Spec.Release)}
	if c := h.Spec.LineChecks; c != nil {
		out.LineChecks = config.LineChecks{IntervalSeconds: deref(c.IntervalSeconds), MissedAfterSeconds: deref(c.MissedAfterSeconds), Texts: c.Texts}
	}
	for _, d := range h.Spec.Deadlines {
		out.Deadlines = append(out.Deadlines, config.Deadline{
			Precedence:             string(d.Precedence),
			ReceiptSeconds:         deref(d.ReceiptSeconds),
			AcknowledgementSeconds: deref(d.AcknowledgementSeconds),
			AnswerSeconds:          deref(d.AnswerSeconds),
		})
	}
	for _, ref := range h.Spec.Transit {
		out.Transit = append(out.Transit, ref.Name)
	}
	escalation(h, &out)
	return out
}

// Older tells whether a was made before b; of two made in the same second, the
// one whose name comes first.
func Older(a, b client.Object) bool {
	x, y := a.GetCreationTimestamp(), b.GetCreationTimestamp()
	if !x.Equal(&y) {
		return x.Before(&y)
	}
	return a.GetName() < b.GetName()
}

func deref[T any](p *T) T {
	if p == nil {
		var zero T
		return zero
	}
	return *p
}
