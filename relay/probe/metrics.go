// SPDX-FileCopyrightText: The certlink authors
// SPDX-License-Identifier: Apache-2.0

package probe

import (
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/certlink/certlink/relay/report"
)

// metrics are labelled with our names of peers.
type metrics struct {
	roundTrip   *prometheus.HistogramVec
	clockOffset *prometheus.GaugeVec
	received    *prometheus.CounterVec
	lost        *prometheus.CounterVec
	up          *prometheus.GaugeVec
	paths       *prometheus.GaugeVec
	transitions *prometheus.CounterVec
	late        prometheus.Counter
}

func newMetrics(reg prometheus.Registerer) *metrics {
	m := &metrics{
		roundTrip: prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Name: "certlink_relay_probe_round_trip_seconds", Help: "Time from a heartbeat to the first that answers it, less the time that it waited at the peer.",
			Buckets: []float64{.001, .002, .005, .01, .02, .05, .1, .2, .3, .5, .7, 1, 1.5, 2, 5},
		}, []string{"peer"}),
		clockOffset: prometheus.NewGaugeVec(prometheus.GaugeOpts{
			Name: "certlink_relay_probe_clock_offset_seconds", Help: "The peer's clock minus ours, as the last heartbeat saw it.",
		}, []string{"peer"}),
		received: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "certlink_relay_probe_heartbeats_total", Help: "Heartbeats of the peer that arrived.",
		}, []string{"peer"}),
		lost: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "certlink_relay_probe_lost_total", Help: "Heartbeats of the peer to this relay that did not arrive: their connection broke, or they came too late to count.",
		}, []string{"peer"}),
		up: prometheus.NewGaugeVec(prometheus.GaugeOpts{
			Name: "certlink_relay_probe_up", Help: "1 while the direction of the link is proven, 0 while it is down; no series while it cannot be told.",
		}, []string{"peer", "direction"}),
		paths: prometheus.NewGaugeVec(prometheus.GaugeOpts{
			Name: "certlink_relay_probe_paths", Help: "Paths to the peer by their present state.",
		}, []string{"peer", "state"}),
		transitions: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "certlink_relay_probe_transitions_total", Help: "How often a path to the peer entered a state.",
		}, []string{"peer", "state"}),
		late: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "certlink_relay_probe_own_lateness_seconds_total", Help: "Time for which the relay was not scheduled when it should have judged silence; it is not held against peers.",
		}),
	}
	reg.MustRegister(m.roundTrip, m.clockOffset, m.received, m.lost, m.up, m.paths, m.transitions, m.late)
	return m
}

func (m *metrics) beat(p *peer, got heardBeat) {
	m.received.WithLabelValues(p.cfg.Name).Inc()
	if got.lost > 0 {
		m.lost.WithLabelValues(p.cfg.Name).Add(float64(got.lost))
	}
	if got.sample > 0 {
		m.roundTrip.WithLabelValues(p.cfg.Name).Observe(got.sample.Seconds())
	}
}

func (m *metrics) offset(p *peer, by time.Duration) {
	m.clockOffset.WithLabelValues(p.cfg.Name).Set(by.Seconds())
}

func (m *metrics) transition(p *peer, pt *path) {
	m.transitions.WithLabelValues(p.cfg.Name, string(pt.state)).Inc()
	count := map[report.State]int{}
	for _, pt := range p.paths {
		count[pt.state]++
	}
	for _, s := range []report.State{report.Up, report.Suspect, report.Recovering, report.Unknown, report.Down} {
		m.paths.WithLabelValues(p.cfg.Name, string(s)).Set(float64(count[s]))
	}
}

func (m *metrics) state(p *peer) {
	m.direction(p.cfg.Name, "outbound", p.out.State)
	m.direction(p.cfg.Name, "inbound", p.inb.State)
}

// direction sets no value for what cannot be told, which is no fault.
func (m *metrics) direction(peer, direction string, s report.State) {
	switch s {
	case report.Up, report.Recovering:
		m.up.WithLabelValues(peer, direction).Set(1)
	case report.Down:
		m.up.WithLabelValues(peer, direction).Set(0)
	default:
		m.up.DeleteLabelValues(peer, direction)
	}
}

func (m *metrics) forget(peer string) {
	labels := prometheus.Labels{"peer": peer}
	for _, v := range []interface{ DeletePartialMatch(prometheus.Labels) int }{
		m.roundTrip, m.clockOffset, m.received, m.lost, m.up, m.paths, m.transitions,
	} {
		v.DeletePartialMatch(labels)
	}
}
