// SPDX-FileCopyrightText: The certlink authors
// SPDX-License-Identifier: Apache-2.0

//go:build linux

package hub

import (
	"encoding/binary"
	"fmt"
	"math/rand/v2"
	"net/netip"
	"os"
	"sync"
	"time"

	"golang.org/x/sys/unix"

	"github.com/certlink/certlink/test/nations/internal/boot"
	"github.com/certlink/certlink/test/nations/internal/layout"
	"github.com/certlink/certlink/test/nations/internal/netns"
)

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
	done  chan struct{}
	paths map[Direction]*path

	mu    sync.RWMutex // guards ports
	ports map[string]*port
}

func newWAN() *wan {
	w := &wan{done: make(chan struct{}), paths: map[Direction]*path{}, ports: map[string]*port{}}
	for _, from := range layout.All() {
		for _, to := range layout.All() {
			if from == to {
				continue
			}
			deliver := func(data []byte) { w.deliver(to.Name, data) }
			p := newPath(deliver, func() float64 { return 100 * rand.Float64() })
			w.paths[Direction{From: from.Name, To: to.Name}] = p
			go p.run(w.done)
		}
	}
	return w
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
func openDevice(init int) (*os.File, error) {
	var device *os.File
	err := netns.Do(init, func() error {
		fd, err := unix.Open("/dev/net/tun", unix.O_RDWR|unix.O_CLOEXEC|unix.O_NONBLOCK, 0)
		if err != nil {
			return fmt.Errorf("opening /dev/net/tun: %w", err)
		}
		request, err := unix.NewIfreq(boot.WANDevice)
		if err == nil {
			request.SetUint16(unix.IFF_TUN | unix.IFF_NO_PI)
			err = unix.IoctlIfreq(fd, unix.TUNSETIFF, request)
		}
		if err != nil {
			_ = unix.Close(fd)
			return fmt.Errorf("opening device %q: %w", boot.WANDevice, err)
		}
		device = os.NewFile(uintptr(fd), "/dev/net/tun")
		return nil
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
	to, ok := destination(data)
	if !ok {
		return
	}
	for _, n := range layout.All() {
		if !n.Owns(to) {
			continue
		}
		if n != from {
			w.paths[Direction{From: from.Name, To: n.Name}].send(time.Now(), data)
		}
		return
	}
	// No nation has that address: say so at once, as the last router would.
	if reply := unreachable(data); reply != nil {
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

const ipv4Header = 20

// destination reads the destination of an IPv4 packet; ok is false for anything else.
func destination(data []byte) (to netip.Addr, ok bool) {
	if len(data) < ipv4Header || data[0]>>4 != 4 {
		return netip.Addr{}, false
	}
	return netip.AddrFrom4([4]byte(data[16:20])), true
}

// unreachable answers data with an ICMP "host unreachable" (RFC 792). It is nil where none may be sent: for other ICMP
// messages, for later fragments and for group addresses.
func unreachable(data []byte) []byte {
	const protocolICMP, typeUnreachable, codeHost, icmpHeader, quoted = 1, 3, 1, 8, 8
	header := int(data[0]&0x0f) * 4
	to, _ := destination(data)
	fragment := binary.BigEndian.Uint16(data[6:])&0x1fff != 0
	if header < ipv4Header || len(data) < header || data[9] == protocolICMP || fragment || to.IsMulticast() || to == netip.AddrFrom4([4]byte{255, 255, 255, 255}) {
		return nil
	}
	quote := data[:min(len(data), header+quoted)]
	reply := make([]byte, ipv4Header+icmpHeader+len(quote))
	reply[0], reply[8], reply[9] = 0x45, 64, protocolICMP
	binary.BigEndian.PutUint16(reply[2:], uint16(len(reply)))
	copy(reply[12:16], data[16:20])
	copy(reply[16:20], data[12:16])
	binary.BigEndian.PutUint16(reply[10:], checksum(reply[:ipv4Header]))
	message := reply[ipv4Header:]
	message[0], message[1] = typeUnreachable, codeHost
	copy(message[icmpHeader:], quote)
	binary.BigEndian.PutUint16(message[2:], checksum(message))
	return reply
}

// checksum is the Internet checksum (RFC 1071).
func checksum(data []byte) uint16 {
	var sum uint32
	for i := 0; i+1 < len(data); i += 2 {
		sum += uint32(binary.BigEndian.Uint16(data[i:]))
	}
	if len(data)%2 == 1 {
		sum += uint32(data[len(data)-1]) << 8
	}
	for sum > 0xffff {
		sum = sum>>16 + sum&0xffff
	}
	return ^uint16(sum)
}
