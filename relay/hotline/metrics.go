// SPDX-FileCopyrightText: The certlink authors
// SPDX-License-Identifier: Apache-2.0

package hotline

import (
	"strings"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/certlink/certlink/relay/config"
	"github.com/certlink/certlink/relay/message"
)

// metrics are labelled by the configured name of the hotline and by precedence,
// which is one of four in messages of ours.
type metrics struct {
	waiting   *prometheus.GaugeVec
	absent    *prometheus.GaugeVec
	arrived   *prometheus.CounterVec
	sent      *prometheus.CounterVec
	sentAgain *prometheus.CounterVec
	refused   *prometheus.CounterVec
	seconds   *prometheus.HistogramVec
	damaged   *prometheus.GaugeVec
	doubtful  *prometheus.GaugeVec
	verified  *prometheus.GaugeVec
	unproven  *prometheus.GaugeVec
	unread    *prometheus.GaugeVec
	late      *prometheus.GaugeVec
	drafted   *prometheus.GaugeVec
	oldest    *prometheus.GaugeVec
}

func newMetrics(registry prometheus.Registerer) (*metrics, error) {
	const namespace, subsystem, label = "certlink_relay", "hotline", "hotline"
	counter := func(name, help string) *prometheus.CounterVec {
		return prometheus.NewCounterVec(prometheus.CounterOpts{Namespace: namespace, Subsystem: subsystem, Name: name, Help: help}, []string{label})
	}
	gauge := func(name, help string) *prometheus.GaugeVec {
		return prometheus.NewGaugeVec(prometheus.GaugeOpts{Namespace: namespace, Subsystem: subsystem, Name: name, Help: help}, []string{label})
	}
	m := &metrics{
		waiting:   gauge("queued_messages", "Messages of ours without a verified receipt."),
		absent:    gauge("missing_messages", "Serials of the peer below its largest that have not arrived. One that stays is a loss."),
		arrived:   counter("received_messages_total", "Messages of the peer that were stored, each once."),
		sent:      counter("delivered_messages_total", "Messages of ours whose receipt was verified."),
		sentAgain: counter("redeliveries_total", "Attempts to deliver a message again."),
		refused:   counter("refused_receipts_total", "Receipts of the peer that did not verify."),
		late: prometheus.NewGaugeVec(prometheus.GaugeOpts{
			Namespace: namespace, Subsystem: subsystem, Name: "overdue",
			Help: "Messages beyond a deadline: of ours without receipt, acknowledgement or answer, or of the peer and not acknowledged by our desk (inbox). Counted up to 1000.",
		}, []string{label, "stage"}),
		damaged: gauge("journal_damaged", "1 when the last verification of the journal did not find it whole, else 0; absent before the first."),
		drafted: gauge("waiting_drafts", "Messages of ours that wait for their release."),
		oldest: prometheus.NewGaugeVec(prometheus.GaugeOpts{
			Namespace: namespace, Subsystem: subsystem, Name: "oldest_draft_timestamp_seconds",
			Help: "When the oldest message that waits for its release was written; absent when none waits.",
		}, []string{label, "precedence"}),
		doubtful: gauge("journal_doubtful", "1 while the journal of either side is not what it should be, or messages of the peer are missing, else 0."),
		verified: gauge("journal_verified_timestamp_seconds", "When our journal was last read as a whole, in seconds since 1970."),
		unproven: gauge("journal_unverified_since_timestamp_seconds", "When our journal was last verified, or when this relay took the line over, in seconds since 1970; absent at a relay that does not have the line."),
		unread:   gauge("journal_verification_failed", "1 when the last daily verification of our journal could not be made, else 0; absent at a relay that does not have the line."),
		seconds: prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Namespace: namespace, Subsystem: subsystem, Name: "receipt_seconds",
			Help:    "Time from storing a message of ours to its verified receipt.",
			Buckets: []float64{.005, .01, .025, .05, .1, .25, .5, 1, 2.5, 5, 10, 30, 60, 300, 900},
		}, []string{label, "precedence"}),
	}
	if registry == nil {
		return m, nil
	}
	for _, c := range []prometheus.Collector{m.waiting, m.absent, m.arrived, m.sent, m.sentAgain, m.refused, m.seconds, m.damaged, m.doubtful, m.verified, m.unproven, m.unread, m.late, m.drafted, m.oldest} {
		if err := registry.Register(c); err != nil {
			return nil, err
		}
	}
	return m, nil
}

