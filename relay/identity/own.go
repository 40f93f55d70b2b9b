// SPDX-FileCopyrightText: The certlink authors
// SPDX-License-Identifier: Apache-2.0

package identity

import (
	"crypto"
	"crypto/ed25519"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"time"

	"github.com/spiffe/go-spiffe/v2/bundle/x509bundle"
	"github.com/spiffe/go-spiffe/v2/spiffeid"
	"github.com/spiffe/go-spiffe/v2/svid/x509svid"

	"github.com/certlink/certlink/internal/cabundle"
	"github.com/certlink/certlink/relay/config"
)

// maxFileBytes is the largest certificate, key or CA file that is read.
const maxFileBytes = 256 << 10

// credential is one certificate with its key and the CA file beside it.
type credential struct {
	chain  []*x509.Certificate
	root   *x509.Certificate // of the CA file, to which the chain leads
	signer crypto.Signer
	pair   tls.Certificate
	ca     []*x509.Certificate
}

// own is our side of a snapshot.
type own struct {
	trustDomain spiffeid.TrustDomain
	link        credential
	local       credential
	signing     credential
	// bundle by which peers are to know us, whether it is configured, and fault what is
	// wrong with the configured one.
	bundle     []*x509.Certificate
	configured bool
	fault      error
}

// loadOwn reads the nine files and checks that they hold together. Validity in
// time is not its business: an expired certificate can be loaded, so that a relay
// that has only this one can say so.
func loadOwn(cfg config.Identity, now time.Time) (own, error) {
	td, err := spiffeid.TrustDomainFromString(cfg.TrustDomain)
	if err != nil {
		return own{}, fmt.Errorf("reading our trust domain: %w", err)
	}
	o := own{trustDomain: td}
	var errs [3]error
	o.link, errs[0] = load("link", cfg.Link, td, "/relay", now)
	o.local, errs[1] = load("local", cfg.Local, td, "/local", now)
	o.signing, errs[2] = load("signing", cfg.Signing, td, "/signing", now)
	if err := errors.Join(errs[:]...); err != nil {
		return own{}, err
	}
	if _, ok := o.signing.signer.Public().(ed25519.PublicKey); !ok {
		return own{}, fmt.Errorf("checking the signing certificate %q: its key is not Ed25519; issue it with privateKey.algorithm Ed25519", cfg.Signing.CertFile)
	}
	if o.bundle, o.fault, err = o.advertise(cfg.Bundle, now); err != nil {
		return own{}, fmt.Errorf("reading identity.bundle: %w", err)
	}
	o.configured = cfg.Bundle != ""
	return o, nil
}

// advertise returns the bundle by which peers are to know us: the configured one,
// or the CA files. One that would make peers refuse us is completed by what our
// certificates chain to, and the fault says so.
func (o own) advertise(configured string, now time.Time) (bundle []*x509.Certificate, fault, err error) {
	if configured == "" {
		bundle = cabundle.Union(o.link.ca, o.signing.ca)
		if _, err := cabundle.Parse(cabundle.Encode(bundle)); err != nil {
			return cabundle.Union([]*x509.Certificate{o.link.root, o.signing.root}),
				fmt.Errorf("our CA files are no bundle for peers, which are offered only what our certificates chain to: %w", err), nil
		}
		return bundle, nil, nil
	}
	if bundle, err = cabundle.Parse(configured); err != nil {
		return nil, nil, err
	}
	for _, c := range []struct {
		name string
		credential
	}{{"link", o.link}, {"signing", o.signing}} {
		if rootOf(c.chain, o.trustDomain, bundle, now) == nil {
			fault = errors.Join(fault, fmt.Errorf("identity.bundle does not hold the CA of our %s certificate, so peers would refuse us: it stays in the bundle that we offer until that certificate is issued anew", c.name))
			bundle = append(bundle, c.root)
		}
	}
	return cabundle.Union(bundle), fault, nil
}

func load(what string, files config.KeyPair, td spiffeid.TrustDomain, path string, now time.Time) (credential, error) {
	certPEM, err := readFile(files.CertFile)
	if err != nil {
		return credential{}, fmt.Errorf("reading the %s certificate: %w", what, err)
	}
	keyPEM, err := readFile(files.KeyFile)
	if err != nil {
		return credential{}, fmt.Errorf("reading the %s key: %w", what, err)
	}
	caPEM, err := readFile(files.CAFile)
	if err != nil {
		return credential{}, fmt.Errorf("reading the %s CA: %w", what, err)
	}
	pair, err := tls.X509KeyPair(certPEM, keyPEM)
	if err != nil {
		return credential{}, fmt.Errorf("pairing the %s certificate %q with its key %q: %w", what, files.CertFile, files.KeyFile, err)
	}
	c := credential{pair: pair}
	if c.chain, err = parseChain(pair.Certificate); err != nil {
		return credential{}, fmt.Errorf("parsing the %s certificate %q: %w", what, files.CertFile, err)
	}
	c.pair.Leaf = c.chain[0]
	signer, ok := pair.PrivateKey.(crypto.Signer)
	if !ok {
		return credential{}, fmt.Errorf("reading the %s key %q: it cannot sign", what, files.KeyFile)
	}
	c.signer = signer
	if c.ca, err = parseCA(caPEM); err != nil {
		return credential{}, fmt.Errorf("reading the %s CA %q: %w", what, files.CAFile, err)
	}
	if err := c.check(td, path, now); err != nil {
		return credential{}, fmt.Errorf("checking the %s certificate %q: %w", what, files.CertFile, err)
	}
	return c, nil
}

