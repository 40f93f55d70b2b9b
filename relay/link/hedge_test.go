// SPDX-FileCopyrightText: The certlink authors
// SPDX-License-Identifier: Apache-2.0

package link_test

import (
	"context"
	"io"
	"net"
	"net/http"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/certlink/certlink/relay/config"
	"github.com/certlink/certlink/relay/link"
	"github.com/certlink/certlink/relay/report"
)

// deadPath is how long a request of the Hotline waits for an answer over one path, so that one which is
// answered much sooner, even on a busy machine, has not waited for a path that is dead.
const deadPath = 30 * time.Second

// hose leads from an address of its own to another one, until it is stopped: then
// bytes that arrive are lost, as on a cut cable.
type hose struct {
	address string

	mu      sync.Mutex
	stopped bool
	open    []net.Conn
}

func newHose(t *testing.T, to string) *hose {
	t.Helper()
	l, err := new(net.ListenConfig).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	h := &hose{address: l.Addr().String()}
	var running sync.WaitGroup
	running.Go(func() {
		for {
			near, err := l.Accept()
			if err != nil {
				return
			}
			far, err := new(net.Dialer).DialContext(context.WithoutCancel(t.Context()), "tcp", to)
			if err != nil {
				near.Close()
				continue
			}
			h.keep(near, far)
			running.Go(func() { h.carry(near, far) })
			running.Go(func() { h.carry(far, near) })
		}
	})
	t.Cleanup(func() {
		l.Close()
		h.mu.Lock()
		for _, c := range h.open {
			c.Close()
		}
		h.mu.Unlock()
		running.Wait()
	})
	return h
}

func (h *hose) keep(conns ...net.Conn) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.open = append(h.open, conns...)
}

func (h *hose) carry(to, from net.Conn) {
	defer to.Close()
	buf := make([]byte, 32<<10)
	for {
		n, err := from.Read(buf)
		h.mu.Lock()
		stopped := h.stopped
		h.mu.Unlock()
		if err != nil {
			return
		}
		if stopped {
			continue
		}
		if _, err := to.Write(buf[:n]); err != nil {
			return
		}
	}
}

func (h *hose) stop() {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.stopped = true
}

// twoPaths makes alfa dial bravo over a hose first, and directly as well.
func twoPaths(t *testing.T) (alfa, bravo *side, first *hose, one, two link.Path) {
	t.Helper()
	alfa, bravo = newSide(t, "alfa"), newSide(t, "bravo")
	bravo.expects(t, "alfa", alfa)
	first = newHose(t, bravo.address)
	alfa.join(t, "bravo", bravo, []config.Endpoint{{Address: first.address}, {Address: bravo.address, Priority: 10}})
	one = link.Path{TrustDomain: "bravo.example", Address: first.address}
	two = link.Path{TrustDomain: "bravo.example", Address: bravo.address}
	eventually(t, "connections are parked on both", func() bool { return alfa.connections(t, "state=parked", "dialled_by=us") >= 10 })
	alfa.pool.SetPath(one, report.Up, 5*time.Millisecond)
	alfa.pool.SetPath(two, report.Up, 5*time.Millisecond)
	return alfa, bravo, first, one, two
}

func hotlineOver(t *testing.T, ctx context.Context, s *side) (*http.Response, error) { //nolint:revive // t comes first in tests
	t.Helper()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, "https://bravo.example"+link.PathHotline, http.NoBody)
	if err != nil {
		t.Fatal(err)
	}
	resp, err := s.pool.Client("bravo.example", link.Hotline).Do(req)
	if err != nil {
		return nil, err
	}
	defer resp.Body.Close()
	_, err = io.Copy(io.Discard, resp.Body)
	return resp, err
}

func TestAHedgedRequestIsAnsweredOverTheNextPath(t *testing.T) {
	alfa, bravo, first, _, _ := twoPaths(t)
	first.stop()
	begun := time.Now()
	resp, err := hotlineOver(t, link.WithHedge(t.Context()), alfa)
	if err != nil || resp.StatusCode != http.StatusOK {
		t.Fatalf("%v, %v", resp, err)
	}
	if took := time.Since(begun); took > deadPath/3 {
		t.Errorf("it took %s", took)
	}
	if n := alfa.count(t, "certlink_relay_link_hedges_total", "event=won"); n != 1 {
		t.Errorf("%v hedges won", n)
	}
	if n := bravo.asked.Load(); n != 1 {
		t.Errorf("%d requests arrived", n)
	}
}

func TestARequestMayGoOverAllPathsAtOnce(t *testing.T) {
	alfa, bravo, _, _, _ := twoPaths(t)
	if resp, err := hotlineOver(t, link.WithAllPaths(t.Context()), alfa); err != nil || resp.StatusCode != http.StatusOK {
		t.Fatalf("%v, %v", resp, err)
	}
	eventually(t, "both have arrived", func() bool { return bravo.asked.Load() == 2 })
	eventually(t, "the connection of the slower one is used again", func() bool {
		return alfa.connections(t, "class=hotline", "state=busy") == 0 && alfa.connections(t, "class=hotline", "state=parked") >= 2
	})
}

