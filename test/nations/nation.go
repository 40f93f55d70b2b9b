// SPDX-FileCopyrightText: The certlink authors
// SPDX-License-Identifier: Apache-2.0

//go:build linux

package nations

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"github.com/certlink/certlink/test/nations/internal/boot"
	"github.com/certlink/certlink/test/nations/internal/layout"
	"github.com/certlink/certlink/test/nations/internal/node"
	"github.com/certlink/certlink/test/nations/internal/noded"
	"github.com/certlink/certlink/test/wan/netns"
)

// ErrDown is returned for a nation that is not running.
var ErrDown = errors.New("the nation is down; raise it with up")

// Nation is a nation that has been raised. Its methods may be called from several goroutines and processes.
type Nation struct {
	// Name is alfa, bravo or charlie.
	Name string

	place      layout.Nation
	dirs       layout.Dirs
	kubeconfig string
}

// Names are the nations that can be raised, in order.
func Names() []string { return append([]string(nil), layout.Names...) }

// kubeconfigNote is the file, in the nation's directory, that tells where Up has left the kubeconfig.
const kubeconfigNote = "kubeconfig"

// Get returns a nation by name, whether it runs or not.
func Get(name string) (*Nation, error) {
	place, err := layout.Find(name)
	if err != nil {
		return nil, err
	}
	state, err := layout.RunState()
	if err != nil {
		return nil, err
	}
	n := &Nation{Name: name, place: place, dirs: state.Nation(place)}
	if text, err := os.ReadFile(n.dirs.Path(kubeconfigNote)); err == nil {
		n.kubeconfig = string(text)
		return n, nil
	}
	dir, err := kubeconfigDir("")
	n.kubeconfig = filepath.Join(dir, name+".kubeconfig")
	return n, err
}

// kubeconfigDir is where kubeconfigs are left for people: the given directory, or .nations in the repository, or in
// the working directory outside of it.
func kubeconfigDir(given string) (string, error) {
	if given != "" {
		return filepath.Abs(given)
	}
	root, err := layout.Repository()
	if err != nil {
		root, err = os.Getwd()
	}
	return filepath.Join(root, ".nations"), err
}

// Kubeconfig is the path of the administrator's kubeconfig, which works from the machine itself.
func (n *Nation) Kubeconfig() string { return n.kubeconfig }

// AuditLog is the file in which the API server writes a line of JSON (audit.k8s.io/v1 Event, without bodies) for each
// finished request.
func (n *Nation) AuditLog() string { return node.Site{Dirs: n.dirs}.AuditLog() }

// Log is the log file of one of the nation's processes, such as kubelet or kube-apiserver, or of its first, init.
func (n *Nation) Log(process string) string { return n.dirs.Log(process) }

// Logs lists the names that Log knows.
func (n *Nation) Logs() []string {
	names := []string{"init"}
	for _, c := range (node.Site{Dirs: n.dirs, Nation: n.place}).Components() {
		names = append(names, c.Name)
	}
	return names
}

// Node is the address of the nation's node; other nations see its pods under it.
func (n *Nation) Node() netip.Addr { return n.place.Node() }

// AddressesAnnotation on a Service of type LoadBalancer says how many addresses it gets, 1 to 20; without it, one.
const AddressesAnnotation = noded.AddressesAnnotation

// LoadBalancer is the i-th LoadBalancer address of the nation, counted from 0. The oldest Service has the first.
func (n *Nation) LoadBalancer(i int) netip.Addr { return n.place.LoadBalancer(i) }

// Domain is the DNS name for the nation's LoadBalancer addresses in every nation: anything below it leads to the first.
func (n *Nation) Domain() string { return n.place.Domain() }

// init returns the number of the nation's first process.
func (n *Nation) init() (int, error) {
	pid, err := boot.Running(n.dirs)
	if err == nil && pid == 0 {
		err = fmt.Errorf("looking for nation %q: %w", n.Name, ErrDown)
	}
	return pid, err
}

