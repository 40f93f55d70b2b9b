// SPDX-FileCopyrightText: The certlink authors
// SPDX-License-Identifier: Apache-2.0

package localcert

import (
	"cmp"
	"crypto/x509"
	"slices"
	"time"

	corev1 "k8s.io/api/core/v1"

	"github.com/certlink/certlink/api/v1alpha1"
	"github.com/certlink/certlink/controllers/internal/manifest"
	"github.com/certlink/certlink/internal/cabundle"
)

// Annotations by which cert-manager says which issuer signed what is in a Secret.
const (
	annotationIssuerName = "cert-manager.io/issuer-name"
	annotationIssuerKind = "cert-manager.io/issuer-kind"
)

// trust is the state of our own trust as the status keeps it: the authority that
// our certificates are issued from, and the rotation that replaces its root.
//
// What the operator does follows from what the status says, and each change of it
// is stored before anything is done about it: so an operator that is killed at any
// point goes on where it was.
type trust struct {
	authority v1alpha1.AuthorityStatus
	rotation  *v1alpha1.RotationStatus
}

// trustOf reads the state from the status. Without one, as after the LocalCERT was
// made anew over the Secrets of before, it is taken from what is there.
func trustOf(l *v1alpha1.LocalCERT, link issued) trust {
	t := trust{authority: *l.Status.Authority.DeepCopy(), rotation: l.Status.Rotation.DeepCopy()}
	if t.authority.IssuerRef != nil {
		return t
	}
	ref, generation := wanted(l, requested(l))
	if from := issuerOf(link); from != nil {
		ref, generation = *from, 0
		if l.Spec.IssuerRef == nil || normal(*l.Spec.IssuerRef) != ref {
			generation = manifest.CAGeneration(l.Name, ref)
		}
	}
	t.authority = v1alpha1.AuthorityStatus{IssuerRef: &ref, Generation: generation, RequestedGeneration: requested(l)}
	if generation > 0 { // what was asked for and not done yet is still asked for
		t.authority.RequestedGeneration = min(generation, requested(l))
	}
	t.rotation = nil
	return t
}

// requested is spec.authority.generation.
func requested(l *v1alpha1.LocalCERT) int32 {
	if g := l.Spec.Authority.Generation; g != nil {
		return *g
	}
	return 1
}

// wanted is the issuer that the spec asks for; generation is that of a CA of our
// own, if it asks for one.
func wanted(l *v1alpha1.LocalCERT, generation int32) (ref v1alpha1.IssuerInUse, own int32) {
	if l.Spec.IssuerRef != nil {
		return normal(*l.Spec.IssuerRef), 0
	}
	return manifest.CAIssuer(l.Name, generation), generation
}

func normal(ref v1alpha1.IssuerReference) v1alpha1.IssuerInUse {
	return v1alpha1.IssuerInUse{Kind: cmp.Or(ref.Kind, "Issuer"), Name: ref.Name}
}

// issuerOf is the issuer that signed a certificate, or is asked to; nil when
// nothing tells.
func issuerOf(c issued) *v1alpha1.IssuerInUse {
	if c.secret != nil && c.secret.Annotations[annotationIssuerName] != "" {
		ref := normal(v1alpha1.IssuerReference{Kind: c.secret.Annotations[annotationIssuerKind], Name: c.secret.Annotations[annotationIssuerName]})
		return &ref
	}
	return askedOf(c)
}

// issuing is the issuer that our certificates are to be issued from now.
func (t trust) issuing() v1alpha1.IssuerInUse {
	if r := t.rotation; r != nil && r.Step != v1alpha1.StepDistribute {
		return r.IssuerRef
	}
	return *t.authority.IssuerRef
}

// next is the issuer that the canary is to be issued from.
func (t trust) next() v1alpha1.IssuerInUse {
	if r := t.rotation; r != nil {
		return r.IssuerRef
	}
	return *t.authority.IssuerRef
}

// generations of CAs of our own that must be there, the newest last.
func (t trust) generations() []int32 {
	var out []int32
	if g := t.authority.Generation; g > 0 {
		out = append(out, g)
	}
	if r := t.rotation; r != nil && r.Generation > 0 && r.Generation != t.authority.Generation {
		out = append(out, r.Generation)
	}
	return out
}

// bundle are the CA certificates by which peers are to know us.
//
// Without a rotation they are those of our certificates. As soon as one comes from
// another root, and until every peer is known to have seen that root, what was
// once advertised stays. While a root retires, only what our certificates need is left.
func (t trust) bundle(leaves []leafState, canary leafState) []*x509.Certificate {
	var used []*x509.Certificate
	usable := true
	for _, c := range leaves {
		used = cabundle.Union(used, c.authorities)
		usable = usable && c.root != ""
	}
	kept, _ := cabundle.Parse(t.authority.Bundle) // what we wrote; empty at first
	r := t.rotation
	switch {
	case r != nil && r.Step == v1alpha1.StepRetire && usable:
		return used
	case r != nil:
		used = cabundle.Union(kept, used, canary.authoritiesFrom(t.next()))
	case t.strange(leaves, canary) != "":
		used = cabundle.Union(kept, used, canary.authorities)
	case !usable && len(kept) > 0:
		used = kept
	}
	return bounded(used, t, leaves, canary)
}

