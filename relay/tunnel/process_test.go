// SPDX-FileCopyrightText: The certlink authors
// SPDX-License-Identifier: Apache-2.0

package tunnel_test

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	_ "net/http/pprof" //nolint:gosec // of a process of a benchmark, if asked for
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/certlink/certlink/internal/testca"
	"github.com/certlink/certlink/relay/access"
	"github.com/certlink/certlink/relay/config"
	"github.com/certlink/certlink/relay/stream"
	"github.com/certlink/certlink/relay/tunnel"
)

// The benchmarks measure relays in processes of their own: this test binary again.
const (
	roleVariable = "CERTLINK_TUNNEL_ROLE"    // importer or exporter
	dirVariable  = "CERTLINK_TUNNEL_DIR"     // of the certificates
	listenOn     = "CERTLINK_TUNNEL_LISTEN"  // the import's port or the link's
	connectTo    = "CERTLINK_TUNNEL_CONNECT" // the exporter's link or the target
)

// playRole is one relay with nothing but tunnels. It ends with its standard input.
func playRole(role string) {
	go func() {
		_, _ = io.Copy(io.Discard, os.Stdin)
		os.Exit(0)
	}()
	if at := os.Getenv("CERTLINK_TUNNEL_PPROF_" + role); at != "" {
		server := &http.Server{Addr: at, ReadHeaderTimeout: time.Second}
		go func() { _ = server.ListenAndServe() }()
	}
	if os.Getenv("CERTLINK_TUNNEL_MEMPROFILE") != "" {
		runtime.MemProfileRate = 1
	}
	if err := play(role); err != nil {
		fmt.Fprintln(os.Stderr, role, err)
		os.Exit(1)
	}
}

func play(role string) error {
	dir := os.Getenv(dirVariable)
	cert, err := tls.LoadX509KeyPair(filepath.Join(dir, "tls.crt"), filepath.Join(dir, "tls.key"))
	if err != nil {
		return err
	}
	root, err := os.ReadFile(filepath.Join(dir, "ca.crt"))
	if err != nil {
		return err
	}
	roots := x509.NewCertPool()
	roots.AppendCertsFromPEM(root)
	link := &pool{all: map[*stream.Conn]struct{}{}, address: os.Getenv(connectTo), client: &tls.Config{
		MinVersion: tls.VersionTLS13, RootCAs: roots, ServerName: "localhost", Certificates: []tls.Certificate{cert},
	}}
	engine, err := tunnel.New(tunnel.Config{Open: link.open, Log: slog.New(slog.DiscardHandler), Metrics: prometheus.NewRegistry()})
	if err != nil {
		return err
	}
	cfg := &config.Config{Peers: []config.Peer{{Name: "peer", TrustDomain: "peer.example", Limits: config.Limits{TunnelConnections: 10000}}}}
	serve := func(s *stream.Stream) { engine.Serve(context.Background(), access.Peer{Name: "peer"}, s) }
	link.serve.Store(&serve)
	if role == "exporter" {
		cfg.ServiceExports = []config.ServiceExport{{
			Name: "web", Target: os.Getenv(connectTo), Peers: []string{"peer"}, MaxConnections: 10000, IdleSeconds: 3600,
		}}
		if err := link.serveOn(os.Getenv(listenOn), &tls.Config{
			MinVersion: tls.VersionTLS13, ClientCAs: roots, ClientAuth: tls.RequireAndVerifyClientCert, Certificates: []tls.Certificate{cert},
		}); err != nil {
			return err
		}
	} else {
		cfg.ServiceImports = []config.ServiceImport{{
			Name: "web", Peer: "peer", Service: "web", Listen: os.Getenv(listenOn), MaxConnections: 10000, IdleSeconds: 3600,
		}}
	}
	engine.Apply(cfg)
	return engine.Run(context.Background())
}

func (p *pool) serveOn(address string, server *tls.Config) error {
	l, err := net.Listen("tcp", address)
	if err != nil {
		return err
	}
	go func() {
		for {
			raw, err := l.Accept()
			if err != nil {
				return
			}
			go func() {
				conn := tls.Server(stream.Under(raw), server)
				if conn.HandshakeContext(context.Background()) == nil {
					_, _, _ = stream.Server(conn, p.config())
				}
			}()
		}
	}()
	return nil
}

