// SPDX-FileCopyrightText: The certlink authors
// SPDX-License-Identifier: Apache-2.0

package escalate

import (
	"strings"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/certlink/certlink/relay/config"
	"github.com/certlink/certlink/relay/store"
)

// metrics are labelled by names of the configuration.
type metrics struct {
	steps    *prometheus.CounterVec
	open     *prometheus.GaugeVec
	attempts *prometheus.CounterVec
}

func newMetrics(registry prometheus.Registerer) (*metrics, error) {
	const namespace, subsystem = "certlink_relay", "hotline"
	m := &metrics{
		steps: prometheus.NewCounterVec(prometheus.CounterOpts{
			Namespace: namespace, Subsystem: subsystem, Name: "escalation_steps_total", Help: "Steps that were taken because somebody is silent, by stage.",
		}, []string{"hotline", "stage"}),
		open: prometheus.NewGaugeVec(prometheus.GaugeOpts{
			Namespace: namespace, Subsystem: subsystem, Name: "escalations_open", Help: "Steps that were taken and whose silence lasts, by stage; at the replica that escalates.",
		}, []string{"hotline", "stage"}),
		attempts: prometheus.NewCounterVec(prometheus.CounterOpts{
			Namespace: namespace, Subsystem: subsystem, Name: "notifications_total", Help: "Attempts to tell a notifier, by result: success or failure.",
		}, []string{"hotline", "notifier", "result"}),
	}
	if registry == nil {
		return m, nil
	}
	for _, c := range []prometheus.Collector{m.steps, m.open, m.attempts} {
		if err := registry.Register(c); err != nil {
			return nil, err
		}
	}
	return m, nil
}

func (m *metrics) taken(hotline, stage string) {
	m.steps.WithLabelValues(hotline, strings.ToLower(stage)).Inc()
}

func (m *metrics) attempt(hotline, notifier string, ok bool) {
	result := "failure"
	if ok {
		result = "success"
	}
	m.attempts.WithLabelValues(hotline, notifier, result).Inc()
}

func (m *metrics) show(hotline string, open []store.Escalation) {
	n := map[string]int{}
	for _, e := range open {
		n[e.Stage]++
	}
	for _, stage := range config.Stages() {
		m.open.WithLabelValues(hotline, strings.ToLower(string(stage))).Set(float64(n[string(stage)]))
	}
}

// rest drops what is only known to the replica that escalates.
func (m *metrics) rest(hotline string) {
	m.open.DeletePartialMatch(prometheus.Labels{"hotline": hotline})
}

// forget drops what was said about a hotline that is gone.
func (m *metrics) forget(hotline string) {
	labels := prometheus.Labels{"hotline": hotline}
	m.open.DeletePartialMatch(labels)
	m.steps.DeletePartialMatch(labels)
	m.attempts.DeletePartialMatch(labels)
}
