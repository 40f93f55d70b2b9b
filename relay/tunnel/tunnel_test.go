// SPDX-FileCopyrightText: The certlink authors
// SPDX-License-Identifier: Apache-2.0

package tunnel_test

import (
	"bytes"
	"errors"
	"io"
	"math/rand/v2"
	"net"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus/testutil"

	"github.com/certlink/certlink/relay/config"
	"github.com/certlink/certlink/relay/report"
)

func exchange(t testing.TB, c *net.TCPConn, data []byte) {
	t.Helper()
	var wg sync.WaitGroup
	wg.Go(func() {
		if _, err := c.Write(data); err != nil {
			t.Error(err)
		}
		if err := c.CloseWrite(); err != nil {
			t.Error(err)
		}
	})
	got, err := io.ReadAll(c)
	wg.Wait()
	if err != nil || !bytes.Equal(got, data) {
		t.Fatalf("%d of %d bytes came back: %v", len(got), len(data), err)
	}
}

func random(n int) []byte {
	b := make([]byte, n)
	for i := range b {
		b[i] = byte(rand.Uint32())
	}
	return b
}

// mustReset reads until the connection ends, which must not look like an end.
func mustReset(t testing.TB, c net.Conn) {
	t.Helper()
	_, err := io.Copy(io.Discard, c)
	if !errors.Is(err, syscall.ECONNRESET) {
		t.Fatalf("the client saw %v, not a reset", err)
	}
}

// isReset opens a connection that gets nowhere.
func (w *world) isReset(t testing.TB) {
	t.Helper()
	var d net.Dialer
	c, err := d.DialContext(t.Context(), "tcp", w.address)
	if errors.Is(err, syscall.ECONNRESET) {
		return
	}
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	_ = c.SetDeadline(time.Now().Add(patience))
	mustReset(t, c)
}

func ping(t testing.TB, c net.Conn) {
	t.Helper()
	if _, err := c.Write([]byte("ping")); err != nil {
		t.Fatal(err)
	}
	b := make([]byte, 4)
	if _, err := io.ReadFull(c, b); err != nil || string(b) != "ping" {
		t.Fatal(string(b), err)
	}
}

