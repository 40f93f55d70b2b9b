// SPDX-FileCopyrightText: The certlink authors
// SPDX-License-Identifier: Apache-2.0

//go:build linux

// Package relays runs real relay processes side by side on one machine, for
// benchmarks: each with a CA, certificates, a store and a configuration file of
// its own. It measures nothing; package figures prints what is measured.
package relays

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/certlink/certlink/internal/relayclient"
	"github.com/certlink/certlink/internal/testca"
	"github.com/certlink/certlink/relay/config"
	"github.com/certlink/certlink/relay/report"
)

// patience is how long a relay may need for what a benchmark waits for.
const patience = time.Minute

// Build compiles the relay of this tree into a directory and returns the file.
func Build(ctx context.Context, dir string) (string, error) {
	binary := filepath.Join(dir, "certlink-relay")
	build := exec.CommandContext(ctx, "go", "build", "-trimpath", "-o", binary, "./cmd/relay")
	build.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := build.CombinedOutput(); err != nil {
		return "", fmt.Errorf("building the relay: %w: %s", err, out)
	}
	return binary, nil
}

// Host is where a relay can run: *wan.Host.
type Host interface {
	// Start is cmd.Start, over there; the program ends with this one.
	Start(cmd *exec.Cmd) error
	// DialContext is that of net.Dialer, over there.
	DialContext(ctx context.Context, network, address string) (net.Conn, error)
}

// here is this machine.
type here struct{ net.Dialer }

func (*here) Start(cmd *exec.Cmd) error {
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	return cmd.Start()
}

// Nation is one CERT with its relay.
type Nation struct {
	// Name of the CERT; its trust domain is NAME.example.
	Name string
	// CA that issued all its certificates.
	CA *testca.CA
	// Config of the relay. Write makes a change live.
	Config config.Config
	// Host is where the relay runs; nil is this machine. Set it before Start.
	Host Host

	desk    atomic.Pointer[relayclient.Client]
	dir     string
	process *exec.Cmd
	ended   chan error
	log     *os.File
}

// New makes certificates and a configuration without peers in a directory of the
// nation's own. It starts nothing.
func New(ctx context.Context, dir, name string) (*Nation, error) {
	ca, err := testca.Make(name+".example", testca.Options{})
	if err != nil {
		return nil, err
	}
	n := &Nation{Name: name, CA: ca, dir: filepath.Join(dir, name)}
	if err := ca.WriteNation(n.TLS("")); err != nil {
		return nil, err
	}
	pair := func(which string) config.KeyPair {
		at := func(file string) string { return filepath.Join(n.TLS(which), file) }
		return config.KeyPair{CertFile: at("tls.crt"), KeyFile: at("tls.key"), CAFile: at("ca.crt")}
	}
	n.Config.Identity = config.Identity{TrustDomain: ca.TrustDomain, Link: pair("relay"), Local: pair("local"), Signing: pair("signing")}
	// Apart from the configuration, as the operator lays it out: the relay watches the directory
	// of that, and would be told of every write to its database.
	n.Config.Store.SQLite.Path = filepath.Join(n.dir, "store", "relay.db")
	if err := os.MkdirAll(filepath.Dir(n.Config.Store.SQLite.Path), 0o700); err != nil {
		return nil, fmt.Errorf("making the directory of a store: %w", err)
	}
	for _, address := range []*string{&n.Config.Listen.Link, &n.Config.Listen.Local, &n.Config.Listen.Health} {
		if *address, err = FreePort(ctx); err != nil {
			return nil, err
		}
	}
	return n, nil
}

// FreePort returns a loopback address on which nobody listens now.
func FreePort(ctx context.Context) (string, error) {
	listener, err := new(net.ListenConfig).Listen(ctx, "tcp", "127.0.0.1:0")
	if err != nil {
		return "", fmt.Errorf("finding a free port: %w", err)
	}
	defer listener.Close()
	return listener.Addr().String(), nil
}

// TLS is the directory of one certificate: relay, local, signing, desk, operator.
func (n *Nation) TLS(which string) string { return filepath.Join(n.dir, "tls", which) }

// Peer is what a peer must know about the nation.
func (n *Nation) Peer() config.Peer {
	return config.Peer{
		Name: n.Name, TrustDomain: n.CA.TrustDomain, Bundle: n.CA.Bundle(),
		Endpoints: []config.Endpoint{{Address: n.Config.Listen.Link}},
	}
}

// Write puts the configuration into place in one step; a running relay takes it up.
func (n *Nation) Write() error {
	data, err := config.Encode(&n.Config)
	if err != nil {
		return fmt.Errorf("configuring %s: %w", n.Name, err)
	}
	if err := os.WriteFile(n.file()+".new", data, 0o600); err != nil {
		return fmt.Errorf("configuring %s: %w", n.Name, err)
	}
	if err := os.Rename(n.file()+".new", n.file()); err != nil {
		return fmt.Errorf("configuring %s: %w", n.Name, err)
	}
	return nil
}

func (n *Nation) file() string { return filepath.Join(n.dir, "relay.yaml") }

