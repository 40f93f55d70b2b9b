// SPDX-FileCopyrightText: The certlink authors
// SPDX-License-Identifier: Apache-2.0

package manifest

import (
	"cmp"
	"fmt"
	"net"
	"slices"
	"strconv"
	"strings"
	"time"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"

	"github.com/certlink/certlink/api/v1alpha1"
)

// CertManager is the group and version of cert-manager's resources.
const CertManager = "cert-manager.io/v1"

// Kinds of cert-manager.
var (
	CertificateKind = schema.GroupVersionKind{Group: "cert-manager.io", Version: "v1", Kind: "Certificate"}
	IssuerKind      = schema.GroupVersionKind{Group: "cert-manager.io", Version: "v1", Kind: "Issuer"}
)

// Validity of the certificates. Signing keys live longer: a receipt is easier to
// check while the certificate beside it is valid.
const (
	caDuration      = 87600 * time.Hour // 10 years
	leafDuration    = 2160 * time.Hour  // 90 days
	signingDuration = 8760 * time.Hour
	renewBefore     = 720 * time.Hour // 30 days: time for a person to notice

	// caRenewBefore is as short as cert-manager allows: it must never replace a root
	// in place. Long before, the operator has made another one beside it.
	caRenewBefore = 5 * time.Minute

	// The canary is signed anew every 8 hours, so that another root of the issuer is
	// seen before a certificate that peers see comes from it.
	canaryDuration    = 24 * time.Hour
	canaryRenewBefore = 16 * time.Hour
)

// caKind is the kind of the issuers of our own.
const caKind = "Issuer"

// CAName is the name of the objects and of the Secret of a CA of our own.
func CAName(localCERT string, generation int32) string {
	name := localCERT + "-ca"
	if generation > 1 {
		name += "-" + strconv.Itoa(int(generation))
	}
	return name
}

// CAIssuer is the issuer that a CA of our own becomes.
func CAIssuer(localCERT string, generation int32) v1alpha1.IssuerInUse {
	return v1alpha1.IssuerInUse{Kind: caKind, Name: CAName(localCERT, generation)}
}

// CAGeneration returns the generation of the CA of our own that an issuer is, by
// its name; zero when it is none.
func CAGeneration(localCERT string, issuer v1alpha1.IssuerInUse) int32 {
	if issuer.Kind != caKind {
		return 0
	}
	if issuer.Name == CAName(localCERT, 1) {
		return 1
	}
	digits, found := strings.CutPrefix(issuer.Name, CAName(localCERT, 1)+"-")
	n, err := strconv.ParseInt(digits, 10, 32)
	if !found || err != nil || issuer.Name != CAName(localCERT, int32(n)) {
		return 0
	}
	return int32(n)
}

// CA are the objects that make a CA of our own through cert-manager: a
// self-signed Issuer, the CA's Certificate, and the Issuer that signs with it.
//
// Each generation has a key of its own, which stays the same for as long as it
// lives: should cert-manager sign the CA's certificate anew, as after cmctl renew,
// peers that hold the one before accept our certificates all the same. No field
// that goes into the certificate may change for a generation that exists: it would
// be replaced in place.
func CA(l *v1alpha1.LocalCERT, generation int32) []*unstructured.Unstructured {
	selfSigned, name := NamesOf(l.Name).SelfSigned, CAName(l.Name, generation)
	private := key("ECDSA")
	private["rotationPolicy"] = "Never"
	return []*unstructured.Unstructured{
		custom(l, "Issuer", selfSigned, map[string]any{"selfSigned": map[string]any{}}),
		custom(l, "Certificate", name, map[string]any{
			"isCA":        true,
			"commonName":  commonName(l.Spec.Identity.TrustDomain, generation),
			"secretName":  name,
			"duration":    caDuration.String(),
			"renewBefore": caRenewBefore.String(),
			"usages":      []any{"cert sign", "crl sign", "digital signature"},
			"privateKey":  private,
			"issuerRef":   reference(v1alpha1.IssuerInUse{Kind: caKind, Name: selfSigned}),
			"secretTemplate": map[string]any{
				"labels": labels(l),
			},
		}),
		custom(l, caKind, name, map[string]any{"ca": map[string]any{"secretName": name}}),
	}
}

func reference(issuer v1alpha1.IssuerInUse) map[string]any {
	return map[string]any{"group": CertificateKind.Group, "kind": issuer.Kind, "name": issuer.Name}
}

// leaf describes one certificate that is not a CA's.
type leaf struct {
	name     string
	path     string // of the SPIFFE ID
	dns, ips []string
	usages   []any
	key      string        // ECDSA when empty
	duration time.Duration // leafDuration when zero
	renew    time.Duration // before the end; renewBefore when zero
}

