// SPDX-FileCopyrightText: The certlink authors
// SPDX-License-Identifier: Apache-2.0

package manifest

import (
	"net"
	"slices"
	"strings"

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
	caDuration      = "87600h0m0s" // 10 years; written as the API server would
	caRenewBefore   = "8760h0m0s"
	leafDuration    = "2160h0m0s" // 90 days
	signingDuration = "8760h0m0s"
	renewBefore     = "720h0m0s" // 30 days: time for a person to notice
)

// CA are the objects that make a CA of our own through cert-manager: a
// self-signed Issuer, the CA's Certificate, and the Issuer that signs with it.
func CA(l *v1alpha1.LocalCERT) []*unstructured.Unstructured {
	n := NamesOf(l.Name)
	return []*unstructured.Unstructured{
		custom(l, "Issuer", n.SelfSigned, map[string]any{"selfSigned": map[string]any{}}),
		custom(l, "Certificate", n.CA, map[string]any{
			"isCA":        true,
			"commonName":  commonName(l.Spec.Identity.TrustDomain),
			"secretName":  n.CA,
			"duration":    caDuration,
			"renewBefore": caRenewBefore,
			"usages":      []any{"cert sign", "crl sign", "digital signature"},
			"privateKey":  key("ECDSA"),
			"issuerRef":   map[string]any{"group": "cert-manager.io", "kind": "Issuer", "name": n.SelfSigned},
			"secretTemplate": map[string]any{
				"labels": labels(l),
			},
		}),
		custom(l, "Issuer", n.CA, map[string]any{"ca": map[string]any{"secretName": n.CA}}),
	}
}

// IssuerOf returns kind and name of the issuer of a LocalCERT's certificates.
func IssuerOf(l *v1alpha1.LocalCERT) (kind, name string) {
	if ref := l.Spec.IssuerRef; ref != nil {
		if ref.Kind == "" {
			return "Issuer", ref.Name
		}
		return ref.Kind, ref.Name
	}
	return "Issuer", NamesOf(l.Name).CA
}

// leaf describes one certificate that is not a CA's.
type leaf struct {
	name     string
	path     string // of the SPIFFE ID
	dns, ips []string
	usages   []any
	key      string
	duration string
}

// Certificates are the certificates of the relay, of its desk and of the
// operator. Hosts are the names and addresses at which peers reach the relay.
func Certificates(l *v1alpha1.LocalCERT, hosts []string) []*unstructured.Unstructured {
	n := NamesOf(l.Name)
	dns, ips := split(append(slices.Clone(hosts), service(n.Relay, l.Namespace)...))
	leaves := []leaf{
		{name: n.Link, path: "/relay", dns: dns, ips: ips, usages: []any{"digital signature", "client auth", "server auth"}},
		{name: n.LocalPort, path: "/local", dns: append(service(n.Local, l.Namespace), "localhost"), usages: []any{"digital signature", "server auth"}},
		{name: n.Signing, path: "/signing", usages: []any{"digital signature"}, key: "Ed25519", duration: signingDuration},
		{name: n.Operator, path: "/operator", usages: []any{"digital signature", "client auth"}},
		{name: n.Desk, path: "/desk", usages: []any{"digital signature", "client auth"}},
	}
	out := make([]*unstructured.Unstructured, 0, len(leaves))
	for _, c := range leaves {
		out = append(out, certificate(l, c))
	}
	return out
}

func certificate(l *v1alpha1.LocalCERT, c leaf) *unstructured.Unstructured {
	issuerKind, issuerName := IssuerOf(l)
	algorithm, duration := "ECDSA", leafDuration
	if c.key != "" {
		algorithm = c.key
	}
	if c.duration != "" {
		duration = c.duration
	}
	spec := map[string]any{
		"secretName":           c.name,
		"uris":                 []any{SPIFFE(l.Spec.Identity.TrustDomain, c.path)},
		"duration":             duration,
		"renewBefore":          renewBefore,
		"usages":               c.usages,
		"privateKey":           key(algorithm),
		"revisionHistoryLimit": int64(1),
		"issuerRef":            map[string]any{"group": "cert-manager.io", "kind": issuerKind, "name": issuerName},
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
func commonName(trustDomain string) string {
	name := "certlink CA of " + trustDomain
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
