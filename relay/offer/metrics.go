// SPDX-FileCopyrightText: The certlink authors
// SPDX-License-Identifier: Apache-2.0

package offer

import "github.com/prometheus/client_golang/prometheus"

// metrics are labelled by the trust domain of a configured peer.
type metrics struct {
	sent, received, bundles, refused *prometheus.CounterVec
}

func newMetrics(registry prometheus.Registerer) metrics {
	counter := func(name, help string, labels ...string) *prometheus.CounterVec {
		c := prometheus.NewCounterVec(prometheus.CounterOpts{Namespace: "certlink_relay", Subsystem: "offers", Name: name, Help: help}, labels)
		registry.MustRegister(c)
		return c
	}
	return metrics{
		sent:     counter("sent_total", "Exchanges of offers that we began, by result (exchanged, failed).", "peer", "result"),
		received: counter("received_total", "Offers of a peer, by result (accepted, stale, refused).", "peer", "result"),
		bundles:  counter("bundles_total", "New bundles in offers, by result (learned, waiting, refused, failed).", "peer", "result"),
		refused:  counter("refused_total", "Offers that did not count, by reason (malformed, signer, address).", "reason"),
	}
}

// forget takes out what belongs to a peer that is gone.
func (m metrics) forget(trustDomain string) {
	for _, c := range []*prometheus.CounterVec{m.sent, m.received, m.bundles} {
		c.DeletePartialMatch(prometheus.Labels{"peer": trustDomain})
	}
}
