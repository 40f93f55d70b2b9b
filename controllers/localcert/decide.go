// SPDX-FileCopyrightText: The certlink authors
// SPDX-License-Identifier: Apache-2.0

package localcert

import (
	"errors"
	"fmt"
	"net"
	"strconv"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"github.com/certlink/certlink/api/v1alpha1"
	"github.com/certlink/certlink/controllers/internal/manifest"
	"github.com/certlink/certlink/controllers/internal/relayconfig"
	"github.com/certlink/certlink/controllers/internal/reports"
	"github.com/certlink/certlink/internal/card"
	"github.com/certlink/certlink/relay/config"
)

// plan is what a LocalCERT should become.
type plan struct {
	objects   []*unstructured.Unstructured
	config    *config.Config
	checksum  string
	endpoints []v1alpha1.Endpoint
	card      card.Card
	material  material
	// target to read the report from, nil while there is no relay to ask.
	target *reports.Target
}

// decide turns what was seen into what should be. It is pure.
func (o Options) decide(l *v1alpha1.LocalCERT, s *seen, now time.Time) (*plan, error) {
	p := &plan{
		config:    relayconfig.Assemble(s.input),
		endpoints: endpoints(l, s.service),
		material:  judge(s.certificates, s.issuerFault, now),
	}
	file, err := config.Encode(p.config)
	if err != nil {
		return nil, fmt.Errorf("writing the relay's configuration: %w", err)
	}
	p.checksum = config.Checksum(file)
	p.card = card.Card{
		Name:      card.Name(l.Name),
		Identity:  l.Spec.Identity,
		Endpoints: p.endpoints,
		Bundle:    card.Bundle(p.material.authorities),
	}
	if err := p.build(l, o, s, file); err != nil {
		return nil, err
	}
	if p.material.deployable || p.material.readable && s.statefulSet != nil {
		p.target = o.target(l, p.material, s.certificates)
	}
	return p, nil
}

// build makes the objects, in the order in which they are needed. The relay's
// pod waits for its Secrets: one that mounts what is not there yet is retried by
// the kubelet ever more slowly.
func (p *plan) build(l *v1alpha1.LocalCERT, o Options, s *seen, file []byte) error {
	if l.Spec.IssuerRef == nil {
		p.objects = append(p.objects, manifest.CA(l)...)
	}
	p.objects = append(p.objects, manifest.Certificates(l, hosts(p.endpoints))...)

	var errs []error
	add := func(u *unstructured.Unstructured, err error) {
		if err != nil {
			errs = append(errs, err)
			return
		}
		p.objects = append(p.objects, u)
	}
	add(manifest.LinkService(l))
	add(manifest.LocalService(l))
	add(manifest.NetworkPolicy(l, o.OperatorNamespace, p.config.Peers, relayconfig.NetworkOf(s.input, p.config)))
	add(manifest.DisruptionBudget(l))
	add(manifest.ConfigMap(l, file))
	if p.material.deployable || s.statefulSet != nil {
		add(manifest.StatefulSet(l, o.RelayImage, manifest.FixedOf(l, s.statefulSet)))
	}
	return errors.Join(errs...)
}

// endpoints at which peers reach us: those declared, or those that the
// Service's load balancer was given.
func endpoints(l *v1alpha1.LocalCERT, service *corev1.Service) []v1alpha1.Endpoint {
	if len(l.Spec.Addresses) > 0 {
		return l.Spec.Addresses
	}
	if service == nil {
		return nil
	}
	var out []v1alpha1.Endpoint
	for _, in := range service.Status.LoadBalancer.Ingress {
		host := in.Hostname
		if host == "" {
			host = in.IP
		}
		if host != "" && len(out) < card.MaxEndpoints {
			out = append(out, v1alpha1.Endpoint{Address: net.JoinHostPort(host, strconv.Itoa(relayconfig.LinkPort))})
		}
	}
	return out
}

func hosts(endpoints []v1alpha1.Endpoint) []string {
	var out []string
	for _, e := range endpoints {
		if host, _, err := card.SplitAddress(e.Address); err == nil {
			out = append(out, host)
		}
	}
	return out
}

// target of the report. Every CA of ours counts, so that the report can be read
// while one replaces another.
func (o Options) target(l *v1alpha1.LocalCERT, m material, all []issued) *reports.Target {
	t := &reports.Target{
		LocalCERT:   l.Name,
		ServerName:  manifest.LocalServerName(l),
		Address:     o.Address(l),
		TrustDomain: l.Spec.Identity.TrustDomain,
		RootsPEM:    []byte(card.Bundle(m.authorities)),
	}
	for _, c := range all {
		if c.path == "/operator" && c.secret != nil {
			t.CertificatePEM = c.secret.Data[corev1.TLSCertKey]
			t.KeyPEM = c.secret.Data[corev1.TLSPrivateKeyKey]
		}
	}
	return t
}