// Certificates are the certificates of the relay, of its desk and its officers, and of the
// operator. Hosts are the names and addresses at which peers reach the relay.
//
// Reissues asks for new certificates from the same issuer each time that it grows:
// cert-manager issues anew when it finds another duration, so each adds a second.
func Certificates(l *v1alpha1.LocalCERT, hosts []string, issuer v1alpha1.IssuerInUse, reissues int32) []*unstructured.Unstructured {
	n := NamesOf(l.Name)
	dns, ips := split(append(slices.Clone(hosts), service(n.Relay, l.Namespace)...))
	leaves := []leaf{
		{name: n.Link, path: "/relay", dns: dns, ips: ips, usages: []any{"digital signature", "client auth", "server auth"}},
		{name: n.LocalPort, path: "/local", dns: append(service(n.Local, l.Namespace), "localhost"), usages: []any{"digital signature", "server auth"}},
		{name: n.Signing, path: "/signing", usages: []any{"digital signature"}, key: "Ed25519", duration: signingDuration},
		{name: n.Operator, path: "/operator", usages: []any{"digital signature", "client auth"}},
	}
	if l.Spec.Desk.SharedCertificate != v1alpha1.Denied {
		leaves = append(leaves, leaf{name: n.Desk, path: "/desk", usages: []any{"digital signature", "client auth"}})
	}
	for _, o := range l.Spec.Desk.Officers {
		leaves = append(leaves, leaf{name: n.Officer(o.Name), path: "/desk/" + o.Name, usages: []any{"digital signature", "client auth"}})
	}
	out := make([]*unstructured.Unstructured, 0, len(leaves))
	for _, c := range leaves {
		c.duration = cmp.Or(c.duration, leafDuration) + time.Duration(reissues%maxReissues)*time.Second
		out = append(out, certificate(l, c, issuer))
	}
	return out
}

// maxReissues is when the durations begin anew.
const maxReissues = 3600

// Canary is a certificate that nobody uses. It shows that an issuer can sign what
// we ask for, and with which root.
func Canary(l *v1alpha1.LocalCERT, issuer v1alpha1.IssuerInUse) *unstructured.Unstructured {
	return certificate(l, leaf{
		name: NamesOf(l.Name).Canary, path: "/canary", usages: []any{"digital signature", "client auth"},
		duration: canaryDuration, renew: canaryRenewBefore,
	}, issuer)
}

func certificate(l *v1alpha1.LocalCERT, c leaf, issuer v1alpha1.IssuerInUse) *unstructured.Unstructured {
	spec := map[string]any{
		"secretName":           c.name,
		"uris":                 []any{SPIFFE(l.Spec.Identity.TrustDomain, c.path)},
		"duration":             cmp.Or(c.duration, leafDuration).String(),
		"renewBefore":          cmp.Or(c.renew, renewBefore).String(),
		"usages":               c.usages,
		"privateKey":           key(cmp.Or(c.key, "ECDSA")),
		"revisionHistoryLimit": int64(1),
		"issuerRef":            reference(issuer),
		"secretTemplate":       map[string]any{"labels": labels(l)},
	}
	if len(c.dns) > 0 {
		spec["dnsNames"] = anys(c.dns)
	}
	if len(c.ips) > 0 {
		spec["ipAddresses"] = anys(c.ips)
	}
	return custom(l, "Certificate", c.name, spec)
}

// SPIFFE returns the SPIFFE ID of a path in a trust domain.
func SPIFFE(trustDomain, path string) string { return "spiffe://" + trustDomain + path }

// LocalServerName is the DNS name of the relay's local port.
func LocalServerName(l *v1alpha1.LocalCERT) string {
	return NamesOf(l.Name).Local + "." + l.Namespace + ".svc"
}

// service returns the names by which a Service is called.
func service(name, namespace string) []string {
	return []string{name + "." + namespace + ".svc", name + "." + namespace + ".svc.cluster.local"}
}

// split sorts hosts into DNS names and IP addresses, each once.
func split(hosts []string) (dns, ips []string) {
	for _, h := range hosts {
		h = strings.TrimSuffix(strings.ToLower(h), ".")
		switch ip := net.ParseIP(h); {
		case h == "":
		case ip != nil:
			ips = append(ips, ip.String())
		default:
			dns = append(dns, h)
		}
	}
	slices.Sort(dns)
	slices.Sort(ips)
	return slices.Compact(dns), slices.Compact(ips)
}

// key describes a private key that is replaced with each certificate.
func key(algorithm string) map[string]any {
	k := map[string]any{"algorithm": algorithm, "encoding": "PKCS8", "rotationPolicy": "Always"}
	if algorithm == "ECDSA" {
		k["size"] = int64(256)
	}
	return k
}

// commonName of our CA, for people; X.520 allows 64 characters.
func commonName(trustDomain string, generation int32) string {
	name := "certlink CA of " + trustDomain
	if generation > 1 {
		name = fmt.Sprintf("certlink CA %d of %s", generation, trustDomain)
	}
	return name[:min(len(name), 64)]
}

func labels(l *v1alpha1.LocalCERT) map[string]any {
	out := map[string]any{}
	for k, v := range Labels(l.Name) {
		out[k] = v
	}
	return out
}

func anys(in []string) []any {
	out := make([]any, len(in))
	for i, s := range in {
		out[i] = s
	}
	return out
}
