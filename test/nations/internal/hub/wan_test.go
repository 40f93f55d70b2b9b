// SPDX-FileCopyrightText: The certlink authors
// SPDX-License-Identifier: Apache-2.0

//go:build linux

package hub

import (
	"encoding/binary"
	"io"
	"net/netip"
	"os"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"go.uber.org/goleak"

	"github.com/certlink/certlink/test/nations/internal/layout"
	"github.com/certlink/certlink/test/wan/pipe"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// datagram is a UDP packet without content.
func datagram(t *testing.T, from, to string) []byte {
	t.Helper()
	data := make([]byte, 28)
	data[0], data[8], data[9] = 0x45, 64, 17
	binary.BigEndian.PutUint16(data[2:], uint16(len(data)))
	for at, text := range map[int]string{12: from, 16: to} {
		address := netip.MustParseAddr(text).As4()
		copy(data[at:], address[:])
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
			if got[9] != 1 || got[20] != 3 || got[21] != 1 {
				t.Errorf("to %s: not a host unreachable: % x", to, got)
			}
			if diff := cmp.Diff(sent, got[28:]); diff != "" {
				t.Errorf("to %s: what it quotes (-sent +quoted)\n%s", to, diff)
			}
		}
	})
	t.Run("garbage_is_dropped", func(t *testing.T) {
		for _, data := range [][]byte{nil, {0x45}, make([]byte, 40), {0x60, 19: 0}} {
			w.forward(alfa, data)
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

// A packet passes every direction that it belongs to.
func TestDirectionsWithAnAddress(t *testing.T) {
	const node, first, second, server = "198.18.0.1", "198.18.0.101", "198.18.0.102", "198.18.0.201"
	address := netip.MustParseAddr
	between := Direction{From: "alfa", To: "bravo"}
	to := Direction{From: "alfa", To: "bravo", ToAddress: address(server)}
	from := Direction{From: "alfa", To: "bravo", FromAddress: address(second)}
	exact := Direction{From: "alfa", To: "bravo", FromAddress: address(first), ToAddress: address(server)}
	back := Direction{From: "bravo", To: "alfa", FromAddress: address(server)}
	for _, c := range []struct {
		name     string
		cut      []Direction
		from, to string
		dropped  bool
	}{
		{"nothing_is_cut", nil, node, server, false},
		{"all_between_the_nations", []Direction{between}, node, server, true},
		{"to_this_address", []Direction{to}, node, server, true},
		{"to_another_address", []Direction{to}, node, "198.18.0.202", false},
		{"from_this_address", []Direction{from}, second, server, true},
		{"from_another_address", []Direction{from}, first, server, false},
		{"from_and_to_these", []Direction{exact}, first, server, true},
		{"from_this_but_not_to_it", []Direction{exact}, first, "198.18.0.2", false},
		{"only_the_way_back", []Direction{back}, node, server, false},
	} {
		t.Run(c.name, func(t *testing.T) {
			out, device, err := os.Pipe()
			if err != nil {
				t.Fatal(err)
			}
			defer out.Close()
			h := &hub{wan: newWAN()}
			alfa, bravo := layout.All()[0], layout.All()[1]
			h.wan.ports[bravo.Name] = &port{nation: bravo, device: device}
			var wanted []PathState
			for _, d := range []Direction{to, from, exact, back} { // all of them exist
				wanted = append(wanted, PathState{Direction: d})
			}
			for _, d := range c.cut {
				wanted = append(wanted, PathState{Direction: d, Quality: pipe.Quality{Cut: true}})
			}
			if err := h.setPaths(wanted); err != nil {
				t.Fatal(err)
			}
			h.wan.forward(alfa, datagram(t, c.from, c.to))
			h.wan.close()
			data, err := io.ReadAll(out)
			if err != nil {
				t.Fatal(err)
			}
			if dropped := len(data) == 0; dropped != c.dropped {
				t.Errorf("dropped: %t, want %t", dropped, c.dropped)
			}
		})
	}
}

func TestDirectionsThatNoPacketCanTake(t *testing.T) {
	for want, d := range map[string]Direction{
		`no nation "nowhere"`:          {From: "alfa", To: "nowhere"},
		"the same nation":              {From: "alfa", To: "alfa"},
		"bravo has no address":         {From: "alfa", To: "bravo", ToAddress: netip.MustParseAddr("198.18.0.101")},
		"alfa has no address 10.0.0.1": {From: "alfa", To: "bravo", FromAddress: netip.MustParseAddr("10.0.0.1")},
	} {
		if err := d.check(); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%v: %v, want %q", d, err, want)
		}
	}
}
