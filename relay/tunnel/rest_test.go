// SPDX-FileCopyrightText: The certlink authors
// SPDX-License-Identifier: Apache-2.0

package tunnel_test

import (
	"bytes"
	"errors"
	"io"
	"net"
	"runtime"
	"runtime/metrics"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/certlink/certlink/relay/config"
)

// awake counts the directions that a goroutine looks after.
func awake() int { return running("send") + running("deliver") }

// running counts the goroutines that are inside of a method of an engine.
func running(method string) int {
	stacks := make([]byte, 8<<20)
	stacks = stacks[:runtime.Stack(stacks, true)]
	return bytes.Count(stacks, []byte("\ngithub.com/certlink/certlink/relay/tunnel.(*Engine)."+method+"("))
}

// answer is what a target does with a ping.
func answer(c *net.TCPConn) {
	var b [4]byte
	_, _ = io.ReadFull(c, b[:])
	_, _ = c.Write(b[:])
}

// rests waits until nobody looks after any connection. All of them have carried a byte
// in both directions, so that their goroutines have begun.
func (w *world) rests(t testing.TB) {
	t.Helper()
	eventually(t, "all connections rest", func() bool { return awake() == 0 })
}

// gone waits until nothing of any connection is left.
func (w *world) gone(t testing.TB) {
	t.Helper()
	eventually(t, "nothing is left", func() bool {
		return w.alfa.engine.Tunnels("bravo") == 0 && w.bravo.engine.Tunnels("alfa") == 0 && awake() == 0
	})
}

func TestAConnectionThatRestsGoesOn(t *testing.T) {
	w := newWorld(t, serveTCP(t, echo))
	ended, other := w.dial(t), w.dial(t)
	ping(t, ended)
	ping(t, other)
	for range 2 {
		w.rests(t)
		ping(t, ended)
		ping(t, other)
	}
	w.rests(t)
	exchange(t, ended, random(300_000))
	ping(t, other)
	_ = other.Close()
	eventually(t, "a connection that has rested is given back", w.alfa.link.idle)
	w.gone(t)
}

func TestEitherSideWakesAConnectionThatRests(t *testing.T) {
	targets := make(chan *net.TCPConn, 1)
	w := newWorld(t, serveTCP(t, func(c *net.TCPConn) {
		answer(c)
		targets <- c
		_, _ = io.Copy(io.Discard, c)
		_ = c.CloseWrite()
	}))
	c := w.dial(t)
	ping(t, c)
	target := <-targets
	w.rests(t)
	most := 0
	for range 20 { // the other direction rests on
		if _, err := target.Write([]byte("from the target")); err != nil {
			t.Fatal(err)
		}
		if _, err := io.ReadFull(c, make([]byte, 15)); err != nil {
			t.Fatal(err)
		}
		most = max(most, awake()) // each time: where other work holds us up, both may rest again before we look
	}
	if most != 2 {
		t.Errorf("%d directions are awake, not one on either side", most)
	}
	w.rests(t)
	_ = c.CloseWrite()
	if rest, err := io.ReadAll(c); err != nil || len(rest) > 0 {
		t.Fatalf("%q, %v", rest, err)
	}
	w.gone(t)
}

func TestAConnectionThatRestsEndsOneDirectionAfterTheOther(t *testing.T) {
	w := newWorld(t, serveTCP(t, func(c *net.TCPConn) {
		answer(c)
		_, err := io.ReadAll(c) // until the client's end, which comes after a rest
		if err == nil {
			_, _ = c.Write([]byte("late"))
		}
		_ = c.CloseWrite()
	}))
	c := w.dial(t)
	ping(t, c)
	w.rests(t)
	_ = c.CloseWrite()
	if said, err := io.ReadAll(c); err != nil || string(said) != "late" {
		t.Fatalf("%q, %v", said, err)
	}
	eventually(t, "the connection is given back", w.alfa.link.idle)
	w.gone(t)
}

// What cuts connections while they rest, and what of it the client must see.
func TestConnectionsThatRestAreCut(t *testing.T) {
	for name, cut := range map[string]func(*world){
		"the link of the importer": func(w *world) { w.alfa.link.cut() },
		"the link of the exporter": func(w *world) { w.bravo.link.cut() },
		"suspended by the importer": func(w *world) {
			w.alfa.cfg.Peers[0].State = config.Suspended
			w.alfa.engine.Apply(w.alfa.cfg)
		},
		"suspended by the exporter": func(w *world) {
			w.bravo.cfg.Peers[0].State = config.Suspended
			w.bravo.engine.Apply(w.bravo.cfg)
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t, serveTCP(t, echo))
			var all []*net.TCPConn
			for range 10 {
				all = append(all, w.dial(t))
				ping(t, all[len(all)-1])
			}
			w.rests(t)
			cut(w)
			for _, c := range all {
				mustReset(t, c)
			}
			w.gone(t)
		})
	}
}

func TestAConnectionThatRestsIsCutWhenIdleForTooLong(t *testing.T) {
	w := newWorld(t, serveTCP(t, echo))
	w.alfa.cfg.ServiceImports[0].IdleSeconds = 4
	w.alfa.engine.Apply(w.alfa.cfg)
	c := w.dial(t)
	ping(t, c)
	w.rests(t)
	mustReset(t, c)
	w.gone(t)
}

// So a leaf is renewed: connections take no further stream and end with the one that they have.
func TestAConnectionThatRestsOutlivesTheRenewalOfALeaf(t *testing.T) {
	w := newWorld(t, serveTCP(t, echo))
	c := w.dial(t)
	ping(t, c)
	w.rests(t)
	w.alfa.link.drain()
	ping(t, c)
	w.rests(t)
	w.bravo.link.drain()
	exchange(t, c, random(100_000))
	eventually(t, "the drained connections have ended", func() bool { return w.alfa.link.empty() && w.bravo.link.empty() })
	w.gone(t)
}

