// SPDX-FileCopyrightText: The certlink authors
// SPDX-License-Identifier: Apache-2.0

package deliver

import (
	"errors"

	"github.com/prometheus/client_golang/prometheus"
)

// metrics of all deliveries. Labels are names from our own configuration and words of ours.
type metrics struct {
	objects  *prometheus.CounterVec
	attempts *prometheus.CounterVec
	waiting  *prometheus.GaugeVec
	dead     *prometheus.GaugeVec
}

func newMetrics(reg prometheus.Registerer) (*metrics, error) {
	labels := []string{"import", "delivery"}
	m := &metrics{
		objects: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "certlink_relay_delivery_objects_total", Help: "Objects that deliveries are done with, by outcome (delivered, dead).",
		}, append(labels, "outcome")),
		attempts: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "certlink_relay_delivery_attempts_total", Help: "Attempts to hand over a batch, by result (success, failure).",
		}, append(labels, "result")),
		waiting: prometheus.NewGaugeVec(prometheus.GaugeOpts{
			Name: "certlink_relay_delivery_waiting", Help: "Objects that wait for a delivery, counted up to 100000.",
		}, labels),
		dead: prometheus.NewGaugeVec(prometheus.GaugeOpts{
			Name: "certlink_relay_delivery_dead_letters", Help: "Objects that the receiver of a delivery did not take, kept as dead letters.",
		}, labels),
	}
	if reg == nil {
		return m, nil
	}
	return m, errors.Join(reg.Register(m.objects), reg.Register(m.attempts), reg.Register(m.waiting), reg.Register(m.dead))
}

func (m *metrics) forget(feed, name string) {
	l := prometheus.Labels{"import": feed, "delivery": name}
	m.objects.DeletePartialMatch(l)
	m.attempts.DeletePartialMatch(l)
	m.waiting.DeletePartialMatch(l)
	m.dead.DeletePartialMatch(l)
}
