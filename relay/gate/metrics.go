// SPDX-FileCopyrightText: The certlink authors
// SPDX-License-Identifier: Apache-2.0

package gate

import "github.com/prometheus/client_golang/prometheus"

const (
	reasonHandshakes = "too_many_handshakes"
	reasonHeld       = "too_many_connections"
	reasonTLS        = "handshake_failed"
)

// Metrics counts what passes a gate. A nil *Metrics counts nothing.
type Metrics struct {
	passed *prometheus.CounterVec
	turned *prometheus.CounterVec
}

// NewMetrics registers the metrics of one port, "link" or "local".
func NewMetrics(reg prometheus.Registerer, port string) *Metrics {
	labels := prometheus.Labels{"port": port}
	m := &Metrics{
		passed: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "certlink_relay_gate_connections_total", ConstLabels: labels,
			Help: "Connections that finished the handshake, by protocol.",
		}, []string{"protocol"}),
		turned: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "certlink_relay_gate_refused_total", ConstLabels: labels,
			Help: "Connections that were closed before or right after the handshake, by reason.",
		}, []string{"reason"}),
	}
	reg.MustRegister(m.passed, m.turned)
	return m
}

func (m *Metrics) accepted(protocol string) {
	if m != nil {
		m.passed.WithLabelValues(protocol).Inc()
	}
}

func (m *Metrics) refused(reason string) {
	if m != nil {
		m.turned.WithLabelValues(reason).Inc()
	}
}
