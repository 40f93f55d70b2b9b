// SPDX-FileCopyrightText: The certlink authors
// SPDX-License-Identifier: Apache-2.0

//go:build linux

package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/certlink/certlink/internal/testca"
	"github.com/certlink/certlink/relay/config"
	"github.com/certlink/certlink/test/bench/relays"
)

// pair is two proxies: plain TCP goes into the first, mutual TLS 1.3 between
// them, plain TCP out of the second to the server.
type pair struct {
	name    string
	address string // of the first
	pids    func() []int
	stop    func()
}

// cpu is the processor time of all processes of the pair.
func (p pair) cpu() (time.Duration, error) {
	var sum time.Duration
	for _, pid := range p.pids() {
		t, err := relays.CPU(pid)
		if err != nil {
			return 0, err
		}
		sum += t
	}
	return sum, nil
}

// memory of all processes of the pair in MB (10^6 bytes).
func (p pair) memory() (float64, error) {
	var sum int64
	for _, pid := range p.pids() {
		n, err := relays.Memory(pid)
		if err != nil {
			return 0, err
		}
		sum += n
	}
	return float64(sum) / 1e6, nil
}

// certlinkPair starts two relays, of which one exports the server to the other.
func certlinkPair(ctx context.Context, dir, server string) (pair, error) {
	binary, err := relays.Build(ctx, dir)
	if err != nil {
		return pair{}, err
	}
	alfa, err := relays.New(ctx, dir, "alfa")
	if err != nil {
		return pair{}, err
	}
	bravo, err := relays.New(ctx, dir, "bravo")
	if err != nil {
		return pair{}, err
	}
	in, err := relays.FreePort(ctx)
	if err != nil {
		return pair{}, err
	}
	many := config.Limits{TunnelConnections: 8192}
	toAlfa, toBravo := alfa.Peer(), bravo.Peer()
	toAlfa.Limits, toBravo.Limits = many, many
	alfa.Config.Peers, bravo.Config.Peers = []config.Peer{toBravo}, []config.Peer{toAlfa}
	alfa.Config.ServiceExports = []config.ServiceExport{{Name: "server", Target: server, Peers: []string{"bravo"}, MaxConnections: 8192}}
	bravo.Config.ServiceImports = []config.ServiceImport{{Name: "server", Peer: "alfa", Service: "server", Listen: in, MaxConnections: 8192}}
	stop := func() { bravo.Stop(); alfa.Stop() }
	for _, n := range []*relays.Nation{alfa, bravo} {
		if err := n.Start(ctx, binary); err != nil {
			stop()
			return pair{}, err
		}
	}
	if err := errors.Join(alfa.Connected(ctx), bravo.Connected(ctx)); err != nil {
		stop()
		return pair{}, err
	}
	pids := []int{alfa.PID(), bravo.PID()}
	return pair{name: "certlink", address: in, pids: func() []int { return pids }, stop: stop}, nil
}

// other is a proxy that is not ours, started twice.
type other struct {
	name    string
	command func(file string) []string
	// first and second are the configurations of the two proxies.
	first, second func(f files, listen, next string) string
}

// files are what both proxies of a pair use.
type files struct{ dir, pem, cert, key, ca string }

func (o other) pair(ctx context.Context, dir, server string) (pair, error) {
	f, err := newFiles(filepath.Join(dir, o.name))
	if err != nil {
		return pair{}, err
	}
	in, err := relays.FreePort(ctx)
	if err != nil {
		return pair{}, err
	}
	between, err := relays.FreePort(ctx)
	if err != nil {
		return pair{}, err
	}
	var started []*exec.Cmd
	stop := func() {
		for _, c := range started {
			_ = c.Process.Signal(syscall.SIGTERM) // it may have ended already
			_ = c.Wait()
		}
	}
	for i, text := range []string{o.first(f, in, between), o.second(f, between, server)} {
		own := filepath.Join(f.dir, strconv.Itoa(i))
		if err := os.MkdirAll(own, 0o755); err != nil {
			return pair{}, fmt.Errorf("making a directory for %s: %w", o.name, err)
		}
		text = strings.ReplaceAll(text, "OWN", own)
		file := filepath.Join(own, "conf")
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			return pair{}, fmt.Errorf("configuring %s: %w", o.name, err)
		}
		args := o.command(file)
		c := exec.CommandContext(context.WithoutCancel(ctx), args[0], args[1:]...)
		c.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
		log, err := os.Create(filepath.Join(own, "log"))
		if err != nil {
			return pair{}, fmt.Errorf("opening the log of %s: %w", o.name, err)
		}
		defer log.Close()
		c.Stdout, c.Stderr = log, log
		if err := c.Start(); err != nil {
			stop()
			return pair{}, fmt.Errorf("starting %s: %w", o.name, err)
		}
		started = append(started, c)
	}
	p := pair{name: o.name, address: in, stop: stop, pids: func() []int {
		return append(family(started[0].Process.Pid), family(started[1].Process.Pid)...)
	}}
	return p, p.await(ctx)
}

// await waits until a byte comes back through the pair.
func (p pair) await(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, 20*time.Second)
	defer cancel()
	for {
		err := visit(ctx, p.address)
		if err == nil {
			return nil
		}
		select {
		case <-ctx.Done():
			p.stop()
			return fmt.Errorf("waiting for %s: %w", p.name, err)
		case <-time.After(50 * time.Millisecond):
		}
	}
}

// family is a process and its children.
func family(pid int) []int {
	out := []int{pid}
	data, err := os.ReadFile(fmt.Sprintf("/proc/%d/task/%d/children", pid, pid))
	if err != nil {
		return out
	}
	for field := range strings.FieldsSeq(string(data)) {
		if child, err := strconv.Atoi(field); err == nil {
			out = append(out, child)
		}
	}
	return out
}

// newFiles writes the certificate that both ends of a foreign pair show: P-256, as
// the relays have.
func newFiles(dir string) (files, error) {
	f := files{dir: dir, pem: filepath.Join(dir, "both.pem"), cert: filepath.Join(dir, "tls.crt"), key: filepath.Join(dir, "tls.key"), ca: filepath.Join(dir, "ca.crt")}
	ca, err := testca.Make("proxy.example", testca.Options{})
	if err != nil {
		return f, err
	}
	if err := ca.WriteNation(filepath.Join(dir, "tls")); err != nil {
		return f, err
	}
	cert, err := os.ReadFile(filepath.Join(dir, "tls", "relay", "tls.crt"))
	if err != nil {
		return f, err
	}
	key, err := os.ReadFile(filepath.Join(dir, "tls", "relay", "tls.key"))
	if err != nil {
		return f, err
	}
	return f, errors.Join(
		os.WriteFile(f.cert, cert, 0o600),
		os.WriteFile(f.key, key, 0o600),
		os.WriteFile(f.pem, append(cert, key...), 0o600),
		os.WriteFile(f.ca, []byte(ca.Bundle()), 0o600),
	)
}