func (w *world) service(t testing.TB, n *nation, name string) report.Service {
	t.Helper()
	services, err := n.engine.ReportServices(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	for _, s := range services {
		if s.Name == name {
			return s
		}
	}
	t.Fatalf("no service %q in %v", name, services)
	return report.Service{}
}

func TestBytesGoThroughAndConnectionsAreUsedAgain(t *testing.T) {
	w := newWorld(t, serveTCP(t, echo))
	for _, size := range []int{0, 1, 64, 4096, 65532, 65533, 3 << 20} {
		exchange(t, w.dial(t), random(size))
		eventually(t, "the connection is given back", w.alfa.link.idle)
	}
	if n := w.alfa.link.dials.Load(); n != 1 {
		t.Fatalf("%d connections were dialled for streams one after another", n)
	}
	if err := testutil.GatherAndCompare(w.bravo.metrics, strings.NewReader(`
# HELP certlink_relay_tunnel_bytes_total Tunnelled bytes, from (in) and to (out) the peer.
# TYPE certlink_relay_tunnel_bytes_total counter
certlink_relay_tunnel_bytes_total{direction="in",kind="export",peer="alfa",service="web"} 3.280954e+06
certlink_relay_tunnel_bytes_total{direction="out",kind="export",peer="alfa",service="web"} 3.280954e+06
`), "certlink_relay_tunnel_bytes_total"); err != nil {
		t.Error(err)
	}
}

func TestManyConnectionsAtOnce(t *testing.T) {
	w := newWorld(t, serveTCP(t, echo))
	var wg sync.WaitGroup
	for range 8 {
		c := w.dial(t)
		ping(t, c) // one handshake after another: the race detector makes them slow
		data := random(300_000)
		wg.Go(func() { exchange(t, c, data) })
	}
	wg.Wait()
}

func TestHalfCloseBothWays(t *testing.T) {
	got := make(chan string, 1)
	w := newWorld(t, serveTCP(t, func(c *net.TCPConn) {
		_, _ = c.Write([]byte("server first"))
		_ = c.CloseWrite()
		b, _ := io.ReadAll(c)
		got <- string(b)
	}))
	c := w.dial(t)
	b, err := io.ReadAll(c)
	if err != nil || string(b) != "server first" {
		t.Fatal(string(b), err)
	}
	if _, err := c.Write([]byte("client last")); err != nil {
		t.Fatal(err)
	}
	_ = c.CloseWrite()
	if s := <-got; s != "client last" {
		t.Fatal(s)
	}
}

func TestASlowReaderStopsTheSender(t *testing.T) {
	release := make(chan struct{})
	w := newWorld(t, serveTCP(t, func(c *net.TCPConn) {
		<-release
		_, _ = io.Copy(io.Discard, c)
	}))
	c := w.dial(t)
	var sent int
	var err error
	for err == nil && sent < 256<<20 {
		var n int
		_ = c.SetWriteDeadline(time.Now().Add(200 * time.Millisecond))
		n, err = c.Write(make([]byte, 64<<10))
		sent += n
	}
	close(release)
	if err == nil {
		t.Fatalf("%d bytes were taken for a reader that does not read", sent)
	}
}

func TestATargetThatRefusesIsSaidOnBothSides(t *testing.T) {
	l := listenTCP(t)
	target := l.Addr().String()
	l.Close()
	w := newWorld(t, target)
	w.isReset(t)
	if e := w.service(t, w.bravo, "web").Error; !strings.Contains(e, "connection refused") {
		t.Errorf("exporter says %q", e)
	}
	if e := w.service(t, w.alfa, "bravo-web").Error; !strings.Contains(e, `peer "bravo" cannot reach the target`) {
		t.Errorf("importer says %q", e)
	}
	eventually(t, "the connection is given back", w.alfa.link.idle)
	w.isReset(t)
	if n := w.alfa.link.dials.Load(); n != 1 {
		t.Errorf("a refusal cost the connection: %d dials", n)
	}
}

func TestWhatIsNotSharedLooksTheSame(t *testing.T) {
	for name, change := range map[string]func(*world){
		"unknown":      func(w *world) { w.bravo.cfg.ServiceExports = nil },
		"not_for_peer": func(w *world) { w.bravo.cfg.ServiceExports[0].Peers = []string{"charlie"} },
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t, serveTCP(t, echo))
			change(w)
			w.bravo.engine.Apply(w.bravo.cfg)
			w.isReset(t)
			if e := w.service(t, w.alfa, "bravo-web").Error; !strings.Contains(e, "(no such service is shared with you)") {
				t.Error(e)
			}
			if n := counted(t, w.bravo, "certlink_relay_tunnel_refused_total", name); n != 1 {
				t.Errorf("%v refusals", n)
			}
			if n := w.alfa.link.dials.Load(); n != 1 {
				t.Errorf("%d dials", n)
			}
		})
	}
}

func TestAPolicyThatTightensCutsAtOnce(t *testing.T) {
	for name, change := range map[string]func(w *world){
		"suspended by the exporter": func(w *world) { w.bravo.cfg.Peers[0].State = config.Suspended },
		"revoked by the exporter":   func(w *world) { w.bravo.cfg.Peers[0].State = config.Revoked },
		"peer gone":                 func(w *world) { w.bravo.cfg.Peers = nil },
		"export gone":               func(w *world) { w.bravo.cfg.ServiceExports = nil },
		"peer taken off the export": func(w *world) { w.bravo.cfg.ServiceExports[0].Peers = nil },
		"suspended by the importer": func(w *world) { w.alfa.cfg.Peers[0].State = config.Suspended },
		"import gone":               func(w *world) { w.alfa.cfg.ServiceImports = nil },
		"import goes elsewhere":     func(w *world) { w.alfa.cfg.ServiceImports[0].Service = "other" },
	} {
		t.Run(name, func(t *testing.T) {
			ended := make(chan struct{})
			w := newWorld(t, serveTCP(t, func(c *net.TCPConn) { echo(c); close(ended) }))
			c := w.dial(t)
			ping(t, c)
			change(w)
			w.bravo.engine.Apply(w.bravo.cfg)
			w.alfa.engine.Apply(w.alfa.cfg)
			mustReset(t, c)
			<-ended
		})
	}
}