func TestABadAnswerThatDoesNotEndHoldsUpNoGoodOne(t *testing.T) {
	alfa, bravo, _, _, _ := twoPaths(t)
	var asked atomic.Int64
	bad := make(chan struct{})
	special := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if asked.Add(1) > 1 {
			<-bad
			return
		}
		w.Header().Set("Content-Length", "100")
		w.WriteHeader(http.StatusServiceUnavailable)
		_ = http.NewResponseController(w).Flush()
		time.AfterFunc(100*time.Millisecond, func() { close(bad) }) // when that has arrived
		<-r.Context().Done()
	})
	bravo.special.Store(&special)
	ctx, cancel := context.WithTimeout(link.WithAllPaths(t.Context()), deadPath/3)
	defer cancel()
	if resp, err := hotlineOver(t, ctx, alfa); err != nil || resp.StatusCode != http.StatusOK {
		t.Fatalf("%v, %v", resp, err)
	}
}

func TestAQuietLineIsNotHedged(t *testing.T) {
	alfa, bravo, _, one, two := twoPaths(t)
	alfa.pool.SetPath(one, report.Up, 3*time.Second)
	alfa.pool.SetPath(two, report.Up, 3*time.Second)
	for range 10 {
		if _, err := hotlineOver(t, link.WithHedge(t.Context()), alfa); err != nil {
			t.Fatal(err)
		}
	}
	if n := bravo.asked.Load(); n != 10 {
		t.Errorf("%d requests arrived, want 10", n)
	}
}

func TestAPeerThatTakesItsTimeIsAskedOnceWhenThatIsKnown(t *testing.T) {
	alfa, bravo, _, _, _ := twoPaths(t)
	var asked atomic.Int64
	slow := http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		asked.Add(1)
		<-time.After(60 * time.Millisecond) // as its disk does
		w.WriteHeader(http.StatusOK)
	})
	bravo.special.Store(&slow)
	begun := alfa.count(t, "certlink_relay_link_hedges_total", "event=begun")
	for range 20 {
		if _, err := hotlineOver(t, link.WithHedge(t.Context()), alfa); err != nil {
			t.Fatal(err)
		}
	}
	// The first goes over both paths, as nobody knows yet; a busy machine may be slow once more.
	if n := alfa.count(t, "certlink_relay_link_hedges_total", "event=begun") - begun; n < 1 || n > 10 {
		t.Errorf("%v of 20 requests began again, want the first only", n)
	}
	if n := asked.Load(); n > 30 {
		t.Errorf("%d requests arrived, want about 20", n)
	}
}

func TestAPathThatIsDownIsLeftAndComesBack(t *testing.T) {
	alfa, _, first, one, _ := twoPaths(t)
	first.stop()
	alfa.pool.SetPath(one, report.Down, 0)
	begun := time.Now()
	for range 20 {
		if _, err := hotlineOver(t, t.Context(), alfa); err != nil {
			t.Fatal(err)
		}
	}
	if took := time.Since(begun); took > deadPath/3 {
		t.Errorf("20 requests took %s", took)
	}
	if n := alfa.connections(t, "class=tunnel", "state=parked"); n > 4 {
		t.Errorf("%d connections are parked on two paths, one of which is down", n)
	}
	alfa.pool.SetPath(one, report.Recovering, time.Millisecond)
	if got := alfa.pool.Paths("bravo.example"); len(got) != 2 {
		t.Errorf("paths %v", got)
	}
}

func TestAPeerThatAcceptsAndIsSilentDoesNotHoldTheOthers(t *testing.T) {
	alfa, bravo := newSide(t, "alfa"), newSide(t, "bravo")
	bravo.expects(t, "alfa", alfa)
	deaf, err := new(net.ListenConfig).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer deaf.Close() // nobody accepts: the handshake hangs
	alfa.join(t, "bravo", bravo, []config.Endpoint{{Address: deaf.Addr().String()}, {Address: bravo.address, Priority: 10}})
	begun := time.Now()
	if _, err := hotlineOver(t, t.Context(), alfa); err != nil {
		t.Fatal(err)
	}
	if took := time.Since(begun); took > 3*time.Second {
		t.Errorf("it took %s", took)
	}
}

func TestAPathThatIsDownIsTheLastResort(t *testing.T) {
	alfa, bravo := oneWay(t)
	alfa.rested(t)
	alfa.pool.SetPath(link.Path{TrustDomain: "bravo.example", Address: bravo.address}, report.Down, 0)
	eventually(t, "nothing is parked", func() bool { return alfa.connections(t, "state=parked") == 0 })
	before := alfa.count(t, "certlink_relay_link_dials_total")
	if _, err := hotlineOver(t, t.Context(), alfa); err != nil {
		t.Error(err)
	}
	if n := alfa.count(t, "certlink_relay_link_dials_total") - before; n > 2 {
		t.Errorf("%v dials for one request", n)
	}
}