// All at once rest, wake, are spoken on, fall silent, and end in different ways.
func TestAThousandConnectionsRestAndWakeAtOnce(t *testing.T) {
	many := min(1000, affordable(t))
	usual := gogc()
	w := newWorld(t, serveTCP(t, echo))
	w.allow(many)
	all := make([]*net.TCPConn, many)
	for i := range all {
		all[i] = w.dial(t)
		_ = all[i].SetDeadline(time.Now().Add(4 * patience))
		ping(t, all[i])
	}
	w.rests(t)
	for range 2 {
		var talking sync.WaitGroup
		for _, c := range all {
			talking.Go(func() { ping(t, c) })
		}
		talking.Wait()
		w.rests(t)
	}
	eventually(t, "the heap is kept small", func() bool { return gogc() < usual || usual != 100 })
	var ending sync.WaitGroup
	for i, c := range all {
		ending.Go(func() {
			switch i % 3 {
			case 0:
				exchange(t, c, random(10_000))
			case 1:
				c.Close()
			case 2:
				_ = c.SetLinger(0)
				c.Close()
			}
		})
	}
	ending.Wait()
	w.gone(t)
	eventually(t, "the heap may grow again", func() bool { return gogc() == usual })
}

// affordable is how many connections can be open here: each takes six files.
func affordable(t testing.TB) int32 {
	t.Helper()
	var files syscall.Rlimit
	if err := syscall.Getrlimit(syscall.RLIMIT_NOFILE, &files); err != nil {
		t.Fatal(err)
	}
	return int32(min(100_000, files.Cur/8)) //nolint:gosec // not so many
}

// allow lets so many connections be open, for an hour without a byte.
func (w *world) allow(many int32) {
	for _, n := range []*nation{w.alfa, w.bravo} {
		n.cfg.Peers[0].Limits.TunnelConnections = many
		for i := range n.cfg.ServiceExports {
			n.cfg.ServiceExports[i].MaxConnections, n.cfg.ServiceExports[i].IdleSeconds = many, 3600
		}
		for i := range n.cfg.ServiceImports {
			n.cfg.ServiceImports[i].MaxConnections, n.cfg.ServiceImports[i].IdleSeconds = many, 3600
		}
		n.engine.Apply(n.cfg)
	}
}

// crowd is how many connections are open when those that come rest from their beginning.
const crowd = 250

// greeted opens a connection to a target that says hello. The importer's side is complete when it returns.
func (w *world) greeted(t testing.TB) *net.TCPConn {
	t.Helper()
	c := w.dial(t)
	_ = c.SetDeadline(time.Now().Add(4 * patience))
	b := make([]byte, 5)
	if _, err := io.ReadFull(c, b); err != nil || string(b) != "hello" {
		t.Fatalf("%q, %v", b, err)
	}
	return c
}

// Where many are open, a connection takes no goroutine for a client that says nothing.
func TestAConnectionInACrowdRestsFromItsBeginning(t *testing.T) {
	if n := affordable(t); n < crowd+10 {
		t.Fatalf("this process may open files for %d connections only: raise ulimit -n", n)
	}
	ended := make(chan error, crowd+10)
	w := newWorld(t, serveTCP(t, func(c *net.TCPConn) {
		_, _ = c.Write([]byte("hello"))
		_, err := io.Copy(c, c)
		_ = c.CloseWrite()
		ended <- err
	}))
	w.allow(crowd + 10)
	for range crowd {
		ping(t, w.greeted(t))
	}
	w.rests(t)

	quiet := w.greeted(t)
	if n := running("send"); n > 1 { // that of the exporter, which has brought the greeting
		t.Errorf("%d goroutines wait for the local sides", n)
	}
	w.rests(t)
	ping(t, quiet)
	w.rests(t)
	exchange(t, quiet, random(300_000))
	if err := <-ended; err != nil {
		t.Errorf("the target saw %v, not an end", err)
	}

	atOnce := w.greeted(t)
	exchange(t, atOnce, random(300_000))
	if err := <-ended; err != nil {
		t.Errorf("the target saw %v, not an end", err)
	}

	reset := w.greeted(t)
	_ = reset.SetLinger(0)
	_ = reset.Close()
	if err := <-ended; !errors.Is(err, syscall.ECONNRESET) {
		t.Errorf("the target saw %v, not a reset", err)
	}

	cut := w.greeted(t)
	w.alfa.cfg.Peers[0].State = config.Suspended
	w.alfa.engine.Apply(w.alfa.cfg)
	mustReset(t, cut)
	w.gone(t)
}

// gogc is by how much the heap may grow before it is collected.
func gogc() uint64 {
	sample := []metrics.Sample{{Name: "/gc/gogc:percent"}}
	metrics.Read(sample)
	return sample[0].Value.Uint64()
}

// A reset is no byte, and wakes too.
func TestWhoWakesUpToAConnectionThatIsGoneEndsIt(t *testing.T) {
	gone := make(chan error, 1)
	w := newWorld(t, serveTCP(t, func(c *net.TCPConn) {
		answer(c)
		_, err := io.Copy(io.Discard, c)
		gone <- err
	}))
	c := w.dial(t)
	ping(t, c)
	w.rests(t)
	_ = c.SetLinger(0)
	_ = c.Close()
	if err := <-gone; !errors.Is(err, syscall.ECONNRESET) {
		t.Errorf("the target saw %v, not a reset", err)
	}
	w.gone(t)
}
