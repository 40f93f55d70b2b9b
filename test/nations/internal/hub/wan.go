// SPDX-FileCopyrightText: The certlink authors
// SPDX-License-Identifier: Apache-2.0

//go:build linux

package hub

import (
	"cmp"
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"net/netip"
	"os"
	"slices"
	"sync"
	"time"

	"github.com/certlink/certlink/test/nations/internal/boot"
	"github.com/certlink/certlink/test/nations/internal/layout"
	"github.com/certlink/certlink/test/wan/netns"
	"github.com/certlink/certlink/test/wan/pipe"
)

// Direction is the way of packets from one nation to another; the way back is another direction. With an address it is
// the part of them that comes from that address of the first nation, or goes to that address of the second.
type Direction struct {
	From        string     `json:"from"`
	To          string     `json:"to"`
	FromAddress netip.Addr `json:"from_address,omitzero"`
	ToAddress   netip.Addr `json:"to_address,omitzero"`
}

func (d Direction) String() string {
	name := func(nation string, address netip.Addr) string {
		if address.IsValid() {
			return nation + "(" + address.String() + ")"
		}
		return nation
	}
	return name(d.From, d.FromAddress) + " to " + name(d.To, d.ToAddress)
}

// check finds directions that no packet can take.
func (d Direction) check() error {
	from, errFrom := layout.Find(d.From)
	to, errTo := layout.Find(d.To)
	if err := errors.Join(errFrom, errTo); err != nil {
		return fmt.Errorf("no path from %q to %q: %w", d.From, d.To, err)
	}
	if from == to {
		return fmt.Errorf("no path from %q to %q: it is the same nation", d.From, d.To)
	}
	for _, end := range []struct {
		nation  layout.Nation
		address netip.Addr
	}{{from, d.FromAddress}, {to, d.ToAddress}} {
		if end.address.IsValid() && !end.nation.Owns(end.address) {
			return fmt.Errorf("%s has no address %s: it has %s and %s to %s", end.nation.Name, end.address,
				end.nation.Node(), end.nation.LoadBalancer(0), end.nation.LoadBalancer(layout.LoadBalancers-1))
		}
	}
	return nil
}

// parts are the directions of one packet, from the narrowest to all that goes between the two nations: it passes the
// pipe of each, in this order.
func parts(from, to string, source, destination netip.Addr) [4]Direction {
	return [4]Direction{
		{From: from, To: to, FromAddress: source, ToAddress: destination},
		{From: from, To: to, ToAddress: destination},
		{From: from, To: to, FromAddress: source},
		{From: from, To: to},
	}
}

// maxPacket is the largest IPv4 packet.
const maxPacket = 1 << 16

// port is one nation's end of the WAN.
type port struct {
	nation layout.Nation
	init   int
	device *os.File
}

// wan carries IPv4 packets between the ports by their destination, and nowhere else.
type wan struct {
	done chan struct{}

	mu    sync.RWMutex // guards ports and paths
	ports map[string]*port
	// paths has a pipe for every two nations, and for each direction with an address that was ever set.
	paths map[Direction]*pipe.Pipe
}

func newWAN() *wan {
	w := &wan{done: make(chan struct{}), paths: map[Direction]*pipe.Pipe{}, ports: map[string]*port{}}
	for _, from := range layout.All() {
		for _, to := range layout.All() {
			if from != to {
				w.path(Direction{From: from.Name, To: to.Name})
			}
		}
	}
	return w
}

// path returns the pipe of a direction and makes it if it is new.
func (w *wan) path(d Direction) *pipe.Pipe {
	w.mu.Lock()
	defer w.mu.Unlock()
	if p := w.paths[d]; p != nil {
		return p
	}
	deliver := func(data []byte) {
		source, destination, _ := pipe.Addresses(data)
		all := parts(d.From, d.To, source, destination)
		w.pass(data, d.To, all[slices.Index(all[:], d)+1:])
	}
	p := pipe.New(deliver, func() func() float64 {
		return func() float64 { return 100 * rand.Float64() }
	})
	w.paths[d] = p
	go p.Run(w.done)
	return p
}

// pass sends a packet through the first pipe that there is among those of its parts, which go on with the rest, or to
// its nation when none is left.
func (w *wan) pass(data []byte, to string, rest []Direction) {
	for _, d := range rest {
		w.mu.RLock()
		p := w.paths[d]
		w.mu.RUnlock()
		if p != nil {
			p.Send(time.Now(), data)
			return
		}
	}
	w.deliver(to, data)
}

// directions lists all that have a pipe, those of the same nations together.
func (w *wan) directions() []Direction {
	w.mu.RLock()
	defer w.mu.RUnlock()
	return slices.SortedFunc(maps.Keys(w.paths), func(a, b Direction) int {
		return cmp.Or(
			cmp.Compare(slices.Index(layout.Names, a.From), slices.Index(layout.Names, b.From)),
			cmp.Compare(slices.Index(layout.Names, a.To), slices.Index(layout.Names, b.To)),
			a.FromAddress.Compare(b.FromAddress), a.ToAddress.Compare(b.ToAddress))
	})
}

// attach connects the nation whose first process is init. Attaching the same process again does nothing.
func (w *wan) attach(n layout.Nation, init int) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	if old := w.ports[n.Name]; old != nil {
		if old.init == init {
			return nil
		}
		_ = old.device.Close()
		delete(w.ports, n.Name)
	}
	device, err := openDevice(init)
	if err != nil {
		return fmt.Errorf("connecting %q to the WAN: %w", n.Name, err)
	}
	p := &port{nation: n, init: init, device: device}
	w.ports[n.Name] = p
	go w.read(p)
	return nil
}

// detach disconnects the nation, if it is still the process init. An open device would keep its network alive.
func (w *wan) detach(name string, init int) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if p := w.ports[name]; p != nil && p.init == init {
		_ = p.device.Close()
		delete(w.ports, name)
	}
}

func (w *wan) close() {
	close(w.done)
	w.mu.Lock()
	defer w.mu.Unlock()
	for name, p := range w.ports {
		_ = p.device.Close()
		delete(w.ports, name)
	}
}

// openDevice opens the nation's TUN device, which Init has made.
func openDevice(init int) (device *os.File, err error) {
	err = netns.Do(init, func() error {
		device, err = netns.OpenTUN(boot.WANDevice)
		return err
	})
	return device, err
}

// read takes the packets of one nation until its port is closed.
func (w *wan) read(p *port) {
	buffer := make([]byte, maxPacket)
	for {
		n, err := p.device.Read(buffer)
		if err != nil {
			return
		}
		w.forward(p.nation, buffer[:n])
	}
}

// forward sends one packet on its way.
func (w *wan) forward(from layout.Nation, data []byte) {
	source, to, ok := pipe.Addresses(data)
	if !ok {
		return
	}
	for _, n := range layout.All() {
		if !n.Owns(to) {
			continue
		}
		if n != from {
			all := parts(from.Name, n.Name, source, to)
			w.pass(data, n.Name, all[:])
		}
		return
	}
	// No nation has that address: say so at once, as the last router would.
	if reply := pipe.Unreachable(data); reply != nil {
		w.deliver(from.Name, reply)
	}
}

func (w *wan) deliver(name string, data []byte) {
	w.mu.RLock()
	p := w.ports[name]
	w.mu.RUnlock()
	if p != nil {
		// A device that is down or full loses the packet, as any network may.
		_, _ = p.device.Write(data)
	}
}