// Start writes the configuration and starts the relay.
func (n *Nation) Start(ctx context.Context, binary string) (err error) {
	if err := n.Write(); err != nil {
		return err
	}
	if err := n.Reconnect(); err != nil {
		return err
	}
	if n.log, err = os.OpenFile(n.LogFile(), os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o600); err != nil {
		return fmt.Errorf("opening the log of %s: %w", n.Name, err)
	}
	// Not bound to the context: a relay is stopped in order, below.
	n.process = exec.CommandContext(context.WithoutCancel(ctx), binary, "--config", n.file())
	n.process.Stderr = n.log
	if err := n.host().Start(n.process); err != nil {
		return fmt.Errorf("starting the relay of %s: %w", n.Name, err)
	}
	n.ended = make(chan error, 1)
	profiled, stop := context.WithCancel(context.WithoutCancel(ctx))
	go n.profile(profiled, n.process.Process.Pid)
	go func() { defer stop(); n.ended <- n.process.Wait() }()
	return nil
}

func (n *Nation) host() Host {
	if n.Host != nil {
		return n.Host
	}
	return &here{}
}

// LogFile holds what the relay logged.
func (n *Nation) LogFile() string { return filepath.Join(n.dir, "relay.log") }

// PID of the relay's process.
func (n *Nation) PID() int { return n.process.Process.Pid }

// Running tells whether the relay was started and its process has not ended.
func (n *Nation) Running() bool { return n.process != nil && len(n.ended) == 0 }

// Stop ends the relay as Kubernetes would.
func (n *Nation) Stop() { n.end(syscall.SIGTERM) }

// Kill ends the relay as a power cut would.
func (n *Nation) Kill() { n.end(syscall.SIGKILL) }

func (n *Nation) end(signal syscall.Signal) {
	if n.process == nil {
		return
	}
	_ = n.process.Process.Signal(signal) // it may have ended already
	<-n.ended                            //nolint:errcheck // a signal ended it, and that is what it says
	n.process = nil
	n.Desk().Close()
	n.log.Close()
}

// Desk calls the local port in the role of the duty desk, once started.
func (n *Nation) Desk() *relayclient.Client { return n.desk.Load() }

// Reconnect makes Desk use the certificates that lie in the desk's directory now.
func (n *Nation) Reconnect() error {
	next, err := n.Client()
	if err != nil {
		return err
	}
	if before := n.desk.Swap(next); before != nil {
		before.Close()
	}
	return nil
}

// Client is another client in the role of the duty desk, with connections of its own, by
// the certificates that lie in the desk's directory now.
func (n *Nation) Client() (*relayclient.Client, error) {
	secret := map[string][]byte{}
	for _, key := range []string{relayclient.KeyCertificate, relayclient.KeyPrivateKey, relayclient.KeyCA} {
		data, err := os.ReadFile(filepath.Join(n.TLS("desk"), key))
		if err != nil {
			return nil, fmt.Errorf("reading the desk's certificate of %s: %w", n.Name, err)
		}
		secret[key] = data
	}
	credentials, err := relayclient.ParseCredentials(n.CA.TrustDomain, secret)
	if err != nil {
		return nil, err
	}
	return relayclient.New(credentials, func(ctx context.Context) (net.Conn, error) {
		return n.host().DialContext(ctx, "tcp", n.Config.Listen.Local)
	}), nil
}

// Report reads what the relay says about itself.
func (n *Nation) Report(ctx context.Context) (report.Report, error) {
	var r report.Report
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, "https://relay"+report.Path, http.NoBody)
	if err != nil {
		return r, err
	}
	resp, err := n.Desk().HTTP().Do(req)
	if err != nil {
		return r, err
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		return r, fmt.Errorf("the relay of %s answers %s", n.Name, resp.Status)
	}
	data, err := io.ReadAll(io.LimitReader(resp.Body, 64<<20))
	return r, errors.Join(err, json.Unmarshal(data, &r))
}

// Until waits until the report meets a condition.
func (n *Nation) Until(ctx context.Context, what string, condition func(report.Report) bool) error {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	tick := time.NewTicker(50 * time.Millisecond)
	defer tick.Stop()
	for {
		r, err := n.Report(ctx)
		if err == nil && condition(r) {
			return nil
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("waiting until %s %s: %w", n.Name, what, errors.Join(ctx.Err(), err))
		case <-tick.C:
		}
	}
}

// Connected waits until every peer is proven in both directions. An error tells what was
// last reported of each.
func (n *Nation) Connected(ctx context.Context) error {
	var last []report.Peer
	err := n.Until(ctx, "is connected", func(r report.Report) bool {
		last = r.Peers
		for _, p := range r.Peers {
			if p.Outbound.State != report.Up || p.Inbound.State != report.Up {
				return false
			}
		}
		return len(r.Peers) == len(n.Config.Peers)
	})
	for _, p := range last {
		if err != nil {
			err = fmt.Errorf("%w; %s: outbound %s %s, inbound %s %s", err,
				p.Name, p.Outbound.State, p.Outbound.Message, p.Inbound.State, p.Inbound.Message)
		}
	}
	return err
}
