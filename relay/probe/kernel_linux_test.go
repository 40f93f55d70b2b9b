// SPDX-FileCopyrightText: The certlink authors
// SPDX-License-Identifier: Apache-2.0

package probe

import (
	"io"
	"net"
	"testing"
	"time"

	"github.com/certlink/certlink/relay/config"
)

// layer is a connection over another, as TLS is.
type layer struct {
	net.Conn // hides the socket
	under    net.Conn
}

func (l layer) NetConn() net.Conn { return l.under }

func TestTheKernelTellsWhatArrivedAndWhatIsAcknowledged(t *testing.T) {
	listener, err := new(net.ListenConfig).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer listener.Close()
	mine, err := new(net.Dialer).DialContext(t.Context(), "tcp", listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer mine.Close()
	theirs, err := listener.Accept()
	if err != nil {
		t.Fatal(err)
	}
	defer theirs.Close()
	socket := socketOf(layer{nil, layer{nil, mine}})
	if socket == nil {
		t.Fatal("the socket under a layer is not found")
	}
	now := time.Now()
	p := newPath(pathID, config.Detection{IntervalMilliseconds: 100, Misses: 3}, &lateness{}, now)
	l := &line{socket: socket}
	p.lines[l] = struct{}{}
	p.feel(now)
	if p.segment.IsZero() || now.Sub(p.segment) > 10*time.Second || !p.acked.Equal(now) {
		t.Fatalf("last segment %s, acknowledged %s", p.segment, p.acked)
	}
	before := l.delivered
	if _, err := mine.Write([]byte("beat")); err != nil {
		t.Fatal(err)
	}
	if _, err := io.ReadFull(theirs, make([]byte, 4)); err != nil {
		t.Fatal(err)
	}
	for deadline := time.Now().Add(10 * time.Second); ; time.Sleep(time.Millisecond) { //nolint:forbidigo // polls the kernel
		if k, ok := ask(socket); ok && k.delivered > before && !k.waiting {
			break
		}
		if time.Now().After(deadline) {
			t.Fatal("what the other end has read is never acknowledged")
		}
	}
	mine.Close()
	if _, ok := ask(socket); ok {
		t.Error("a closed socket tells something")
	}
	if socketOf(&end{}) != nil {
		t.Error("a socket where there is none")
	}
}

func TestADirectionIsStuckWhenOnlyTheOtherOneLives(t *testing.T) {
	begin := time.Unix(1_800_000_000, 0)
	l := limits{suspect: 500 * ms, down: 700 * ms}
	for _, c := range []struct {
		name                  string
		heard, segment, acked time.Duration // ago
		want                  time.Duration
	}{
		{"not_while_beats_arrive", 100 * ms, 100 * ms, time.Second, 0},
		{"not_when_all_is_silent", time.Second, 500 * ms, time.Second, 0},
		{"when_segments_arrive_and_nothing_is_acknowledged", 300 * ms, 100 * ms, 700 * ms, 700 * ms},
	} {
		t.Run(c.name, func(t *testing.T) {
			p := newPath(pathID, config.Detection{IntervalMilliseconds: 100, Misses: 3}, &lateness{}, begin)
			p.heard, p.segment, p.acked = begin.Add(-c.heard), begin.Add(-c.segment), begin.Add(-c.acked)
			if got := p.stuck(begin, l); got != c.want {
				t.Errorf("%s, want %s", got, c.want)
			}
		})
	}
	p := newPath(pathID, config.Detection{IntervalMilliseconds: 100, Misses: 3}, &lateness{}, begin)
	if got := p.stuck(begin.Add(time.Hour), l); got != 0 {
		t.Errorf("%s without a kernel to ask", got)
	}
}
