// SPDX-FileCopyrightText: The certlink authors
// SPDX-License-Identifier: Apache-2.0

//go:build linux

package wan

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"math/rand/v2"
	"net/netip"
	"os"
	"strings"
	"sync"
	"time"

	"github.com/certlink/certlink/test/wan/netns"
	"github.com/certlink/certlink/test/wan/pipe"
)

const (
	device    = "wan"
	maxPacket = 1 << 16
	// closing bounds Close.
	closing = 10 * time.Second
)

// Config describes a network.
type Config struct {
	// Names of the hosts, 1 to 250, each once.
	Names []string
	// Addresses is how many each host has, 1 to 250; 0 means 4.
	Addresses int
	// MTU of the devices in bytes, 576 to 65535; 0 means 1500.
	MTU int
	// Seed of the losses.
	Seed uint64
}

// Network is a set of hosts that reach each other and nothing else. Its methods may be called from several goroutines.
type Network struct {
	config Config
	hosts  []*Host
	owners map[netip.Addr]*Host
	done   chan struct{}
	tasks  sync.WaitGroup
	// changing is held while qualities are read and written.
	changing sync.Mutex

	mu     sync.RWMutex // guards pipes and closed
	pipes  map[Way]*pipe.Pipe
	closed bool
}

// New makes a network of hosts with four addresses each.
func New(ctx context.Context, names ...string) (*Network, error) {
	return Config{Names: names}.New(ctx)
}

// New makes the network. ctx bounds only its making.
func (c Config) New(ctx context.Context) (*Network, error) {
	if c.Addresses == 0 {
		c.Addresses = 4
	}
	if c.MTU == 0 {
		c.MTU = 1500
	}
	if len(c.Names) < 1 || len(c.Names) > 250 || c.Addresses < 1 || c.Addresses > 250 || c.MTU < 576 || c.MTU > maxPacket-1 {
		return nil, fmt.Errorf("making a network of %d hosts with %d addresses and an MTU of %d: beyond the limits", len(c.Names), c.Addresses, c.MTU)
	}
	n := &Network{config: c, owners: map[netip.Addr]*Host{}, done: make(chan struct{}), pipes: map[Way]*pipe.Pipe{}}
	for i, name := range c.Names {
		if n.Host(name) != nil {
			return nil, errors.Join(fmt.Errorf("making host %q: the name is taken", name), n.Close())
		}
		if err := n.add(ctx, i+1, name); err != nil {
			return nil, errors.Join(fmt.Errorf("making host %q: %w", name, err), n.Close())
		}
	}
	return n, nil
}

// add makes a host: its addresses are 198.18.INDEX.1 and up (RFC 2544, for benchmarks).
func (n *Network) add(ctx context.Context, index int, name string) error {
	h := &Host{Name: name, jobs: make(chan func()), ended: make(chan struct{})}
	for i := range n.config.Addresses {
		a := netip.AddrFrom4([4]byte{198, 18, byte(index), byte(i + 1)})
		h.addresses = append(h.addresses, a)
		n.owners[a] = h
	}
	var err error
	if h.ns, err = netns.New(); err != nil {
		return err
	}
	ready := make(chan error, 1)
	go netns.Thread(func() { h.work(ready) })
	n.hosts = append(n.hosts, h)
	if err := <-ready; err != nil {
		return err
	}
	if err := h.setUp(ctx, n.config.MTU); err != nil {
		return err
	}
	n.tasks.Go(func() { n.read(h) })
	return nil
}

// setUp makes the host's device and gives it addresses and routes.
func (h *Host) setUp(ctx context.Context, mtu int) error {
	err := h.Do(func() (err error) {
		h.device, err = netns.OpenTUN(device)
		return errors.Join(err, os.WriteFile("/proc/sys/net/ipv6/conf/all/disable_ipv6", []byte("1"), 0o644))
	})
	if err != nil {
		return err
	}
	var commands strings.Builder
	fmt.Fprintf(&commands, "link set lo up\nlink set %s mtu %d txqueuelen 2000 up\n", device, mtu)
	for _, a := range h.addresses {
		fmt.Fprintf(&commands, "addr add %s/32 dev %s\n", a, device)
	}
	// The route names the first address as the source of what binds none.
	fmt.Fprintf(&commands, "route add default dev %s src %s\n", device, h.addresses[0])
	_, err = h.run(ctx, commands.String(), "ip", "-batch", "-")
	return err
}

// Host returns a host by name, nil if there is none.
func (n *Network) Host(name string) *Host {
	for _, h := range n.hosts {
		if h.Name == name {
			return h
		}
	}
	return nil
}

// Close kills what runs in the hosts and takes them down. It may be called again.
func (n *Network) Close() error {
	n.mu.Lock()
	closed := n.closed
	n.closed = true
	n.mu.Unlock()
	if closed {
		return nil
	}
	ctx, cancel := context.WithTimeout(context.Background(), closing)
	defer cancel()
	var err error
	for _, h := range n.hosts {
		err = errors.Join(err, h.close(ctx))
	}
	close(n.done)
	n.tasks.Wait()
	return err
}

// read takes the packets of one host until its device is closed.
func (n *Network) read(h *Host) {
	buffer := make([]byte, maxPacket)
	for {
		size, err := h.device.Read(buffer)
		if err != nil {
			return
		}
		n.forward(h, buffer[:size])
	}
}

func (n *Network) forward(from *Host, data []byte) {
	source, to, ok := pipe.Addresses(data)
	if !ok {
		return
	}
	if n.owners[to] != nil {
		if p := n.pipe(Way{source, to}); p != nil {
			p.Send(time.Now(), data)
		}
		return
	}
	if reply := pipe.Unreachable(data); reply != nil {
		_, _ = from.device.Write(reply)
	}
}

// pipe returns the pipe of a way and makes it if it is new; nil after Close, or if nobody has the address.
func (n *Network) pipe(w Way) *pipe.Pipe {
	n.mu.RLock()
	p := n.pipes[w]
	n.mu.RUnlock()
	if p != nil {
		return p
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	to := n.owners[w.To]
	if p := n.pipes[w]; p != nil || n.closed || to == nil || n.owners[w.From] == nil {
		return p
	}
	p = pipe.New(func(data []byte) {
		// A device that is full or gone loses the packet, as any network may.
		_, _ = to.device.Write(data)
	}, func() func() float64 { return n.throws(w) })
	n.pipes[w] = p
	n.tasks.Go(func() { p.Run(n.done) })
	return p
}

// throws is a series that depends on the seed and the way alone.
func (n *Network) throws(w Way) func() float64 {
	from, to := w.From.As4(), w.To.As4()
	ends := uint64(binary.BigEndian.Uint32(from[:]))<<32 | uint64(binary.BigEndian.Uint32(to[:]))
	random := rand.New(rand.NewPCG(n.config.Seed, ends))
	return func() float64 { return 100 * random.Float64() }
}