// check verifies the chain as a peer would, at a time when all of it is valid.
func (c *credential) check(td spiffeid.TrustDomain, path string, now time.Time) error {
	want, err := spiffeid.FromPath(td, path)
	if err != nil {
		return fmt.Errorf("naming it: %w", err)
	}
	id, err := x509svid.IDFromCert(c.chain[0])
	if err != nil {
		return fmt.Errorf("reading its SPIFFE ID, which should be %s: %w", want, err)
	}
	if id != want {
		return fmt.Errorf("it is for %s, not for %s", id, want)
	}
	if c.root = rootOf(c.chain, td, c.ca, now); c.root != nil {
		return nil
	}
	_, _, err = x509svid.Verify(c.chain, x509bundle.FromX509Authorities(td, c.ca), x509svid.WithTime(overlap(c.chain, c.ca)))
	return fmt.Errorf("verifying it against the CA file beside it: %w", err)
}

// rootOf returns the CA certificate to which a chain leads now, or at a moment at
// which it and the CA were valid; nil when to none. Of several, which a CA has that
// was renewed with the same key, it is the youngest.
func rootOf(chain []*x509.Certificate, td spiffeid.TrustDomain, ca []*x509.Certificate, now time.Time) *x509.Certificate {
	bundle := x509bundle.FromX509Authorities(td, ca)
	times := []time.Time{now}
	for _, c := range ca {
		times = append(times, overlap(chain, []*x509.Certificate{c}))
	}
	for _, at := range times {
		if _, chains, err := x509svid.Verify(chain, bundle, x509svid.WithTime(at)); err == nil {
			return youngestRoot(chains)
		}
	}
	return nil
}

// youngestRoot is the root with the latest beginning among verified chains.
func youngestRoot(chains [][]*x509.Certificate) *x509.Certificate {
	var root *x509.Certificate
	for _, chain := range chains {
		if last := chain[len(chain)-1]; root == nil || last.NotBefore.After(root.NotBefore) {
			root = last
		}
	}
	return root
}

// overlap returns a moment at which as much as possible is valid: just before the
// first of the chain's certificates ends.
func overlap(chain, ca []*x509.Certificate) time.Time {
	end := earliestEnd(chain)
	for _, c := range ca {
		if c.NotAfter.Before(end) && c.NotAfter.After(chain[0].NotBefore) {
			end = c.NotAfter
		}
	}
	return end.Add(-time.Second)
}

// whole is the chain with its root.
func (c credential) whole() []*x509.Certificate {
	return append(slices.Clone(c.chain), c.root)
}

func (o own) credentials() []credential { return []credential{o.link, o.local, o.signing} }

// notAfter is the earliest end of validity of our certificates and of their CA: a
// leaf that outlives its CA is worth nothing after that.
func (o own) notAfter() time.Time {
	var all []*x509.Certificate
	for _, c := range o.credentials() {
		all = append(all, c.whole()...)
	}
	return earliestEnd(all)
}

// validAt says which certificate is outside its validity, nil when none is.
func (o own) validAt(now time.Time) error {
	for _, c := range o.credentials() {
		for _, cert := range c.whole() {
			if now.Before(cert.NotBefore) {
				return fmt.Errorf("our certificate %q is valid only from %s: check the clock of this machine", cert.Subject, stamp(cert.NotBefore))
			}
			if now.After(cert.NotAfter) {
				return fmt.Errorf("our certificate %q expired at %s: renew it", cert.Subject, stamp(cert.NotAfter))
			}
		}
	}
	return nil
}

func stamp(t time.Time) string { return t.UTC().Format(time.RFC3339) }

// earliestEnd returns the earliest NotAfter, zero without certificates.
func earliestEnd(certs []*x509.Certificate) time.Time {
	var end time.Time
	for _, c := range certs {
		if end.IsZero() || c.NotAfter.Before(end) {
			end = c.NotAfter
		}
	}
	return end
}

func parseChain(ders [][]byte) ([]*x509.Certificate, error) {
	chain := make([]*x509.Certificate, 0, len(ders))
	for _, der := range ders {
		cert, err := x509.ParseCertificate(der)
		if err != nil {
			return nil, err
		}
		chain = append(chain, cert)
	}
	return chain, nil
}

// parseCA reads all certificates of a PEM text.
func parseCA(text []byte) ([]*x509.Certificate, error) {
	var certs []*x509.Certificate
	for {
		var block *pem.Block
		block, text = pem.Decode(text)
		if block == nil {
			break
		}
		if block.Type != "CERTIFICATE" {
			return nil, fmt.Errorf("it holds a %q among the certificates", block.Type)
		}
		cert, err := x509.ParseCertificate(block.Bytes)
		if err != nil {
			return nil, fmt.Errorf("parsing certificate %d: %w", len(certs)+1, err)
		}
		certs = append(certs, cert)
	}
	if len(certs) == 0 {
		return nil, errors.New("it holds no certificate")
	}
	return certs, nil
}

func readFile(path string) ([]byte, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	data, err := io.ReadAll(io.LimitReader(f, maxFileBytes+1))
	if err != nil {
		return nil, err
	}
	if len(data) > maxFileBytes {
		return nil, fmt.Errorf("%q has more than %d bytes", path, maxFileBytes)
	}
	return data, nil
}

func equalCerts(a, b []*x509.Certificate) bool {
	return slices.EqualFunc(a, b, (*x509.Certificate).Equal)
}
