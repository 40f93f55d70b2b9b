// SPDX-FileCopyrightText: The certlink authors
// SPDX-License-Identifier: Apache-2.0

package pki

import (
	"crypto/tls"
	"crypto/x509"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/certlink/certlink/test/nations/internal/layout"
)

func TestEnsure(t *testing.T) {
	n, err := layout.Find("alfa")
	if err != nil {
		t.Fatal(err)
	}
	dirs := layout.Dirs(filepath.Join(t.TempDir(), "alfa"))
	if err := Ensure(n, dirs); err != nil {
		t.Fatal(err)
	}
	text, err := os.ReadFile(dirs.PKI("ca.crt"))
	if err != nil {
		t.Fatal(err)
	}
	pool := x509.NewCertPool()
	pool.AppendCertsFromPEM(text)

	t.Run("the_API_server_is_itself_on_loopback_and_on_the_WAN", func(t *testing.T) {
		for _, name := range []string{"127.0.0.1", "198.18.0.1", "10.11.0.1", "kubernetes.default.svc"} {
			if err := verify(dirs, pool, "apiserver", name, x509.ExtKeyUsageServerAuth); err != nil {
				t.Errorf("%s: %v", name, err)
			}
		}
		if verify(dirs, pool, "apiserver", "198.18.0.2", x509.ExtKeyUsageServerAuth) == nil {
			t.Error("it passes for bravo's address")
		}
	})
	t.Run("clients_are_clients_only", func(t *testing.T) {
		for _, name := range []string{"kubelet", "admin", "front-proxy"} {
			if err := verify(dirs, pool, name, "", x509.ExtKeyUsageClientAuth); err != nil {
				t.Errorf("%s: %v", name, err)
			}
			if verify(dirs, pool, name, "", x509.ExtKeyUsageServerAuth) == nil {
				t.Errorf("%s passes as a server", name)
			}
		}
	})
	t.Run("a_server_beside_the_control_plane_is_itself", func(t *testing.T) {
		for range 2 {
			if err := Serve(n, dirs, "db", "node.alfa.test"); err != nil {
				t.Fatal(err)
			}
		}
		if err := verify(dirs, pool, "db", "node.alfa.test", x509.ExtKeyUsageServerAuth); err != nil {
			t.Error(err)
		}
		if verify(dirs, pool, "db", "node.bravo.test", x509.ExtKeyUsageServerAuth) == nil {
			t.Error("it passes for bravo's node")
		}
	})
	t.Run("keys_are_for_their_owner", func(t *testing.T) {
		info, err := os.Stat(dirs.PKI("ca.key"))
		if err != nil || info.Mode().Perm() != 0o600 {
			t.Errorf("ca.key: %v %v", info.Mode(), err)
		}
	})
	t.Run("what_is_complete_stays", func(t *testing.T) {
		if err := Ensure(n, dirs); err != nil {
			t.Fatal(err)
		}
		again, err := os.ReadFile(dirs.PKI("ca.crt"))
		if err != nil || string(again) != string(text) {
			t.Errorf("the authority was made anew: %v", err)
		}
	})
	t.Run("a_kubeconfig_names_the_server", func(t *testing.T) {
		path := filepath.Join(t.TempDir(), "k")
		if err := WriteKubeconfig(dirs, "admin", "https://127.0.0.1:16441", path); err != nil {
			t.Fatal(err)
		}
		text, err := os.ReadFile(path)
		if err != nil || !strings.Contains(string(text), "server: https://127.0.0.1:16441\n") || !strings.Contains(string(text), "current-context: alfa\n") {
			t.Errorf("got %v\n%s", err, text)
		}
	})
}

func verify(dirs layout.Dirs, pool *x509.CertPool, file, name string, usage x509.ExtKeyUsage) error {
	pair, err := tls.LoadX509KeyPair(dirs.PKI(file+".crt"), dirs.PKI(file+".key"))
	if err != nil {
		return err
	}
	_, err = pair.Leaf.Verify(x509.VerifyOptions{Roots: pool, DNSName: name, KeyUsages: []x509.ExtKeyUsage{usage}})
	return err
}
