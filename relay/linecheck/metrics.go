// SPDX-FileCopyrightText: The certlink authors
// SPDX-License-Identifier: Apache-2.0

package linecheck

import (
	"sync"

	"github.com/prometheus/client_golang/prometheus"
)

// metrics are labelled by the configured name of the hotline, by the path as "DOMAIN
// HOST:PORT" (who dials which address), and by direction: sent (checks of ours) and received
// (those of the peer). A peer names its paths itself: one that is watched no more is
// forgotten, so that there are never more than are watched and were named since.
type metrics struct {
	checks  *prometheus.CounterVec
	missing *prometheus.GaugeVec
	last    *prometheus.GaugeVec
	trip    *prometheus.GaugeVec
	records *prometheus.CounterVec

	mu sync.Mutex // guards what follows
	// absent counts, by hotline and path, the times in a row that stand was told of others only.
	absent map[string]map[string]int
}

// absentFor is after how many times a path is forgotten: what was received while the paths
// were looked at is not among them the first time.
const absentFor = 2

func newMetrics(registry prometheus.Registerer) (*metrics, error) {
	const namespace, subsystem = "certlink_relay", "hotline"
	name := func(n, help string) prometheus.Opts {
		return prometheus.Opts{Namespace: namespace, Subsystem: subsystem, Name: n, Help: help}
	}
	path := []string{"hotline", "path", "direction"}
	m := &metrics{
		absent: map[string]map[string]int{},
		checks: prometheus.NewCounterVec(prometheus.CounterOpts(name("line_checks_total",
			"Line checks by result: answered, failed, or the verdict on one of the peer.")), append(path, "result")),
		missing: prometheus.NewGaugeVec(prometheus.GaugeOpts(name("line_check_missing",
			"1 when a path and direction had no good line check within the declared time, else 0.")), path),
		last: prometheus.NewGaugeVec(prometheus.GaugeOpts(name("line_check_last_success_timestamp_seconds",
			"Time of the last good line check of a path and direction.")), path),
		trip: prometheus.NewGaugeVec(prometheus.GaugeOpts(name("line_check_round_trip_seconds",
			"From sending a line check to its verified receipt, the last time.")), []string{"hotline", "path"}),
		records: prometheus.NewCounterVec(prometheus.CounterOpts(name("availability_records_total",
			"Availability records by result: agreed, disagreed, failed.")), []string{"hotline", "result"}),
	}
	if registry == nil {
		return m, nil
	}
	for _, c := range []prometheus.Collector{m.checks, m.missing, m.last, m.trip, m.records} {
		if err := registry.Register(c); err != nil {
			return nil, err
		}
	}
	return m, nil
}

func (m *metrics) sent(hotline string, o *outcome) {
	m.present(hotline, o.way.key())
	result := "answered"
	if o.Failure != "" {
		result = "failed"
	} else {
		m.trip.WithLabelValues(hotline, o.way.key()).Set(float64(o.RoundTripMicroseconds) / 1e6)
	}
	m.checks.WithLabelValues(hotline, o.way.key(), "sent", result).Inc()
}

func (m *metrics) received(hotline string, c *Check, v Verdict) {
	m.present(hotline, c.Path.key())
	m.checks.WithLabelValues(hotline, c.Path.key(), "received", string(v)).Inc()
}

// present notes that there are figures about a path.
func (m *metrics) present(hotline, path string) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.absent[hotline] == nil {
		m.absent[hotline] = map[string]int{}
	}
	m.absent[hotline][path] = 0
}

// sweep forgets the paths that are not watched any more.
func (m *metrics) sweep(hotline string, all []standing) {
	watched := map[string]bool{}
	for _, s := range all {
		watched[s.way.key()] = true
		m.present(hotline, s.way.key())
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	for path := range m.absent[hotline] {
		if watched[path] {
			continue
		}
		if m.absent[hotline][path]++; m.absent[hotline][path] < absentFor {
			continue
		}
		delete(m.absent[hotline], path)
		labels := prometheus.Labels{"hotline": hotline, "path": path}
		m.checks.DeletePartialMatch(labels)
		m.last.DeletePartialMatch(labels)
		m.trip.DeletePartialMatch(labels)
	}
}

// stand sets the state of all paths; those that are gone are forgotten.
func (m *metrics) stand(hotline string, all []standing) {
	m.sweep(hotline, all)
	labels := prometheus.Labels{"hotline": hotline}
	m.missing.DeletePartialMatch(labels)
	for _, s := range all {
		direction, value := "received", 0.0
		if s.out {
			direction = "sent"
		}
		if s.state == Missed {
			value = 1
		}
		m.missing.WithLabelValues(hotline, s.way.key(), direction).Set(value)
		if !s.good.IsZero() {
			m.last.WithLabelValues(hotline, s.way.key(), direction).Set(float64(s.good.Unix()))
		}
	}
}

func (m *metrics) record(hotline, result string) { m.records.WithLabelValues(hotline, result).Inc() }

// forget drops what was said about a hotline that is gone.
func (m *metrics) forget(hotline string) {
	m.mu.Lock()
	delete(m.absent, hotline)
	m.mu.Unlock()
	labels := prometheus.Labels{"hotline": hotline}
	m.checks.DeletePartialMatch(labels)
	m.missing.DeletePartialMatch(labels)
	m.last.DeletePartialMatch(labels)
	m.trip.DeletePartialMatch(labels)
	m.records.DeletePartialMatch(labels)
}
