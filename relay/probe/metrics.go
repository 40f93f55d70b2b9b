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
			Name: "certlink_relay_probe_up", Help: "1 while the direction of the link is proven, else 0.",
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
	m.up.WithLabelValues(peer, "outbound").Set(one(out == report.Up))
	m.up.WithLabelValues(peer, "inbound").Set(one(in == report.Up))
}

func (m *metrics) forget(peer string) {
	labels := prometheus.Labels{"peer": peer}
	m.roundTrip.DeletePartialMatch(labels)
	m.offset.DeletePartialMatch(labels)
	m.misses.DeletePartialMatch(labels)
	m.up.DeletePartialMatch(labels)
}

func one(b bool) float64 {
	if b {
		return 1
	}
	return 0
}