func TestADrainedPeerKeepsWhatItHasAndGetsNoMore(t *testing.T) {
	w := newWorld(t, serveTCP(t, echo))
	c := w.dial(t)
	ping(t, c)
	w.bravo.cfg.Peers[0].State = config.Drained
	w.bravo.engine.Apply(w.bravo.cfg)
	w.isReset(t)
	if n := w.bravo.engine.Tunnels("alfa"); n != 1 {
		t.Errorf("%d tunnels are left", n)
	}
	exchange(t, c, []byte("in peace"))
	eventually(t, "none are left", func() bool { return w.bravo.engine.Tunnels("alfa") == 0 })
}

func TestLimitsOfConnections(t *testing.T) {
	for name, change := range map[string]func(w *world){
		"of the export":          func(w *world) { w.bravo.cfg.ServiceExports[0].MaxConnections = 1 },
		"of the exporter's peer": func(w *world) { w.bravo.cfg.Peers[0].Limits.TunnelConnections = 1 },
		"of the import":          func(w *world) { w.alfa.cfg.ServiceImports[0].MaxConnections = 1 },
		"of the importer's peer": func(w *world) { w.alfa.cfg.Peers[0].Limits.TunnelConnections = 1 },
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t, serveTCP(t, echo))
			change(w)
			w.bravo.engine.Apply(w.bravo.cfg)
			w.alfa.engine.Apply(w.alfa.cfg)
			c := w.dial(t)
			ping(t, c)
			w.isReset(t)
			exchange(t, c, []byte("the first is not touched"))
			eventually(t, "there is room again", func() bool {
				return w.alfa.engine.Tunnels("bravo") == 0 && w.bravo.engine.Tunnels("alfa") == 0
			})
			ping(t, w.dial(t))
		})
	}
}

func TestAnIdleConnectionIsCut(t *testing.T) {
	w := newWorld(t, serveTCP(t, echo))
	w.bravo.cfg.ServiceExports[0].IdleSeconds = 1
	w.bravo.engine.Apply(w.bravo.cfg)
	c := w.dial(t)
	ping(t, c)
	mustReset(t, c)
	if n := counted(t, w.bravo, "certlink_relay_tunnel_cut_total", "idle"); n != 1 {
		t.Errorf("%v cuts", n)
	}
}

func TestABandwidthLimitHolds(t *testing.T) {
	w := newWorld(t, serveTCP(t, echo))
	w.bravo.cfg.Peers[0].Limits.TunnelBytesPerSecond = 1 << 20
	w.bravo.engine.Apply(w.bravo.cfg)
	began := time.Now()
	exchange(t, w.dial(t), random(640<<10)) // the burst is 128 KiB, the rest takes half a second
	if took := time.Since(began); took < 400*time.Millisecond || took > 5*time.Second {
		t.Fatalf("640 KiB at 1 MiB a second took %s", took)
	}
	w.bravo.cfg.Peers[0].Limits.TunnelBytesPerSecond = 0
	w.bravo.engine.Apply(w.bravo.cfg)
	exchange(t, w.dial(t), random(8<<20))
}

func TestAConnectionThatWaitsForBandwidthCanBeCut(t *testing.T) {
	w := newWorld(t, serveTCP(t, echo))
	w.alfa.cfg.Peers[0].Limits.TunnelBytesPerSecond = 16 << 10
	w.alfa.engine.Apply(w.alfa.cfg)
	c := w.dial(t)
	go func() { _, _ = c.Write(make([]byte, 4<<20)) }()
	eventually(t, "bytes flow", func() bool { return counted(t, w.alfa, "certlink_relay_tunnel_bytes_total", "out") > 128<<10 })
	w.alfa.cfg.Peers[0].State = config.Suspended
	w.alfa.engine.Apply(w.alfa.cfg)
	eventually(t, "it is gone", func() bool { return w.alfa.engine.Tunnels("bravo") == 0 })
}
