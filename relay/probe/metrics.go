// SPDX-FileCopyrightText: The certlink authors
// SPDX-License-Identifier: Apache-2.0

package probe

import (
	"github.com/prometheus/client_golang/prometheus"

	"github.com/certlink/certlink/relay/report"
)

// metrics are labelled with our names of peers.
type metrics struct {
	roundTrip *prometheus.HistogramVec
	offset    *prometheus.GaugeVec
	misses    *prometheus.CounterVec
	up        *prometheus.GaugeVec
}

func newMetrics(reg prometheus.Registerer) *metrics {
	m := &metrics{
		roundTrip: prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Name: "certlink_relay_probe_round_trip_seconds", Help: "Time from a probe to its answer.",
			Buckets: []float64{.001, .002, .005, .01, .02, .05, .1, .2, .3, .5, .7, 1, 1.5, 2, 5},
		}, []string{"peer"}),
		offset: prometheus.NewGaugeVec(prometheus.GaugeOpts{
			Name: "certlink_relay_probe_clock_offset_seconds", Help: "The peer's clock minus ours, as the last probe saw it.",
		}, []string{"peer"}),
		misses: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "certlink_relay_probe_lost_total", Help: "Probes that brought no answer.",
		}, []string{"peer"}),
		up: prometheus.NewGaugeVec(prometheus.GaugeOpts{
			Name: "certlink_relay_probe_up", Help: "1 while the direction of the link is proven, 0 while it is down; no series while it cannot be told.",
		}, []string{"peer", "direction"}),
	}
	reg.MustRegister(m.roundTrip, m.offset, m.misses, m.up)
	return m
}

func (m *metrics) answered(peer string, r result) {
	m.roundTrip.WithLabelValues(peer).Observe(r.took.Seconds())
	middle := r.asked.Add(r.took / 2)
	m.offset.WithLabelValues(peer).Set(r.answer.ReceivedAt.Sub(middle).Seconds())
}

func (m *metrics) lost(peer string) { m.misses.WithLabelValues(peer).Inc() }

func (m *metrics) state(peer string, out, in report.State) {
	m.direction(peer, "outbound", out)
	m.direction(peer, "inbound", in)
}

// direction sets no value for what cannot be told: a peer without an address is
// never probed by us, which is no fault.
func (m *metrics) direction(peer, direction string, s report.State) {
	switch s {
	case report.Up:
		m.up.WithLabelValues(peer, direction).Set(1)
	case report.Down:
		m.up.WithLabelValues(peer, direction).Set(0)
	case report.Unknown:
		m.up.DeleteLabelValues(peer, direction)
	}
}

func (m *metrics) forget(peer string) {
	labels := prometheus.Labels{"peer": peer}
	m.roundTrip.DeletePartialMatch(labels)
	m.offset.DeletePartialMatch(labels)
	m.misses.DeletePartialMatch(labels)
	m.up.DeletePartialMatch(labels)
}
