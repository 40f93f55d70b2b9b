// SPDX-FileCopyrightText: The certlink authors
// SPDX-License-Identifier: Apache-2.0

package desk_test

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"io"
	"log/slog"
	"net"
	"net/http"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/certlink/certlink/internal/testca"
	"github.com/certlink/certlink/relay/access"
	"github.com/certlink/certlink/relay/config"
	"github.com/certlink/certlink/relay/desk"
	"github.com/certlink/certlink/relay/identity"
)

// serve runs the local port of alfa, which answers with the role that it sees.
func serve(t *testing.T, ca *testca.CA, configure func(*desk.Server)) (address string, source *identity.Source, cfg *config.Config) {
	t.Helper()
	dir := t.TempDir()
	if err := ca.WriteNation(dir); err != nil {
		t.Fatal(err)
	}
	pair := func(which string) config.KeyPair {
		at := func(file string) string { return filepath.Join(dir, which, file) }
		return config.KeyPair{CertFile: at("tls.crt"), KeyFile: at("tls.key"), CAFile: at("ca.crt")}
	}
	log := slog.New(slog.DiscardHandler)
	source, err := identity.New(identity.Config{Log: log})
	if err != nil {
		t.Fatal(err)
	}
	cfg = &config.Config{Identity: config.Identity{
		TrustDomain: ca.TrustDomain, Link: pair("relay"), Local: pair("local"), Signing: pair("signing"),
	}}
	if err := source.Apply(cfg); err != nil {
		t.Fatal(err)
	}
	listener, err := new(net.ListenConfig).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	server, err := desk.NewServer(desk.ServerConfig{
		Listener: listener, Identity: source, Log: log, Metrics: prometheus.NewRegistry(),
		Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			role, _ := access.RoleFrom(r.Context())
			_, _ = io.WriteString(w, string(role)+strings.TrimPrefix(access.IdentityFrom(r.Context()), "spiffe://alfa.example/"+string(role)))
		}),
	})
	if err != nil {
		t.Fatal(err)
	}
	if configure != nil {
		configure(server)
	}
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- server.Run(ctx) }()
	t.Cleanup(func() {
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
	return listener.Addr().String(), source, cfg
}

func TestTheLocalPortLetsInOurOwnRolesOnly(t *testing.T) {
	alfa, bravo := testca.New(t, "alfa.example"), testca.New(t, "bravo.example")
	address, _, _ := serve(t, alfa, nil)
	expired := testca.Leaf{Path: "/desk", NotAfter: time.Now().Add(-time.Minute)}
	for _, c := range []struct {
		name string
		ca   *testca.CA
		leaf testca.Leaf
		want string // "" is refused
	}{
		{"operator", alfa, testca.Leaf{Path: "/operator"}, "operator"},
		{"desk", alfa, testca.Leaf{Path: "/desk"}, "desk"},
		{"tool", alfa, testca.Leaf{Path: "/tool"}, "tool"},
		{"not_our_own_relay", alfa, testca.Leaf{Path: "/relay"}, ""},
		{"not_a_path_below", alfa, testca.Leaf{Path: "/tool/x"}, ""},
		{"not_an_officer_who_is_not_configured", alfa, testca.Leaf{Path: "/desk/x"}, ""},
		{"not_without_an_identity", alfa, testca.Leaf{}, ""},
		{"not_an_expired_one", alfa, expired, ""},
		{"not_a_peer's_desk", bravo, testca.Leaf{Path: "/desk"}, ""},
		{"not_our_desk_by_a_peer", bravo, testca.Leaf{Path: "/desk", TrustDomain: "alfa.example"}, ""},
		{"not_a_peer's_desk_by_us", alfa, testca.Leaf{Path: "/desk", TrustDomain: "bravo.example"}, ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			got, err := ask(t, address, alfa, c.ca.Leaf(t, c.leaf))
			if c.want == "" && err == nil {
				t.Errorf("let in as %q", got)
			}
			if c.want != "" && got != c.want {
				t.Errorf("role %q, %v; want %q", got, err, c.want)
			}
		})
	}
}

func TestAClientOfAReplacedCAIsSentAway(t *testing.T) {
	old := testca.New(t, "alfa.example")
	address, source, cfg := serve(t, old, nil)
	client := newClient(t, old, old.Leaf(t, testca.Leaf{Path: "/desk"}))
	if got, err := request(t, client, address); got != "desk" {
		t.Fatalf("role %q, %v", got, err)
	}
	testca.New(t, "alfa.example").Leaf(t, testca.Leaf{Path: "/local"}).WriteTo(t, filepath.Dir(cfg.Identity.Local.CertFile))
	if err := source.Apply(cfg); err != nil {
		t.Fatal(err)
	}
	if got, err := request(t, client, address); err == nil && !strings.Contains(got, "403") {
		t.Errorf("over the open connection: %s", got)
	}
}

func TestAClientWhoseCertificateEndsIsSentAway(t *testing.T) {
	ca := testca.New(t, "alfa.example")
	address, _, _ := serve(t, ca, nil)
	client := newClient(t, ca, ca.Leaf(t, testca.Leaf{Path: "/desk", NotAfter: time.Now().Add(5 * time.Second)}))
	if got, err := request(t, client, address); got != "desk" {
		t.Fatalf("role %q, %v", got, err)
	}
	deadline := time.After(time.Minute)
	for {
		got, err := request(t, client, address)
		if err != nil || strings.Contains(got, "403") {
			return
		}
		select {
		case <-deadline:
			t.Fatalf("over the open connection: %s", got)
		case <-time.After(50 * time.Millisecond):
		}
	}
}

func newClient(t *testing.T, server *testca.CA, pair testca.Pair) *http.Client {
	t.Helper()
	roots := x509.NewCertPool()
	roots.AddCert(server.Root)
	transport := &http.Transport{TLSClientConfig: &tls.Config{Certificates: []tls.Certificate{pair.TLS()}, RootCAs: roots}}
	t.Cleanup(transport.CloseIdleConnections)
	return &http.Client{Timeout: 5 * time.Second, Transport: transport}
}

func ask(t *testing.T, address string, server *testca.CA, pair testca.Pair) (string, error) {
	t.Helper()
	return request(t, newClient(t, server, pair), address)
}

func request(t *testing.T, client *http.Client, address string) (string, error) {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "https://"+address+"/", http.NoBody)
	if err != nil {
		t.Fatal(err)
	}
	resp, err := client.Do(req)
	if err != nil {
		return "", err
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	return string(body), err
}