// rig is a pair of proxies between a client and a target.
type rig struct {
	address string // where the client connects
	pids    []int
}

func freePort(b testing.TB) string {
	l := listenTCP(b)
	defer l.Close()
	return l.Addr().String()
}

func start(b testing.TB, env []string, name string, args ...string) int {
	b.Helper()
	cmd := exec.CommandContext(context.Background(), name, args...)
	cmd.Env = append(os.Environ(), env...)
	cmd.Stderr = os.Stderr
	stdin, err := cmd.StdinPipe()
	if err != nil {
		b.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() {
		stdin.Close()
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
	})
	return cmd.Process.Pid
}

// certlinkPair starts two relays of ours.
func certlinkPair(b testing.TB, dir, target string) rig {
	link, port := freePort(b), freePort(b)
	r := rig{address: port}
	for _, p := range [][3]string{{"exporter", link, target}, {"importer", port, link}} {
		r.pids = append(r.pids, start(b, []string{
			roleVariable + "=" + p[0], dirVariable + "=" + dir, listenOn + "=" + p[1], connectTo + "=" + p[2],
		}, os.Args[0], "-test.run=^$"))
	}
	return r
}

// haproxyPair starts two haproxies with mutual TLS 1.3 between them.
func haproxyPair(b testing.TB, dir, target string) rig {
	haproxy, err := exec.LookPath("haproxy")
	if err != nil {
		b.Skip("haproxy is not installed")
	}
	link, port := freePort(b), freePort(b)
	const head = "global\n maxconn 5000\ndefaults\n mode tcp\n timeout connect 5s\n timeout client 1h\n timeout server 1h\n"
	pem, ca := filepath.Join(dir, "both.pem"), filepath.Join(dir, "ca.crt")
	r := rig{address: port}
	for name, body := range map[string]string{
		"exporter": fmt.Sprintf("listen x\n bind %s ssl crt %s ca-file %s verify required ssl-min-ver TLSv1.3\n server t %s\n", link, pem, ca, target),
		"importer": fmt.Sprintf("listen x\n bind %s\n server t %s ssl crt %s ca-file %s verify required ssl-min-ver TLSv1.3\n", port, link, pem, ca),
	} {
		file := filepath.Join(dir, name+".cfg")
		if err := os.WriteFile(file, []byte(head+body), 0o600); err != nil {
			b.Fatal(err)
		}
		r.pids = append(r.pids, start(b, nil, haproxy, "-db", "-f", file))
	}
	return r
}

func benchCertificates(b testing.TB) string {
	b.Helper()
	dir := b.TempDir()
	leaf := testca.New(b, "alfa.example").Leaf(b, testca.Leaf{Path: "/relay"})
	leaf.WriteTo(b, dir)
	both := append(append([]byte{}, leaf.CertPEM...), leaf.KeyPEM...)
	if err := os.WriteFile(filepath.Join(dir, "both.pem"), both, 0o600); err != nil {
		b.Fatal(err)
	}
	return dir
}

// cpu is the CPU time that the pair has used, in all threads.
func (r rig) cpu(b testing.TB) time.Duration {
	b.Helper()
	var sum time.Duration
	for _, pid := range r.pids {
		files, _ := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/schedstat", pid))
		for _, f := range files {
			text, err := os.ReadFile(f)
			if err != nil {
				continue
			}
			ns, _, _ := strings.Cut(string(text), " ")
			n, err := strconv.ParseInt(ns, 10, 64)
			if err != nil {
				b.Fatal(err)
			}
			sum += time.Duration(n)
		}
	}
	return sum
}

// rss is the resident memory of the pair in MiB.
func (r rig) rss(b testing.TB) float64 {
	b.Helper()
	var sum float64
	for _, pid := range r.pids {
		text, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
		if err != nil {
			b.Fatal(err)
		}
		_, after, _ := strings.Cut(string(text), "VmRSS:")
		kb, err := strconv.ParseFloat(strings.Fields(after)[0], 64)
		if err != nil {
			b.Fatal(err)
		}
		sum += kb / 1024
	}
	return sum
}
