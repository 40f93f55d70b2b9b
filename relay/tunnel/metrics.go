// SPDX-FileCopyrightText: The certlink authors
// SPDX-License-Identifier: Apache-2.0

package tunnel

import "github.com/prometheus/client_golang/prometheus"

type metrics struct {
	open    *prometheus.GaugeVec
	opened  *prometheus.CounterVec
	bytes   *prometheus.CounterVec
	refused *prometheus.CounterVec
	failed  *prometheus.CounterVec
	cut     *prometheus.CounterVec
}

// Values of the label "kind".
const (
	kindExport = "export"
	kindImport = "import"
)

func newMetrics(reg prometheus.Registerer) *metrics {
	one := []string{"kind", "service", "peer"}
	m := &metrics{
		open: prometheus.NewGaugeVec(prometheus.GaugeOpts{
			Name: "certlink_relay_tunnel_connections", Help: "Tunnelled connections that are open.",
		}, one),
		opened: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "certlink_relay_tunnel_connections_total", Help: "Tunnelled connections that were opened.",
		}, one),
		bytes: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "certlink_relay_tunnel_bytes_total", Help: "Tunnelled bytes, from (in) and to (out) the peer.",
		}, append(one, "direction")),
		refused: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "certlink_relay_tunnel_refused_total", Help: "Connections to our services that peers asked for and did not get, by reason.",
		}, []string{"reason"}),
		failed: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "certlink_relay_tunnel_failed_total", Help: "Connections to imported services that could not be made, by reason.",
		}, []string{"service", "reason"}),
		cut: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "certlink_relay_tunnel_cut_total", Help: "Tunnelled connections that were cut by this side, by reason.",
		}, []string{"reason"}),
	}
	if reg != nil {
		reg.MustRegister(m.open, m.opened, m.bytes, m.refused, m.failed, m.cut)
	}
	return m
}

// counts are the metrics of a service and a peer. To look all four up by their names for each connection is
// a hundredth of what opening it costs.
type counts struct {
	open            prometheus.Gauge
	opened, in, out prometheus.Counter
}

// of returns the counts of a service and a peer.
func (m *metrics) of(s *service, peer *account) *counts {
	if known, ok := s.counts.Load(peer); ok {
		return known.(*counts) //nolint:errcheck // nothing else is put there
	}
	kind := serviceKey{s.name, s.imported}.kind()
	c := &counts{
		open:   m.open.WithLabelValues(kind, s.name, peer.name),
		opened: m.opened.WithLabelValues(kind, s.name, peer.name),
		in:     m.bytes.WithLabelValues(kind, s.name, peer.name, "in"),
		out:    m.bytes.WithLabelValues(kind, s.name, peer.name, "out"),
	}
	s.counts.Store(peer, c)
	return c
}

// forget removes what is counted of a service that is gone.
func (m *metrics) forget(k serviceKey) {
	labels := prometheus.Labels{"kind": k.kind(), "service": k.name}
	m.open.DeletePartialMatch(labels)
	m.opened.DeletePartialMatch(labels)
	m.bytes.DeletePartialMatch(labels)
	if k.imported {
		m.failed.DeletePartialMatch(prometheus.Labels{"service": k.name})
	}
}

func (k serviceKey) kind() string {
	if k.imported {
		return kindImport
	}
	return kindExport
}
