// SPDX-FileCopyrightText: The certlink authors
// SPDX-License-Identifier: Apache-2.0

//go:build linux

package hub

import (
	"encoding/binary"
	"fmt"
	"io"
	"os"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	"go.uber.org/goleak"

	"github.com/certlink/certlink/test/nations/internal/layout"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// arrival is what came out of a path, and how long after the start.
type arrival struct {
	Data  string
	After time.Duration
}

// trial runs a path in fake time; send gives it packets.
func trial(t *testing.T, throw float64, send func(*path)) (got []arrival, counts Counts) {
	t.Helper()
	synctest.Test(t, func(*testing.T) {
		start, done := time.Now(), make(chan struct{})
		p := newPath(func(data []byte) { got = append(got, arrival{string(data), time.Since(start)}) }, func() float64 { return throw })
		go p.run(done)
		send(p)
		time.Sleep(2 * time.Minute) //nolint:forbidigo // fake time: every packet has arrived by then
		_, counts = p.state()
		close(done)
	})
	return got, counts
}

func TestPath(t *testing.T) {
	const ms = time.Millisecond
	send := func(p *path, data string) { p.send(time.Now(), []byte(data)) }
	for _, c := range []struct {
		name    string
		throw   float64
		send    func(*path)
		want    []arrival
		dropped uint64
	}{
		{
			name: "a_perfect_path_delivers_at_once",
			send: func(p *path) { send(p, "a"); send(p, "b") },
			want: []arrival{{"a", 0}, {"b", 0}},
		},
		{
			name:    "a_cut_path_drops_everything",
			send:    func(p *path) { p.set(Quality{Cut: true}); send(p, "a") },
			dropped: 1,
		},
		{
			name: "a_delay_is_added_to_each_packet",
			send: func(p *path) {
				p.set(Quality{Delay: 150 * ms})
				send(p, "a")
				time.Sleep(100 * ms) //nolint:forbidigo // fake time
				send(p, "b")
			},
			want: []arrival{{"a", 150 * ms}, {"b", 250 * ms}},
		},
		{
			name: "a_shortened_delay_does_not_reorder",
			send: func(p *path) {
				p.set(Quality{Delay: 300 * ms})
				send(p, "a")
				p.set(Quality{})
				send(p, "b")
			},
			want: []arrival{{"a", 300 * ms}, {"b", 300 * ms}},
		},
		{
			name:    "a_cut_takes_what_is_under_way",
			send:    func(p *path) { p.set(Quality{Delay: 300 * ms}); send(p, "a"); p.set(Quality{Cut: true}) },
			dropped: 1,
		},
		{
			name:    "a_throw_below_the_loss_loses",
			throw:   4.9,
			send:    func(p *path) { p.set(Quality{Loss: 5}); send(p, "a") },
			dropped: 1,
		},
		{
			name:  "a_throw_at_the_loss_does_not",
			throw: 5,
			send:  func(p *path) { p.set(Quality{Loss: 5}); send(p, "a") },
			want:  []arrival{{"a", 0}},
		},
		{
			name: "a_full_queue_drops_the_last",
			send: func(p *path) {
				p.set(Quality{Delay: time.Second})
				for range queueLimit + 3 {
					send(p, "")
				}
				p.set(Quality{Cut: true})
			},
			dropped: queueLimit + 3,
		},
	} {
		t.Run(c.name, func(t *testing.T) {
			got, counts := trial(t, c.throw, c.send)
			if diff := cmp.Diff(c.want, got); diff != "" {
				t.Errorf("arrivals (-want +got)\n%s", diff)
			}
			if counts.Dropped != c.dropped {
				t.Errorf("dropped %d, want %d", counts.Dropped, c.dropped)
			}
		})
	}
}

func TestQuality(t *testing.T) {
	for _, bad := range []Quality{{Loss: -1}, {Loss: 101}, {Delay: -time.Second}, {Delay: time.Hour}} {
		if bad.Validate() == nil {
			t.Errorf("%+v is accepted", bad)
		}
	}
}

// datagram is a UDP packet without content.
func datagram(t *testing.T, from, to string) []byte {
	t.Helper()
	data := make([]byte, 28)
	data[0], data[8], data[9] = 0x45, 64, 17
	binary.BigEndian.PutUint16(data[2:], uint16(len(data)))
	for at, text := range map[int]string{12: from, 16: to} {
		var a, b, c, d byte
		if _, err := fmt.Sscanf(text, "%d.%d.%d.%d", &a, &b, &c, &d); err != nil {
			t.Fatal(err)
		}
		copy(data[at:], []byte{a, b, c, d})
	}
	return data
}

func TestWAN(t *testing.T) {
	w := newWAN()
	defer w.close()
	ends := map[string]*os.File{}
	for _, n := range layout.All() {
		out, device, err := os.Pipe()
		if err != nil {
			t.Fatal(err)
		}
		defer out.Close()
		ends[n.Name] = out
		w.ports[n.Name] = &port{nation: n, device: device}
	}
	alfa, err := layout.Find("alfa")
	if err != nil {
		t.Fatal(err)
	}
	receive := func(t *testing.T, name string, size int) []byte {
		t.Helper()
		data := make([]byte, size)
		if _, err := io.ReadFull(ends[name], data); err != nil {
			t.Fatal(err)
		}
		return data
	}
	for name, to := range map[string]string{"bravo": "198.18.0.2", "charlie": "198.18.0.151"} {
		t.Run("a_packet_reaches_"+name, func(t *testing.T) {
			sent := datagram(t, "198.18.0.1", to)
			w.forward(alfa, sent)
			if diff := cmp.Diff(sent, receive(t, name, len(sent))); diff != "" {
				t.Errorf("(-sent +received)\n%s", diff)
			}
		})
	}
	t.Run("an_address_of_nobody_is_answered_unreachable", func(t *testing.T) {
		for _, to := range []string{"198.18.0.77", "8.8.8.8"} {
			sent := datagram(t, "198.18.0.1", to)
			w.forward(alfa, sent)
			got := receive(t, "alfa", 20+8+len(sent))
			if got[9] != 1 || got[20] != 3 || got[21] != 1 || checksum(got[:20]) != 0 || checksum(got[20:]) != 0 {
				t.Errorf("to %s: not a valid host unreachable: % x", to, got)
			}
			if diff := cmp.Diff(sent, got[28:]); diff != "" {
				t.Errorf("to %s: what it quotes (-sent +quoted)\n%s", to, diff)
			}
		}
	})
	t.Run("an_unreachable_is_not_answered", func(t *testing.T) {
		message := datagram(t, "198.18.0.1", "198.18.0.77")
		message[9] = 1
		if reply := unreachable(message); reply != nil {
			t.Errorf("got % x", reply)
		}
	})
	t.Run("garbage_is_dropped", func(t *testing.T) {
		for _, data := range [][]byte{nil, {0x45}, make([]byte, 40), {0x60, 19: 0}} {
			w.forward(alfa, data)
		}
		if reply := unreachable(append([]byte{0x4f}, make([]byte, 27)...)); reply != nil {
			t.Errorf("a header longer than the packet is answered: % x", reply)
		}
	})
	t.Run("what_is_our_own_does_not_come_back", func(t *testing.T) {
		w.forward(alfa, datagram(t, "198.18.0.1", "198.18.0.101"))
		w.forward(alfa, datagram(t, "198.18.0.1", "8.8.8.8"))
		if got := receive(t, "alfa", 56); got[20] != 3 {
			t.Errorf("the first packet was returned: % x", got)
		}
	})
}
