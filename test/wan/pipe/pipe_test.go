// SPDX-FileCopyrightText: The certlink authors
// SPDX-License-Identifier: Apache-2.0

package pipe

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"go.uber.org/goleak"

	"github.com/certlink/certlink/internal/testbubble"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// arrival is what came out of a path, and how long after the start.
type arrival struct {
	Data  string
	After time.Duration
}

// trial runs a path in fake time; send gives it packets.
func trial(t *testing.T, throw float64, send func(*Pipe)) (got []arrival, counts Counts) {
	t.Helper()
	testbubble.Run(t, func(*testing.T) {
		start, done := time.Now(), make(chan struct{})
		p := New(func(data []byte) { got = append(got, arrival{string(data), time.Since(start)}) }, func() func() float64 { return func() float64 { return throw } })
		go p.Run(done)
		send(p)
		time.Sleep(2 * time.Minute) //nolint:forbidigo // fake time: every packet has arrived by then
		_, counts = p.State()
		close(done)
	})
	return got, counts
}

func TestPath(t *testing.T) {
	const ms = time.Millisecond
	send := func(p *Pipe, data string) { p.Send(time.Now(), []byte(data)) }
	for _, c := range []struct {
		name    string
		throw   float64
		send    func(*Pipe)
		want    []arrival
		dropped uint64
	}{
		{
			name: "a_perfect_path_delivers_at_once",
			send: func(p *Pipe) { send(p, "a"); send(p, "b") },
			want: []arrival{{"a", 0}, {"b", 0}},
		},
		{
			name:    "a_cut_path_drops_everything",
			send:    func(p *Pipe) { p.Set(Quality{Cut: true}); send(p, "a") },
			dropped: 1,
		},
		{
			name: "a_delay_is_added_to_each_packet",
			send: func(p *Pipe) {
				p.Set(Quality{Delay: 150 * ms})
				send(p, "a")
				time.Sleep(100 * ms) //nolint:forbidigo // fake time
				send(p, "b")
			},
			want: []arrival{{"a", 150 * ms}, {"b", 250 * ms}},
		},
		{
			name: "a_shortened_delay_does_not_reorder",
			send: func(p *Pipe) {
				p.Set(Quality{Delay: 300 * ms})
				send(p, "a")
				p.Set(Quality{})
				send(p, "b")
			},
			want: []arrival{{"a", 300 * ms}, {"b", 300 * ms}},
		},
		{
			name:    "a_cut_takes_what_is_under_way",
			send:    func(p *Pipe) { p.Set(Quality{Delay: 300 * ms}); send(p, "a"); p.Set(Quality{Cut: true}) },
			dropped: 1,
		},
		{
			name: "what_was_under_way_when_a_cut_began_does_not_arrive_after_it",
			send: func(p *Pipe) {
				p.Set(Quality{Delay: 300 * ms})
				send(p, "a")
				p.Set(Quality{Cut: true})
				p.Set(Quality{})
				send(p, "b")
			},
			want:    []arrival{{"b", 0}},
			dropped: 1,
		},
		{
			name:    "a_throw_below_the_loss_loses",
			throw:   4.9,
			send:    func(p *Pipe) { p.Set(Quality{Loss: 5}); send(p, "a") },
			dropped: 1,
		},
		{
			name:  "a_throw_at_the_loss_does_not",
			throw: 5,
			send:  func(p *Pipe) { p.Set(Quality{Loss: 5}); send(p, "a") },
			want:  []arrival{{"a", 0}},
		},
		{
			name: "a_full_queue_drops_the_last",
			send: func(p *Pipe) {
				p.Set(Quality{Delay: time.Second})
				for range QueueLimit + 3 {
					send(p, "")
				}
				p.Set(Quality{Cut: true})
			},
			dropped: QueueLimit + 3,
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

func TestALossBeginsASeriesOfThrows(t *testing.T) {
	begun := 0
	p := New(func([]byte) {}, func() func() float64 {
		begun++
		return func() float64 { return 50 }
	})
	for _, q := range []Quality{{Loss: 5}, {Loss: 5, Delay: time.Second}, {Loss: 6}} {
		p.Set(q)
	}
	if begun != 2 {
		t.Errorf("%d series have begun, want one for each change of the loss: 2", begun)
	}
}