func (m *metrics) queued(hotline string, n int64) { m.waiting.WithLabelValues(hotline).Set(float64(n)) }
func (m *metrics) missing(hotline string, n int64) {
	m.absent.WithLabelValues(hotline).Set(float64(n))
}
func (m *metrics) journal(hotline string, whole bool) {
	value := 1.0
	if whole {
		value = 0
	}
	m.damaged.WithLabelValues(hotline).Set(value)
}

// owed says since when the daily verification is waited for; nothing while another relay has the line.
func (m *metrics) owed(hotline string, o owed) {
	if o.since.IsZero() {
		m.unproven.DeleteLabelValues(hotline)
		m.unread.DeleteLabelValues(hotline)
		return
	}
	failed := 0.0
	if o.failed {
		failed = 1
	}
	m.unproven.WithLabelValues(hotline).Set(float64(o.since.Unix()))
	m.unread.WithLabelValues(hotline).Set(failed)
}
func (m *metrics) doubt(hotline string, doubtful bool) {
	value := 0.0
	if doubtful {
		value = 1
	}
	m.doubtful.WithLabelValues(hotline).Set(value)
}
func (m *metrics) received(hotline string, n int) {
	m.arrived.WithLabelValues(hotline).Add(float64(n))
}
func (m *metrics) redelivered(hotline string)    { m.sentAgain.WithLabelValues(hotline).Inc() }
func (m *metrics) receiptRefused(hotline string) { m.refused.WithLabelValues(hotline).Inc() }

// delivered counts messages; took is where to observe after how many seconds one of a precedence was.
func (m *metrics) delivered(hotline string, n int) { m.sent.WithLabelValues(hotline).Add(float64(n)) }
func (m *metrics) took(hotline, precedence string) prometheus.Observer {
	return m.seconds.WithLabelValues(hotline, precedence)
}

// drafts says how many wait, and since when the oldest of each precedence does.
func (m *metrics) drafts(hotline string, n int, oldest map[string]time.Time) {
	m.drafted.WithLabelValues(hotline).Set(float64(n))
	for _, precedence := range message.Precedences {
		if at, waits := oldest[precedence]; waits {
			m.oldest.WithLabelValues(hotline, precedence).Set(float64(at.Unix()))
		} else {
			m.oldest.DeleteLabelValues(hotline, precedence)
		}
	}
}

// overdue says what is beyond its deadline, by stage.
func (m *metrics) overdue(hotline string, n map[config.Stage]int64) {
	for _, stage := range config.Stages() {
		m.late.WithLabelValues(hotline, strings.ToLower(string(stage))).Set(float64(n[stage]))
	}
}

// forget drops what was said about a hotline that is gone.
func (m *metrics) forget(hotline string) {
	labels := prometheus.Labels{"hotline": hotline}
	m.waiting.DeletePartialMatch(labels)
	m.absent.DeletePartialMatch(labels)
	m.seconds.DeletePartialMatch(labels)
	m.damaged.DeletePartialMatch(labels)
	m.doubtful.DeletePartialMatch(labels)
	m.verified.DeletePartialMatch(labels)
	m.unproven.DeletePartialMatch(labels)
	m.unread.DeletePartialMatch(labels)
	m.late.DeletePartialMatch(labels)
	m.drafted.DeletePartialMatch(labels)
	m.oldest.DeletePartialMatch(labels)
	for _, c := range []*prometheus.CounterVec{m.arrived, m.sent, m.sentAgain, m.refused} {
		c.DeletePartialMatch(labels)
	}
}
