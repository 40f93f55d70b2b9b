// SPDX-FileCopyrightText: The certlink authors
// SPDX-License-Identifier: Apache-2.0

package territory

import (
	"context"
	"strings"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/certlink/certlink/relay/report"
)

// maxError is the length of the longest error in the report.
const maxError = 512

// ReportDatasets is State for the report.
func (k *Keeper) ReportDatasets(context.Context) ([]report.Dataset, error) { return k.State(), nil }

// State describes the data sets and warning lists, in the order of the configuration.
func (k *Keeper) State() []report.Dataset {
	k.mu.Lock()
	defer k.mu.Unlock()
	now := k.cfg.Clock()
	var out []report.Dataset
	for _, s := range k.sources {
		out = append(out, s.state(now))
	}
	return out
}

func (s *source) state(now time.Time) report.Dataset {
	d := report.Dataset{Name: s.conf.Name, Format: s.conf.Format, Snapshots: len(s.snapshots), Stale: s.stale(now)}
	if n := len(s.snapshots); n > 0 {
		newest := s.snapshots[n-1]
		d.Date, d.Entries = newest.date, newest.entries()
	}
	if s.list != nil {
		d.Entries = s.list.Entries
	}
	if s.err != nil {
		d.Error = strings.ToValidUTF8(s.err.Error(), "?")
		if len(d.Error) > maxError {
			d.Error = strings.ToValidUTF8(d.Error[:maxError], "") + "…"
		}
	}
	return d
}

// stale tells that what is fetched was not found to be current for too long. A file is
// as current as the person who puts it there keeps it.
func (s *source) stale(now time.Time) bool {
	return s.conf.Remote != nil && !s.fetched.IsZero() && now.Sub(s.fetched) > staleAfter*s.interval()
}

// collector makes the metrics. Labels are names of our own configuration.
type collector struct{ keeper *Keeper }

var (
	dateMetric = prometheus.NewDesc("certlink_relay_territory_dataset_date_timestamp_seconds",
		"Date of the newest snapshot of a data set, as its publisher says.", []string{"dataset"}, nil)
	currentMetric = prometheus.NewDesc("certlink_relay_territory_dataset_current_timestamp_seconds",
		"When a data set or warning list was last read, or found to be current; zero if never.", []string{"dataset"}, nil)
	entriesMetric = prometheus.NewDesc("certlink_relay_territory_dataset_entries",
		"Ranges of the newest snapshot of a data set, or entries of a warning list.", []string{"dataset"}, nil)
	failedMetric = prometheus.NewDesc("certlink_relay_territory_dataset_failed",
		"1 while the last reading of a data set or warning list has failed, or it is stale.", []string{"dataset"}, nil)
)

// Describe implements prometheus.Collector.
func (c collector) Describe(to chan<- *prometheus.Desc) {
	for _, d := range []*prometheus.Desc{dateMetric, currentMetric, entriesMetric, failedMetric} {
		to <- d
	}
}

// Collect implements prometheus.Collector.
func (c collector) Collect(to chan<- prometheus.Metric) {
	c.keeper.mu.Lock()
	defer c.keeper.mu.Unlock()
	now := c.keeper.cfg.Clock()
	for _, s := range c.keeper.sources {
		d := s.state(now)
		gauge := func(desc *prometheus.Desc, value float64) {
			to <- prometheus.MustNewConstMetric(desc, prometheus.GaugeValue, value, d.Name)
		}
		if !d.Date.IsZero() {
			gauge(dateMetric, float64(d.Date.Unix()))
		}
		current := 0.0
		if !s.fetched.IsZero() {
			current = float64(s.fetched.Unix())
		}
		gauge(currentMetric, current)
		gauge(entriesMetric, float64(d.Entries))
		failed := 0.0
		if d.Error != "" || d.Stale {
			failed = 1
		}
		gauge(failedMetric, failed)
	}
}
