// SPDX-FileCopyrightText: The certlink authors
// SPDX-License-Identifier: Apache-2.0

package taxii

import "github.com/prometheus/client_golang/prometheus"

type metrics struct {
	requests *prometheus.CounterVec
	served   prometheus.Counter
	received *prometheus.CounterVec
	deleted  prometheus.Counter
}

func newMetrics(reg prometheus.Registerer, port string) *metrics {
	label := prometheus.Labels{"port": port}
	m := &metrics{
		requests: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "certlink_relay_taxii_requests_total", Help: "TAXII requests by endpoint and HTTP status.", ConstLabels: label,
		}, []string{"endpoint", "status"}),
		served: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "certlink_relay_taxii_objects_served_total", Help: "STIX objects sent in pages.", ConstLabels: label,
		}),
		received: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "certlink_relay_taxii_objects_received_total", Help: "STIX objects received in POSTs, by outcome.", ConstLabels: label,
		}, []string{"outcome"}),
		deleted: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "certlink_relay_taxii_objects_deleted_total", Help: "Versions of STIX objects deleted by DELETE.", ConstLabels: label,
		}),
	}
	if reg != nil {
		reg.MustRegister(m.requests, m.served, m.received, m.deleted)
	}
	return m
}
