// SPDX-FileCopyrightText: The certlink authors
// SPDX-License-Identifier: Apache-2.0

package trust

import "github.com/prometheus/client_golang/prometheus"

type metrics struct {
	changes *prometheus.CounterVec
	damaged prometheus.Gauge
}

func newMetrics(registry prometheus.Registerer) metrics {
	m := metrics{
		changes: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "certlink_relay_trust_changes_total", Help: "Changes of trust that were recorded, by what changed.",
		}, []string{"what"}),
		damaged: prometheus.NewGauge(prometheus.GaugeOpts{
			Name: "certlink_relay_trust_record_damaged", Help: "1 when the chain of the record of trust changes is broken.",
		}),
	}
	registry.MustRegister(m.changes, m.damaged)
	return m
}
