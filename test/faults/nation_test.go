// SPDX-FileCopyrightText: The certlink authors
// SPDX-License-Identifier: Apache-2.0

package faults

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/certlink/certlink/internal/testca"
	"github.com/certlink/certlink/relay/config"
	"github.com/certlink/certlink/relay/report"
)

// patience is how long a condition may take to come true.
const patience = time.Minute

// nation is one CERT with its relay process.
type nation struct {
	name string
	dir  string
	ca   *testca.CA
	cfg  config.Config

	cmd  *exec.Cmd
	done chan error
	log  *tail
	http *http.Client
}

// newNation makes certificates and a configuration without peers. It starts nothing.
func newNation(t *testing.T, name string) *nation {
	t.Helper()
	n := &nation{name: name, dir: t.TempDir(), ca: testca.New(t, name+".example")}
	if err := n.ca.WriteNation(filepath.Join(n.dir, "tls")); err != nil {
		t.Fatal(err)
	}
	pair := func(which string) config.KeyPair {
		at := func(file string) string { return filepath.Join(n.dir, "tls", which, file) }
		return config.KeyPair{CertFile: at("tls.crt"), KeyFile: at("tls.key"), CAFile: at("ca.crt")}
	}
	data := filepath.Join(n.dir, "data")
	if err := os.Mkdir(data, 0o700); err != nil {
		t.Fatal(err)
	}
	n.cfg = config.Config{
		Identity: config.Identity{TrustDomain: n.ca.TrustDomain, Link: pair("relay"), Local: pair("local"), Signing: pair("signing")},
		Listen:   config.Listen{Link: freePort(t), Local: freePort(t), Health: freePort(t)},
		Store:    config.Store{SQLite: config.SQLite{Path: filepath.Join(data, "relay.db")}},
	}
	n.http = n.client(t, "desk")
	t.Cleanup(func() {
		n.kill(t)
		if t.Failed() && n.log != nil {
			t.Logf("last lines of %s's log:\n%s", n.name, n.log)
		}
	})
	return n
}

// peer returns the nation as another one's peer.
func (n *nation) peer() config.Peer {
	return config.Peer{
		Name: n.name, TrustDomain: n.ca.TrustDomain, Bundle: n.ca.Bundle(),
		Endpoints: []config.Endpoint{{Address: n.cfg.Listen.Link}},
		Detection: config.Detection{IntervalMilliseconds: 200, Misses: 2},
	}
}

// pair makes two nations that know each other, with a feed and a hotline, and
// starts both.
func pair(t *testing.T) (alfa, bravo *nation) {
	t.Helper()
	alfa, bravo = newNation(t, "alfa"), newNation(t, "bravo")
	alfa.join(bravo)
	bravo.join(alfa)
	alfa.start(t)
	bravo.start(t)
	return alfa, bravo
}

// join declares the peer, an export to it, an import from it and the hotline.
func (n *nation) join(p *nation) {
	n.cfg.Peers = append(n.cfg.Peers, p.peer())
	n.cfg.Exports = append(n.cfg.Exports, config.Export{
		Name: "to-" + p.name, Peers: []string{p.name},
		Sources: []config.Source{{Name: "public", UnmarkedAs: "CLEAR"}},
		Rule:    config.Rule{MaxTLP: "GREEN"},
	})
	n.cfg.Imports = append(n.cfg.Imports, config.Import{
		Name: "from-" + p.name, Peer: p.name, Collection: "to-" + n.name, IntervalSeconds: 1,
	})
	n.cfg.Hotlines = append(n.cfg.Hotlines, config.Hotline{Name: p.name, Peer: p.name})
}

func (n *nation) file() string { return filepath.Join(n.dir, "relay.yaml") }