// Command prepares a command that runs on the nation's node, in all its namespaces, with the machine's programs.
func (n *Nation) Command(ctx context.Context, argv ...string) (*exec.Cmd, error) {
	pid, err := n.init()
	if err != nil {
		return nil, err
	}
	args := append([]string{"--target", strconv.Itoa(pid), "--mount", "--uts", "--ipc", "--net", "--pid", "--cgroup", "--"}, argv...)
	return exec.CommandContext(ctx, "nsenter", args...), nil
}

// Exec runs a command on the nation's node and returns what it wrote.
func (n *Nation) Exec(ctx context.Context, argv ...string) ([]byte, error) {
	command, err := n.Command(ctx, argv...)
	if err != nil {
		return nil, err
	}
	out, err := command.CombinedOutput()
	if err != nil {
		return out, fmt.Errorf("running %q in %s: %w: %s", argv, n.Name, err, out)
	}
	return out, nil
}

// DialContext connects to a TCP address (no name) as a process on the nation's node would: cluster addresses,
// LoadBalancer addresses of every nation and pods can be reached so.
func (n *Nation) DialContext(ctx context.Context, _, address string) (net.Conn, error) {
	pid, err := n.init()
	if err != nil {
		return nil, err
	}
	return netns.Dial(ctx, pid, address)
}

// StopAPIServer kills the nation's API server and keeps it down until StartAPIServer or Up.
func (n *Nation) StopAPIServer(ctx context.Context) error {
	if _, err := n.init(); err != nil {
		return err
	}
	return boot.Stop(ctx, n.dirs, node.APIServer)
}

// StartAPIServer starts the nation's API server and returns when it is ready.
func (n *Nation) StartAPIServer(ctx context.Context) error {
	if _, err := n.init(); err != nil {
		return err
	}
	if err := boot.Start(ctx, n.dirs, node.APIServer); err != nil {
		return err
	}
	return n.waitAPI(ctx)
}

func (n *Nation) waitAPI(ctx context.Context) error {
	return poll(ctx, "waiting for the API server of "+n.Name, func() error {
		_, err := n.kubectl(ctx, nil, "get", "--raw", "/readyz")
		return err
	})
}

// interval is the pause between two looks at something that is waited for.
const interval = 200 * time.Millisecond

// poll tries until it succeeds or ctx ends; the error then tells what the last try said.
func poll(ctx context.Context, doing string, try func() error) error {
	for {
		err := try()
		if err == nil {
			return nil
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("%s: %w: %w", doing, ctx.Err(), err)
		case <-time.After(interval):
		}
	}
}

// Kubectl runs kubectl of the nations' own release against the nation and returns what it wrote to standard output.
func (n *Nation) Kubectl(ctx context.Context, stdin io.Reader, args ...string) ([]byte, error) {
	return n.kubectl(ctx, stdin, args...)
}

func (n *Nation) kubectl(ctx context.Context, stdin io.Reader, args ...string) ([]byte, error) {
	program, err := Tool(ctx, "kubectl")
	if err != nil {
		return nil, err
	}
	command := exec.CommandContext(ctx, program, append([]string{"--kubeconfig", n.kubeconfig}, args...)...)
	command.Stdin = stdin
	out, err := command.Output()
	if exit := (*exec.ExitError)(nil); errors.As(err, &exit) {
		return out, fmt.Errorf("kubectl %s in %s: %w: %s", args[0], n.Name, err, exit.Stderr)
	}
	return out, err
}

// Health says in a few words how the nation is.
func (n *Nation) Health(ctx context.Context) (string, error) {
	status, err := boot.Ask(ctx, n.dirs)
	if err != nil {
		return "", err
	}
	if status.Problem != "" {
		return "broken: " + status.Problem, nil
	}
	var down []string
	for _, c := range status.Components {
		switch {
		case c.Held:
			down = append(down, c.Name+" stopped")
		case c.PID == 0:
			down = append(down, c.Name+" not running")
		}
	}
	if len(down) > 0 {
		return strings.Join(down, ", "), nil
	}
	return "running", nil
}
