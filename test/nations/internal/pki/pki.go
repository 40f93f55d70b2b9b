// SPDX-FileCopyrightText: The certlink authors
// SPDX-License-Identifier: Apache-2.0

// Package pki makes the certificates and kubeconfigs of one nation's control plane.
//
// Each nation has an authority of its own. The keys are P-256, live ten years and are for tests only: they are written
// with mode 0600 below the nation's run-time directory and go away with it.
package pki

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"fmt"
	"math/big"
	"net"
	"os"
	"time"

	"github.com/certlink/certlink/test/nations/internal/layout"
)

const (
	lifetime = 10 * 365 * 24 * time.Hour
	// backdate forgives a clock that was set back between two runs.
	backdate = time.Hour
	// complete is written last: a directory without it is made anew.
	complete = "complete"
)

// leaf is one certificate to be issued.
type leaf struct {
	file   string
	name   string
	groups []string
	usage  x509.ExtKeyUsage
	dns    []string
	ips    []net.IP
	// kubeconfig tells whether a kubeconfig with this certificate is written too.
	kubeconfig bool
}

// Ensure makes what is missing in the nation's pki directory; a complete one is left as it is.
func Ensure(n layout.Nation, dirs layout.Dirs) error {
	if _, err := os.Stat(dirs.PKI(complete)); err == nil {
		return nil
	}
	if err := os.MkdirAll(dirs.Path("pki"), 0o700); err != nil {
		return fmt.Errorf("making the certificates' directory: %w", err)
	}
	if err := serviceAccountKey(dirs); err != nil {
		return err
	}
	ca, err := newAuthority(n, dirs)
	if err != nil {
		return err
	}
	for _, l := range leaves(n) {
		if err := ca.issue(l, dirs); err != nil {
			return fmt.Errorf("issuing certificate %q: %w", l.file, err)
		}
		if !l.kubeconfig {
			continue
		}
		server := "https://" + net.JoinHostPort(n.Node().String(), "6443")
		if err := WriteKubeconfig(dirs, l.file, server, dirs.PKI(l.file+".kubeconfig")); err != nil {
			return err
		}
	}
	return os.WriteFile(dirs.PKI(complete), nil, 0o600)
}

func leaves(n layout.Nation) []leaf {
	loopback := net.IPv4(127, 0, 0, 1)
	node := "system:node:" + n.NodeName()
	return []leaf{
		{
			file: "apiserver", name: "kube-apiserver", usage: x509.ExtKeyUsageServerAuth,
			dns: []string{
				"kubernetes", "kubernetes.default", "kubernetes.default.svc", "kubernetes.default.svc.cluster.local",
				"localhost", n.NodeName(),
			},
			ips: []net.IP{loopback, n.APIService().AsSlice(), n.Node().AsSlice()},
		},
		{
			file: "kubelet-serving", name: node, groups: []string{"system:nodes"}, usage: x509.ExtKeyUsageServerAuth,
			dns: []string{n.NodeName()}, ips: []net.IP{loopback, n.Node().AsSlice()},
		},
		client("kubelet", node, true, "system:nodes"),
		client("proxy", "system:kube-proxy", true),
		client("kcm", "system:kube-controller-manager", true),
		client("scheduler", "system:kube-scheduler", true),
		client("admin", "admin", true, "system:masters"),
		client("node-daemon", "nations:node-daemon", true, "system:masters"),
		client("apiserver-kubelet", "apiserver-kubelet", false, "system:masters"),
		client("front-proxy", "front-proxy", false),
	}
}

func client(file, name string, kubeconfig bool, groups ...string) leaf {
	return leaf{file: file, name: name, groups: groups, usage: x509.ExtKeyUsageClientAuth, kubeconfig: kubeconfig}
}