// strange returns the root that the issuer signs with now, if it is another than
// the one that we know; else empty. The certificate signed last tells.
func (t trust) strange(leaves []leafState, canary leafState) string {
	if t.authority.Root == "" {
		return ""
	}
	last := leafState{}
	for _, c := range append([]leafState{canary}, leaves...) {
		if c.from(t.issuing()) && c.notBefore.After(last.notBefore) {
			last = c
		}
	}
	if last.root == t.authority.Root {
		return ""
	}
	return last.root
}

// bounded leaves out what is in nobody's chain when there is more than a bundle can hold.
func bounded(all []*x509.Certificate, t trust, leaves []leafState, canary leafState) []*x509.Certificate {
	if len(all) <= cabundle.MaxCertificates && len(cabundle.Encode(all)) <= cabundle.MaxBytes {
		return all
	}
	needed := map[string]bool{t.authority.Root: true, canary.root: true}
	if t.rotation != nil {
		needed[t.rotation.FromRoot], needed[t.rotation.ToRoot] = true, true
	}
	for _, c := range leaves {
		needed[c.root] = true
	}
	var out []*x509.Certificate
	for _, cert := range all {
		if needed[cabundle.Hash(cert)] {
			out = append(out, cert)
		}
	}
	return out
}

// find returns the certificate of a bundle by its hash, nil if it is not there.
func find(bundle []*x509.Certificate, hash string) *x509.Certificate {
	for _, cert := range bundle {
		if cabundle.Hash(cert) == hash {
			return cert
		}
	}
	return nil
}

// lifetime of a root, in parts: rotateBefore its end the operator replaces it by
// itself, dueBefore its end a person is told to.
const (
	rotateBefore = 3  // a third of its life
	dueBefore    = 10 // a tenth
)

// endsSoon is when less than one part in n of a root's life is left; zero without a root.
func endsSoon(root *x509.Certificate, n int64) time.Time {
	if root == nil {
		return time.Time{}
	}
	life := root.NotAfter.Sub(root.NotBefore)
	return root.NotAfter.Add(-life / time.Duration(n))
}

// leafState is what a rotation needs to know of one certificate of ours.
type leafState struct {
	name string
	path string // of the SPIFFE ID
	// issuer that its Certificate asks, nil when there is none.
	issuer *v1alpha1.IssuerInUse
	// settled: cert-manager is done with the present form of the Certificate.
	settled bool
	// root is the hash of the CA certificate that it chains to; empty when it cannot
	// be used.
	root      string
	serial    string
	notBefore time.Time
	// authorities are the CA certificates beside it.
	authorities []*x509.Certificate
	// fault says what is wrong with it, or what cert-manager says.
	fault string
}

// from tells whether it was signed by an issuer, and can be used.
func (c leafState) from(issuer v1alpha1.IssuerInUse) bool {
	return c.issuer != nil && *c.issuer == issuer && c.settled && c.root != ""
}

// authoritiesFrom are the CA certificates beside it, if an issuer signed it.
func (c leafState) authoritiesFrom(issuer v1alpha1.IssuerInUse) []*x509.Certificate {
	if !c.from(issuer) {
		return nil
	}
	return c.authorities
}

// stateOf judges one certificate.
func stateOf(c issued, now time.Time) leafState {
	s := leafState{name: c.name, path: c.path, issuer: askedOf(c), settled: c.settled()}
	fact, usable := c.judge(now)
	if fact != nil {
		s.fault = fact.Message
	}
	if !usable {
		return s
	}
	chain := parse(c.secret.Data[corev1.TLSCertKey])
	// A bundle holds nothing else: the relay would refuse all of it.
	s.authorities = cabundle.Union(slices.DeleteFunc(parse(c.secret.Data[caKey]), func(cert *x509.Certificate) bool {
		return !cert.BasicConstraintsValid || !cert.IsCA
	}))
	s.serial, s.notBefore = chain[0].SerialNumber.Text(16), chain[0].NotBefore
	if root := rootOf(chain, s.authorities, now); root != nil {
		s.root = cabundle.Hash(root)
	}
	return s
}

// rootOf returns the CA certificate that a chain ends in.
func rootOf(chain, authorities []*x509.Certificate, now time.Time) *x509.Certificate {
	chains, err := verify(chain, authorities, now)
	if err != nil || len(chains) == 0 {
		return nil
	}
	return chains[0][len(chains[0])-1]
}
