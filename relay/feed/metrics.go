// SPDX-FileCopyrightText: The certlink authors
// SPDX-License-Identifier: Apache-2.0

package feed

import (
	"errors"

	"github.com/prometheus/client_golang/prometheus"
)

// metrics of all feeds. Labels are names from our own configuration and words of ours.
type metrics struct {
	decisions *prometheus.CounterVec
	pulled    *prometheus.CounterVec
	pulls     *prometheus.CounterVec
	succeeded *prometheus.GaugeVec
}

func newMetrics(reg prometheus.Registerer) (*metrics, error) {
	m := &metrics{
		decisions: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "certlink_relay_feed_decisions_total", Help: "Decisions about objects of exports, by verdict (shared, held).",
		}, []string{"export", "verdict"}),
		pulled: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "certlink_relay_feed_import_objects_total", Help: "Objects received by imports, by outcome (added, duplicate, forked, refused).",
		}, []string{"import", "outcome"}),
		pulls: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "certlink_relay_feed_import_pulls_total", Help: "Pulls of imports, by result (success, failure).",
		}, []string{"import", "result"}),
		succeeded: prometheus.NewGaugeVec(prometheus.GaugeOpts{
			Name: "certlink_relay_feed_import_last_success_timestamp_seconds", Help: "When a pull of the import last ended without error.",
		}, []string{"import"}),
	}
	if reg == nil {
		return m, nil
	}
	return m, errors.Join(reg.Register(m.decisions), reg.Register(m.pulled), reg.Register(m.pulls), reg.Register(m.succeeded))
}

func (m *metrics) forgetExports(before, now *plan) {
	kept := map[string]bool{}
	for _, e := range now.exports {
		kept[e.Name] = true
	}
	for _, e := range before.exports {
		if !kept[e.Name] {
			m.decisions.DeletePartialMatch(prometheus.Labels{"export": e.Name})
		}
	}
}

func (m *metrics) forgetImport(name string) {
	label := prometheus.Labels{"import": name}
	m.pulled.DeletePartialMatch(label)
	m.pulls.DeletePartialMatch(label)
	m.succeeded.DeletePartialMatch(label)
}