// Serve issues a certificate for a server of the nation that is no part of its control plane, known by DNS names, as
// FILE.crt and FILE.key. One that is there is replaced.
func Serve(n layout.Nation, dirs layout.Dirs, file string, dns ...string) error {
	ca, err := readAuthority(dirs)
	if err != nil {
		return fmt.Errorf("reading the authority of %q: %w", n.Name, err)
	}
	if err := ca.issue(leaf{file: file, name: file, usage: x509.ExtKeyUsageServerAuth, dns: dns}, dirs); err != nil {
		return fmt.Errorf("issuing certificate %q: %w", file, err)
	}
	return nil
}

func readAuthority(dirs layout.Dirs) (*authority, error) {
	pair, err := tls.LoadX509KeyPair(dirs.PKI("ca.crt"), dirs.PKI("ca.key"))
	if err != nil {
		return nil, err
	}
	key, ok := pair.PrivateKey.(*ecdsa.PrivateKey)
	if !ok {
		return nil, fmt.Errorf("its key is a %T", pair.PrivateKey)
	}
	return &authority{cert: pair.Leaf, key: key}, nil
}

type authority struct {
	cert *x509.Certificate
	key  *ecdsa.PrivateKey
}

func newAuthority(n layout.Nation, dirs layout.Dirs) (*authority, error) {
	key, err := newKey(dirs.PKI("ca.key"))
	if err != nil {
		return nil, err
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "nation-" + n.Name + "-ca"},
		NotBefore: time.Now().Add(-backdate), NotAfter: time.Now().Add(lifetime),
		IsCA: true, BasicConstraintsValid: true,
		KeyUsage: x509.KeyUsageCertSign | x509.KeyUsageCRLSign | x509.KeyUsageDigitalSignature,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	if err != nil {
		return nil, fmt.Errorf("making the authority of %q: %w", n.Name, err)
	}
	cert, err := x509.ParseCertificate(der)
	if err != nil {
		return nil, fmt.Errorf("reading back the authority of %q: %w", n.Name, err)
	}
	return &authority{cert: cert, key: key}, writePEM(dirs.PKI("ca.crt"), "CERTIFICATE", der)
}

func (a *authority) issue(l leaf, dirs layout.Dirs) error {
	key, err := newKey(dirs.PKI(l.file + ".key"))
	if err != nil {
		return err
	}
	serial, err := rand.Int(rand.Reader, new(big.Int).Lsh(big.NewInt(1), 120))
	if err != nil {
		return fmt.Errorf("choosing a serial number: %w", err)
	}
	template := &x509.Certificate{
		SerialNumber: serial, Subject: pkix.Name{CommonName: l.name, Organization: l.groups},
		NotBefore: time.Now().Add(-backdate), NotAfter: a.cert.NotAfter, BasicConstraintsValid: true,
		KeyUsage: x509.KeyUsageDigitalSignature, ExtKeyUsage: []x509.ExtKeyUsage{l.usage},
		DNSNames: l.dns, IPAddresses: l.ips,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, a.cert, &key.PublicKey, a.key)
	if err != nil {
		return err
	}
	return writePEM(dirs.PKI(l.file+".crt"), "CERTIFICATE", der)
}

// serviceAccountKey makes the key pair that signs service account tokens.
func serviceAccountKey(dirs layout.Dirs) error {
	key, err := newKey(dirs.PKI("sa.key"))
	if err != nil {
		return err
	}
	public, err := x509.MarshalPKIXPublicKey(&key.PublicKey)
	if err != nil {
		return fmt.Errorf("encoding the service accounts' public key: %w", err)
	}
	return writePEM(dirs.PKI("sa.pub"), "PUBLIC KEY", public)
}

func newKey(path string) (*ecdsa.PrivateKey, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, fmt.Errorf("making key %q: %w", path, err)
	}
	der, err := x509.MarshalECPrivateKey(key)
	if err != nil {
		return nil, fmt.Errorf("encoding key %q: %w", path, err)
	}
	return key, writePEM(path, "EC PRIVATE KEY", der)
}

func writePEM(path, kind string, der []byte) error {
	if err := os.WriteFile(path, pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der}), 0o600); err != nil {
		return fmt.Errorf("writing %q: %w", path, err)
	}
	return nil
}
