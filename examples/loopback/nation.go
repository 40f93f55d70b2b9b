// SPDX-FileCopyrightText: The certlink authors
// SPDX-License-Identifier: Apache-2.0

package main

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
	"syscall"
	"time"

	"github.com/certlink/certlink/internal/relayclient"
	"github.com/certlink/certlink/internal/testca"
	"github.com/certlink/certlink/relay/config"
	"github.com/certlink/certlink/relay/report"
)

// nation is one CERT: its own CA, its configuration and its relay.
type nation struct {
	name string
	dir  string
	ca   *testca.CA
	cfg  config.Config
	desk *relayclient.Client

	process *exec.Cmd
	log     *os.File
}

// found makes both nations. All that they exchange is public: name, address and
// CA certificate.
func found(ctx context.Context, dir string) (alfa, bravo *nation, err error) {
	if alfa, err = newNation(ctx, dir, "alfa"); err != nil {
		return nil, nil, err
	}
	if bravo, err = newNation(ctx, dir, "bravo"); err != nil {
		return nil, nil, err
	}
	alfa.cfg.Peers, bravo.cfg.Peers = []config.Peer{bravo.card()}, []config.Peer{alfa.card()}
	alfa.cfg.Hotlines = []config.Hotline{{Name: "bravo", Peer: "bravo"}}
	bravo.cfg.Hotlines = []config.Hotline{{Name: "alfa", Peer: "alfa"}}
	alfa.cfg.Exports = []config.Export{{
		Name: "threats", Peers: []string{"bravo"},
		Sources: []config.Source{{Name: "own"}},
		Rule:    config.Rule{MaxTLP: "GREEN"},
	}}
	bravo.cfg.Imports = []config.Import{{Name: "from-alfa", Peer: "alfa", Collection: "threats", IntervalSeconds: 1}}
	return alfa, bravo, nil
}

func newNation(ctx context.Context, dir, name string) (*nation, error) {
	ca, err := testca.Make(name+".example", testca.Options{})
	if err != nil {
		return nil, err
	}
	n := &nation{name: name, dir: filepath.Join(dir, name), ca: ca}
	if err := ca.WriteNation(filepath.Join(n.dir, "tls")); err != nil {
		return nil, err
	}
	pair := func(which string) config.KeyPair {
		at := func(file string) string { return filepath.Join(n.dir, "tls", which, file) }
		return config.KeyPair{CertFile: at("tls.crt"), KeyFile: at("tls.key"), CAFile: at("ca.crt")}
	}
	n.cfg.Identity = config.Identity{TrustDomain: ca.TrustDomain, Link: pair("relay"), Local: pair("local"), Signing: pair("signing")}
	n.cfg.Store.SQLite.Path = filepath.Join(n.dir, "relay.db")
	n.cfg.Listen, err = freePorts(ctx)
	return n, err
}

// freePorts finds three addresses on loopback, all held until the last is found.
func freePorts(ctx context.Context) (config.Listen, error) {
	var l config.Listen
	for _, address := range []*string{&l.Link, &l.Local, &l.Health} {
		listener, err := new(net.ListenConfig).Listen(ctx, "tcp", "127.0.0.1:0")
		if err != nil {
			return l, fmt.Errorf("finding a free port: %w", err)
		}
		defer listener.Close()
		*address = listener.Addr().String()
	}
	return l, nil
}

// card is what a peer must know about us.
func (n *nation) card() config.Peer {
	return config.Peer{
		Name: n.name, TrustDomain: n.ca.TrustDomain, Bundle: n.ca.Bundle(),
		Endpoints: []config.Endpoint{{Address: n.cfg.Listen.Link}},
	}
}

func (n *nation) file() string { return filepath.Join(n.dir, "relay.yaml") }

// start writes the configuration and starts the relay.
func (n *nation) start(ctx context.Context, binary string) error {
	data, err := config.Encode(&n.cfg)
	if err != nil {
		return fmt.Errorf("configuring %s: %w", n.name, err)
	}
	if err := os.WriteFile(n.file(), data, 0o600); err != nil {
		return fmt.Errorf("configuring %s: %w", n.name, err)
	}
	if n.desk, err = n.connect(); err != nil {
		return err
	}
	if n.log, err = os.Create(filepath.Join(n.dir, "relay.log")); err != nil {
		return fmt.Errorf("opening the log of %s: %w", n.name, err)
	}
	// Not bound to the context: a relay is stopped in order, below.
	n.process = exec.CommandContext(context.WithoutCancel(ctx), binary, "--config", n.file())
	n.process.Stderr = n.log
	if err := n.process.Start(); err != nil {
		return fmt.Errorf("starting the relay of %s: %w", n.name, err)
	}
	return nil
}

// connect makes the duty desk's client of the local port.
func (n *nation) connect() (*relayclient.Client, error) {
	secret := map[string][]byte{}
	for _, key := range []string{relayclient.KeyCertificate, relayclient.KeyPrivateKey, relayclient.KeyCA} {
		data, err := os.ReadFile(filepath.Join(n.dir, "tls", "desk", key))
		if err != nil {
			return nil, fmt.Errorf("reading the desk's certificate of %s: %w", n.name, err)
		}
		secret[key] = data
	}
	credentials, err := relayclient.ParseCredentials(n.ca.TrustDomain, secret)
	if err != nil {
		return nil, err
	}
	return relayclient.New(credentials, func(ctx context.Context) (net.Conn, error) {
		return new(net.Dialer).DialContext(ctx, "tcp", n.cfg.Listen.Local)
	}), nil
}

// stop ends the relay as Kubernetes would.
func (n *nation) stop() {
	n.desk.Close()
	_ = n.process.Process.Signal(syscall.SIGTERM) // it may have ended already
	_ = n.process.Wait()
	n.log.Close()
}

// report reads what the relay says about itself.
func (n *nation) report(ctx context.Context) (report.Report, error) {
	var r report.Report
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, "https://relay"+report.Path, http.NoBody)
	if err != nil {
		return r, err
	}
	resp, err := n.desk.HTTP().Do(req)
	if err != nil {
		return r, err
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		return r, fmt.Errorf("the relay of %s answers %s", n.name, resp.Status)
	}
	data, err := io.ReadAll(io.LimitReader(resp.Body, 16<<20))
	return r, errors.Join(err, json.Unmarshal(data, &r))
}

// until polls until the condition is true, for at most 30 seconds.
func until(ctx context.Context, what string, condition func(context.Context) (bool, error)) error {
	ctx, cancel := context.WithTimeout(ctx, 30*time.Second)
	defer cancel()
	tick := time.NewTicker(50 * time.Millisecond)
	defer tick.Stop()
	for {
		ok, err := condition(ctx)
		if ok {
			return nil
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("waiting until %s: %w", what, errors.Join(ctx.Err(), err))
		case <-tick.C:
		}
	}
}
