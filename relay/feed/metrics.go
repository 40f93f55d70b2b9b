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
	// withdrawn and refused are what peers were asked to drop, and what they did not keep.
	withdrawn *prometheus.CounterVec
	refused   *prometheus.CounterVec
	pulled    *prometheus.CounterVec
	pulls     *prometheus.CounterVec
	succeeded *prometheus.GaugeVec
	// quarantined is what imports hold back.
	quarantined *prometheus.GaugeVec
	// The same for sources of exports that we fetch.
	fetched        *prometheus.CounterVec
	fetches        *prometheus.CounterVec
	fetchSucceeded *prometheus.GaugeVec
}

// pullCounts are the metrics of one import or source.
type pullCounts struct {
	objects, pulls *prometheus.CounterVec // by outcome, by result
	succeeded      prometheus.Gauge
	quarantined    prometheus.Gauge
}

func (m *metrics) ofImport(name string) pullCounts {
	label := prometheus.Labels{"import": name}
	return pullCounts{objects: m.pulled.MustCurryWith(label), pulls: m.pulls.MustCurryWith(label), succeeded: m.succeeded.With(label),
		quarantined: m.quarantined.With(label)}
}

func (m *metrics) ofSource(export, source string) pullCounts {
	labels := prometheus.Labels{"export": export, "source": source}
	return pullCounts{objects: m.fetched.MustCurryWith(labels), pulls: m.fetches.MustCurryWith(labels), succeeded: m.fetchSucceeded.With(labels),
		quarantined: prometheus.NewGauge(prometheus.GaugeOpts{})} // what our own tools bring is not quarantined
}

func newMetrics(reg prometheus.Registerer) (*metrics, error) {
	m := &metrics{
		decisions: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "certlink_relay_feed_decisions_total", Help: "Decisions about objects of exports, by verdict (shared, held).",
		}, []string{"export", "verdict"}),
		withdrawn: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "certlink_relay_feed_withdrawn_total", Help: "Versions of objects that peers were asked to drop, as they are not shared any more.",
		}, []string{"export"}),
		refused: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "certlink_relay_feed_refused_total", Help: "Objects of exports that peers say in signed receipts not to have kept.",
		}, []string{"export"}),
		pulled: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "certlink_relay_feed_import_objects_total", Help: "Objects received by imports, by outcome (added, duplicate, refused, too_many_types, withdrawn, and in quarantine: forked, creator_not_allowed, after_revocation).",
		}, []string{"import", "outcome"}),
		pulls: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "certlink_relay_feed_import_pulls_total", Help: "Pulls of imports, by result (success, failure).",
		}, []string{"import", "result"}),
		succeeded: prometheus.NewGaugeVec(prometheus.GaugeOpts{
			Name: "certlink_relay_feed_import_last_success_timestamp_seconds", Help: "When a pull of the import last ended without error.",
		}, []string{"import"}),
		quarantined: prometheus.NewGaugeVec(prometheus.GaugeOpts{
			Name: "certlink_relay_feed_import_quarantined", Help: "Objects of the import that are held in quarantine.",
		}, []string{"import"}),
		fetched: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "certlink_relay_feed_source_objects_total", Help: "Objects received by fetched sources of exports, by outcome (added, duplicate, forked, refused, too_many_types, deleted, unconverted).",
		}, []string{"export", "source", "outcome"}),
		fetches: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "certlink_relay_feed_source_pulls_total", Help: "Pulls of sources of exports, by result (success, failure).",
		}, []string{"export", "source", "result"}),
		fetchSucceeded: prometheus.NewGaugeVec(prometheus.GaugeOpts{
			Name: "certlink_relay_feed_source_last_success_timestamp_seconds", Help: "When a pull of the source last ended without error; zero if none has.",
		}, []string{"export", "source"}),
	}
	if reg == nil {
		return m, nil
	}
	return m, errors.Join(reg.Register(m.decisions), reg.Register(m.withdrawn), reg.Register(m.refused), reg.Register(m.pulled), reg.Register(m.pulls), reg.Register(m.succeeded), reg.Register(m.quarantined),
		reg.Register(m.fetched), reg.Register(m.fetches), reg.Register(m.fetchSucceeded))
}

func (m *metrics) forgetExports(before, now *plan) {
	kept := map[string]bool{}
	for _, e := range now.exports {
		kept[e.Name] = true
	}
	for _, e := range before.exports {
		if !kept[e.Name] {
			for _, v := range []*prometheus.CounterVec{m.decisions, m.withdrawn, m.refused} {
				v.DeletePartialMatch(prometheus.Labels{"export": e.Name})
			}
		}
	}
}

func (m *metrics) forgetImport(name string) {
	label := prometheus.Labels{"import": name}
	m.pulled.DeletePartialMatch(label)
	m.pulls.DeletePartialMatch(label)
	m.succeeded.DeletePartialMatch(label)
	m.quarantined.DeletePartialMatch(label)
}

func (m *metrics) forgetSource(export, source string) {
	labels := prometheus.Labels{"export": export, "source": source}
	m.fetched.DeletePartialMatch(labels)
	m.fetches.DeletePartialMatch(labels)
	m.fetchSucceeded.DeletePartialMatch(labels)
}
