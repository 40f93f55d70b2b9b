// SPDX-FileCopyrightText: The certlink authors
// SPDX-License-Identifier: Apache-2.0

package attachment

import (
	"github.com/prometheus/client_golang/prometheus"

	"github.com/certlink/certlink/relay/store"
)

// metrics are labelled by the configured name of the hotline, and by the direction of the
// messages: in or out.
type metrics struct {
	bytes, files, failures *prometheus.CounterVec
	loose, waits           *prometheus.GaugeVec
}

func newMetrics(registry prometheus.Registerer) (*metrics, error) {
	const namespace, subsystem = "certlink_relay", "hotline"
	both := []string{"hotline", "direction"}
	counter := func(name, help string) *prometheus.CounterVec {
		return prometheus.NewCounterVec(prometheus.CounterOpts{Namespace: namespace, Subsystem: subsystem, Name: name, Help: help}, both)
	}
	gauge := func(name, help string, labels ...string) *prometheus.GaugeVec {
		return prometheus.NewGaugeVec(prometheus.GaugeOpts{Namespace: namespace, Subsystem: subsystem, Name: name, Help: help}, labels)
	}
	m := &metrics{
		bytes:    counter("attachment_bytes_total", "Bytes of attachments that the peer has stored (out) or that were stored of it (in)."),
		files:    counter("attachment_transfers_total", "Attachments that became complete at the peer (out) or here (in)."),
		failures: counter("attachment_failures_total", "Attempts to bring an attachment that failed (out), and parts of the peer that were refused (in)."),
		loose:    gauge("attachment_unnamed_bytes", "Size of the attachments that no message names, unfinished ones included. They are bounded, and deleted after a day.", both...),
		waits:    gauge("attachment_stuck", "1 while an attachment waits after a failure, else 0; absent before the first transfer.", "hotline"),
	}
	if registry == nil {
		return m, nil
	}
	for _, c := range []prometheus.Collector{m.bytes, m.files, m.failures, m.loose, m.waits} {
		if err := registry.Register(c); err != nil {
			return nil, err
		}
	}
	return m, nil
}

func (m *metrics) sent(hotline string, n int) {
	m.bytes.WithLabelValues(hotline, string(store.Out)).Add(float64(n))
}

func (m *metrics) received(hotline string, n int) {
	m.bytes.WithLabelValues(hotline, string(store.In)).Add(float64(n))
}

func (m *metrics) finished(hotline string, d store.Direction) {
	m.files.WithLabelValues(hotline, string(d)).Inc()
}

func (m *metrics) failed(hotline string, d store.Direction) {
	m.failures.WithLabelValues(hotline, string(d)).Inc()
}

func (m *metrics) unnamed(hotline string, d store.Direction, bytes int64) {
	m.loose.WithLabelValues(hotline, string(d)).Set(float64(bytes))
}

func (m *metrics) stuck(hotline string, yes bool) {
	value := 0.0
	if yes {
		value = 1
	}
	m.waits.WithLabelValues(hotline).Set(value)
}

// forget drops what was said about a hotline that is gone.
func (m *metrics) forget(hotline string) {
	labels := prometheus.Labels{"hotline": hotline}
	for _, c := range []*prometheus.CounterVec{m.bytes, m.files, m.failures} {
		c.DeletePartialMatch(labels)
	}
	m.loose.DeletePartialMatch(labels)
	m.waits.DeletePartialMatch(labels)
}