// write puts the configuration into place in one step and returns its checksum.
func (n *nation) write(t *testing.T) string {
	t.Helper()
	data, err := config.Encode(&n.cfg)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(n.file()+".new", data, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Rename(n.file()+".new", n.file()); err != nil {
		t.Fatal(err)
	}
	return config.Checksum(data)
}

// start starts the relay and waits until it is ready.
func (n *nation) start(t *testing.T) {
	t.Helper()
	n.write(t)
	n.launch(t)
	eventually(t, n.name+" is ready", func() bool {
		resp, err := plain.Do(get(t, "http://"+n.cfg.Listen.Health+"/readyz"))
		if err != nil {
			return false
		}
		defer resp.Body.Close()
		return resp.StatusCode == http.StatusOK
	})
}

// launch starts the process without waiting for it.
func (n *nation) launch(t *testing.T) {
	t.Helper()
	n.log = &tail{}
	n.cmd = exec.Command(binary, "--config", n.file(), "--log-level", "DEBUG")
	n.cmd.Stderr = n.log
	n.cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	if err := n.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	cmd, done := n.cmd, make(chan error, 1)
	n.done = done
	go func() { done <- cmd.Wait() }()
}

// kill ends the process as a power cut would.
func (n *nation) kill(t *testing.T) {
	t.Helper()
	if n.cmd == nil {
		return
	}
	_ = n.cmd.Process.Kill() // it may have ended already
	<-n.done
	n.cmd = nil
}

// stop ends the process as Kubernetes does, and returns its error and how long it took.
func (n *nation) stop(t *testing.T) (time.Duration, error) {
	t.Helper()
	begun := time.Now()
	if err := n.cmd.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	err := <-n.done
	n.cmd = nil
	return time.Since(begun), err
}

// client returns an HTTP client of the nation's local port in a role.
func (n *nation) client(t *testing.T, role string) *http.Client {
	t.Helper()
	cert, err := tls.LoadX509KeyPair(filepath.Join(n.dir, "tls", role, "tls.crt"), filepath.Join(n.dir, "tls", role, "tls.key"))
	if err != nil {
		t.Fatal(err)
	}
	roots := x509.NewCertPool()
	roots.AddCert(n.ca.Root)
	transport := &http.Transport{
		TLSClientConfig:     &tls.Config{Certificates: []tls.Certificate{cert}, RootCAs: roots, MinVersion: tls.VersionTLS13},
		MaxIdleConnsPerHost: 4,
	}
	t.Cleanup(transport.CloseIdleConnections)
	return &http.Client{Transport: transport, Timeout: patience}
}

// call does a request on the local port and returns status and body.
func (n *nation) call(ctx context.Context, t *testing.T, method, path, contentType string, body []byte) (int, []byte, error) {
	t.Helper()
	req, err := http.NewRequestWithContext(ctx, method, "https://"+n.cfg.Listen.Local+path, bytes.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	if contentType != "" {
		req.Header.Set("Content-Type", contentType)
	}
	if bytes.HasPrefix([]byte(path), []byte("/taxii2/")) {
		req.Header.Set("Accept", "application/taxii+json;version=2.1")
	}
	resp, err := n.http.Do(req)
	if err != nil {
		return 0, nil, err
	}
	defer resp.Body.Close()
	data, err := io.ReadAll(io.LimitReader(resp.Body, 64<<20))
	return resp.StatusCode, data, err
}

// report reads the relay's report.
func (n *nation) report(t *testing.T) (report.Report, error) {
	t.Helper()
	return n.reportAfter(t, "", patience)
}

// reportAfter waits for another revision than the given one.
func (n *nation) reportAfter(t *testing.T, revision string, wait time.Duration) (report.Report, error) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), wait)
	defer cancel()
	status, data, err := n.call(ctx, t, http.MethodGet, report.Path+"?since="+revision, "", nil)
	if err != nil {
		return report.Report{}, err
	}
	var r report.Report
	if status != http.StatusOK {
		return r, fmt.Errorf("status %d: %s", status, data)
	}
	return r, json.Unmarshal(data, &r)
}

// until waits for a condition of the report, and returns that report.
func (n *nation) until(t *testing.T, what string, condition func(report.Report) bool) report.Report {
	t.Helper()
	var last report.Report
	var err error
	defer func() {
		if t.Failed() {
			text, _ := json.MarshalIndent(last, "", " ")
			t.Logf("last report of %s (%v):\n%s", n.name, err, text)
		}
	}()
	eventually(t, n.name+": "+what, func() bool {
		last, err = n.report(t)
		return err == nil && condition(last)
	})
	return last
}

// connected waits until both directions of the link to the only peer are proven.
func (n *nation) connected(t *testing.T) report.Peer {
	t.Helper()
	return n.until(t, "is connected", func(r report.Report) bool {
		return len(r.Peers) == 1 && r.Peers[0].Outbound.State == report.Up && r.Peers[0].Inbound.State == report.Up
	}).Peers[0]
}

// eventually polls a condition until it is true.
func eventually(t *testing.T, what string, condition func() bool) {
	t.Helper()
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for deadline := time.Now().Add(patience); time.Now().Before(deadline); <-tick.C {
		if condition() {
			return
		}
	}
	t.Fatalf("not within %s: %s", patience, what)
}

func get(t *testing.T, url string) *http.Request {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, url, nil)
	if err != nil {
		t.Fatal(err)
	}
	return req
}

// lastPort is the port given out last. They are below those that the kernel gives
// to outgoing connections, and none is given twice.
var lastPort atomic.Int32

// freePort returns a loopback address on which nobody listens.
func freePort(t *testing.T) string {
	t.Helper()
	lastPort.CompareAndSwap(0, 20_000+rand.Int32N(5_000))
	for range 1_000 {
		address := fmt.Sprintf("127.0.0.1:%d", lastPort.Add(1))
		l, err := new(net.ListenConfig).Listen(context.Background(), "tcp", address)
		if err == nil {
			l.Close()
			return address
		}
	}
	t.Fatal("no free port")
	return ""
}

// tail keeps the end of a log.
type tail struct {
	mu   sync.Mutex
	data []byte
	// leads notes that the relay has had the lease of its hotline.
	leads bool
}

func (l *tail) Write(b []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.data = append(l.data, b...)
	l.leads = l.leads || bytes.Contains(l.data, []byte(`has the lease","lease":"hotline/`))
	if over := len(l.data) - 8<<10; over > 0 {
		l.data = l.data[over:]
	}
	return len(b), nil
}

func (l *tail) hasLed() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.leads
}

func (l *tail) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return string(l.data)
}

// plain reads the health port.
var plain = &http.Client{Timeout: 5 * time.Second, Transport: &http.Transport{DisableKeepAlives: true}}
