// SPDX-FileCopyrightText: The certlink authors
// SPDX-License-Identifier: Apache-2.0

// Package card is the public description of a CERT that its peers need: a
// PeerCERT manifest in YAML without namespace, state and status.
//
//	apiVersion: certlink.dev/v1alpha1
//	kind: PeerCERT
//	metadata:
//	  name: alfa
//	spec:
//	  endpoints: [...]
//	  identity: {...}
//	  trust:
//	    bundle: |
//	      -----BEGIN CERTIFICATE-----
//
// The package promises that equal content gives equal bytes, and that what
// Parse returns is bounded and holds usable CA certificates and nothing else. A
// card is not signed: people compare its Fingerprint over another channel. The
// package knows no clock: whether a certificate is valid now is for the caller
// to say.
package card

import (
	"fmt"
	"strings"

	"sigs.k8s.io/yaml"

	"github.com/certlink/certlink/api/v1alpha1"
)

// Card is the public description of a CERT.
type Card struct {
	// Name that the CERT proposes for itself: a DNS label. Peers may choose another.
	Name string
	// Identity of the CERT.
	Identity v1alpha1.Identity
	// Endpoints of its relay, at most MaxEndpoints; none when it only dials.
	Endpoints []v1alpha1.Endpoint
	// Bundle holds the certificates of its CA in PEM, as Bundle writes them.
	Bundle string
}

// Limits of a card.
const (
	// MaxBytes is the longest card that Parse reads, and the longest that
	// LocalCERT's status can hold.
	MaxBytes = 64 << 10
	// MaxEndpoints is the largest number of endpoints.
	MaxEndpoints = 8
)

// wire is the card as it is written. It is not v1alpha1.PeerCERT, because a card
// has no namespace, state or status, and Parse refuses what a card does not have.
type wire struct {
	APIVersion string   `json:"apiVersion"`
	Kind       string   `json:"kind"`
	Metadata   wireMeta `json:"metadata"`
	Spec       wireSpec `json:"spec"`
}

type wireMeta struct {
	Name string `json:"name"`
}

type wireSpec struct {
	Endpoints []v1alpha1.Endpoint `json:"endpoints,omitempty"`
	Identity  v1alpha1.Identity   `json:"identity"`
	Trust     wireTrust           `json:"trust"`
}

type wireTrust struct {
	Bundle string `json:"bundle"`
}

// Build returns the card in YAML, after the checks of Parse. The bundle is
// written anew: certificates only, sorted, each once.
func Build(c Card) ([]byte, error) {
	certs, err := Certificates(c.Bundle)
	if err != nil {
		return nil, fmt.Errorf("building card of %q: %w", c.Identity.TrustDomain, err)
	}
	c.Bundle = Bundle(certs)
	if err := c.check(); err != nil {
		return nil, fmt.Errorf("building card of %q: %w", c.Identity.TrustDomain, err)
	}
	out, err := yaml.Marshal(wire{
		APIVersion: v1alpha1.GroupVersion.String(),
		Kind:       "PeerCERT",
		Metadata:   wireMeta{Name: c.Name},
		Spec: wireSpec{
			Endpoints: c.Endpoints,
			Identity:  c.Identity,
			Trust:     wireTrust{Bundle: c.Bundle},
		},
	})
	if err != nil {
		return nil, fmt.Errorf("building card of %q: %w", c.Identity.TrustDomain, err)
	}
	if len(out) > MaxBytes {
		return nil, fmt.Errorf("building card of %q: it has %d bytes, a card has at most %d", c.Identity.TrustDomain, len(out), MaxBytes)
	}
	return out, nil
}

// PeerCERT returns the card as the resource that it is, without a namespace.
func (c Card) PeerCERT() *v1alpha1.PeerCERT {
	p := &v1alpha1.PeerCERT{}
	p.APIVersion = v1alpha1.GroupVersion.String()
	p.Kind = "PeerCERT"
	p.Name = c.Name
	p.Spec.Identity = *c.Identity.DeepCopy()
	for i := range c.Endpoints {
		p.Spec.Endpoints = append(p.Spec.Endpoints, *c.Endpoints[i].DeepCopy())
	}
	p.Spec.Trust.Bundle = c.Bundle
	return p
}

// Fingerprint of the card, as the function Fingerprint gives it.
func (c Card) Fingerprint() (string, error) {
	certs, err := Certificates(c.Bundle)
	if err != nil {
		return "", err
	}
	return Fingerprint(c.Identity.TrustDomain, certs), nil
}

// Name makes a name for a card out of any text: a DNS label of at most 63
// characters, or "cert" when nothing of the text can be used.
func Name(text string) string {
	label := strings.Map(func(r rune) rune {
		switch {
		case r >= 'a' && r <= 'z', r >= '0' && r <= '9':
			return r
		case r >= 'A' && r <= 'Z':
			return r + 'a' - 'A'
		}
		return '-'
	}, text)
	label = strings.Trim(label[:min(len(label), 63)], "-")
	if label == "" {
		return "cert"
	}
	return label
}
