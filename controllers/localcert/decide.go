// SPDX-FileCopyrightText: The certlink authors
// SPDX-License-Identifier: Apache-2.0

package localcert

import (
	"cmp"
	"crypto/x509"
	"errors"
	"net"
	"slices"
	"strconv"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/equality"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"github.com/certlink/certlink/api/v1alpha1"
	"github.com/certlink/certlink/controllers/internal/manifest"
	"github.com/certlink/certlink/controllers/internal/relayconfig"
	"github.com/certlink/certlink/controllers/internal/reports"
	"github.com/certlink/certlink/controllers/internal/status"
	"github.com/certlink/certlink/internal/cabundle"
	"github.com/certlink/certlink/internal/card"
	"github.com/certlink/certlink/relay/config"
)

// plan is what a LocalCERT should become.
type plan struct {
	objects  []*unstructured.Unstructured
	config   *config.Config
	checksum string
	// leftOut says what the configuration has no room for; nil if it holds all.
	leftOut   *status.Verdict
	endpoints []v1alpha1.Endpoint
	card      card.Card
	material  material
	// leaves are our certificates as a rotation sees them.
	leaves []leafState
	// trust is the state that is to be stored; moved tells that it makes another plan
	// than the one that is stored.
	trust trust
	moved bool
	// spare are the generations of CAs of our own that nobody needs any more.
	spare []int32
	// target to read the report from, nil while there is no relay to ask.
	target *reports.Target
}

// decide turns what was seen into what should be. It is pure.
//
// All of the plan follows from the state of our trust as it is stored. The state
// that comes next is stored with the status, and planned for on the next visit.
func (o Options) decide(l *v1alpha1.LocalCERT, s *seen, now time.Time) (*plan, error) {
	p := &plan{endpoints: endpoints(l, s.service)}
	for _, c := range s.certificates {
		p.leaves = append(p.leaves, stateOf(c, now))
	}
	canary := stateOf(s.canary, now)
	canary.fault = cmp.Or(s.nextFault, canary.fault)
	t := trustOf(l, s.certificates[0])
	bundle := t.bundle(p.leaves, canary)
	t.authority.Bundle = cabundle.Encode(bundle)
	switching := t.rotation != nil && t.rotation.Step != v1alpha1.StepDistribute
	p.material = judge(s.certificates, s.issuerFault, switching, now)

	s.input.OwnBundle = t.authority.Bundle
	fitted, err := relayconfig.Fit(s.input)
	if err != nil {
		return nil, err
	}
	p.config, p.leftOut = fitted.Config, fitted.LeftOut()
	file := fitted.File
	p.checksum = config.Checksum(file)
	p.card = card.Card{
		Name:      card.Name(l.Name),
		Identity:  l.Spec.Identity,
		Endpoints: p.endpoints,
		Bundle:    t.authority.Bundle,
	}
	if err := p.build(l, o, s, t, file); err != nil {
		return nil, err
	}
	if p.material.deployable || p.material.readable && s.statefulSet != nil {
		p.target = o.target(l, cabundle.Union(bundle, p.material.authorities), s.certificates)
	}
	p.trust = advance(t, p.sight(l, s, canary, now))
	p.moved = moved(t, p.trust)
	p.spare = spare(t, l, s, p.leaves)
	return p, nil
}

// sight is what of a visit matters to a rotation. A report counts when it is current.
func (p *plan) sight(l *v1alpha1.LocalCERT, s *seen, canary leafState, now time.Time) sight {
	out := sight{local: l, now: now, leaves: p.leaves, canary: canary, strangers: s.strangers, peers: s.input.Peers}
	if s.view.Contact == reports.Reached && s.view.Report != nil {
		out.report = s.view.Report
		out.live = s.view.Report.Config.Checksum == p.checksum
	}
	return out
}

// moved tells whether another plan follows from a state than from the one before.
func moved(before, after trust) bool {
	plain := func(t trust) (v1alpha1.AuthorityStatus, *v1alpha1.RotationStatus) {
		authority, rotation := t.authority, t.rotation.DeepCopy()
		authority.Root, authority.ReplacedRoot, authority.RequestedGeneration = "", "", 0
		if rotation != nil {
			rotation.Peers, rotation.WaitingFor, rotation.ToRoot = nil, "", ""
		}
		return authority, rotation
	}
	a, r := plain(before)
	b, q := plain(after)
	return !equality.Semantic.DeepEqual(a, b) || !equality.Semantic.DeepEqual(r, q)
}

// spare generations are those that no part of the state and of the spec names, once
// no certificate comes from them.
func spare(t trust, l *v1alpha1.LocalCERT, s *seen, leaves []leafState) []int32 {
	if t.rotation != nil || t.authority.Root == "" {
		return nil
	}
	for _, c := range leaves {
		if !c.from(t.issuing()) || c.root != t.authority.Root {
			return nil
		}
	}
	var out []int32
	for _, g := range s.generations {
		ref := manifest.CAIssuer(l.Name, g)
		named := l.Spec.IssuerRef != nil && normal(*l.Spec.IssuerRef) == ref
		if !named && ref != t.issuing() && !slices.Contains(t.generations(), g) {
			out = append(out, g)
		}
	}
	return out
}

// build makes the objects, in the order in which they are needed. The relay's
// pod waits for its Secrets: one that mounts what is not there yet is retried by
// the kubelet ever more slowly.
func (p *plan) build(l *v1alpha1.LocalCERT, o Options, s *seen, t trust, file []byte) error {
	for _, generation := range t.generations() {
		p.objects = append(p.objects, manifest.CA(l, generation)...)
	}
	p.objects = append(p.objects, manifest.Certificates(l, hosts(p.endpoints), t.issuing(), t.authority.Reissues)...)
	p.objects = append(p.objects, manifest.Canary(l, t.next()))

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
	add(manifest.NetworkPolicy(l, o.OperatorNamespace, p.config, relayconfig.NetworkOf(s.input, p.config)))
	add(manifest.DisruptionBudget(l))
	add(manifest.ConfigMap(l, file))
	if p.material.deployable || s.statefulSet != nil {
		add(manifest.StatefulSet(l, o.RelayImage, manifest.FixedOf(l, s.statefulSet), s.input.Mounted()))
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
func (o Options) target(l *v1alpha1.LocalCERT, roots []*x509.Certificate, all []issued) *reports.Target {
	t := &reports.Target{
		LocalCERT:   l.Name,
		ServerName:  manifest.LocalServerName(l),
		Address:     o.Address(l),
		TrustDomain: l.Spec.Identity.TrustDomain,
		RootsPEM:    []byte(cabundle.Encode(roots)),
	}
	for _, c := range all {
		if c.path == "/operator" && c.secret != nil {
			t.CertificatePEM = c.secret.Data[corev1.TLSCertKey]
			t.KeyPEM = c.secret.Data[corev1.TLSPrivateKeyKey]
		}
	}
	return t
}
