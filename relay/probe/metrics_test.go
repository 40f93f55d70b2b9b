// SPDX-FileCopyrightText: The certlink authors
// SPDX-License-Identifier: Apache-2.0

package probe

import (
	"testing"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"

	"github.com/certlink/certlink/relay/config"
	"github.com/certlink/certlink/relay/report"
)

func TestADirectionThatCannotBeToldHasNoSeries(t *testing.T) {
	registry := prometheus.NewRegistry()
	m := newMetrics(registry)
	link := func(out, in report.State) *peer {
		return &peer{cfg: config.Peer{Name: "bravo"}, out: report.Direction{State: out}, inb: report.Direction{State: in}}
	}
	for _, tc := range []struct {
		out, in report.State
		series  int
	}{
		{report.Up, report.Up, 2},
		{report.Unknown, report.Up, 1},
		{report.Down, report.Recovering, 2},
		{report.Unknown, report.Unknown, 0},
	} {
		m.state(link(tc.out, tc.in))
		if n, err := testutil.GatherAndCount(registry, "certlink_relay_probe_up"); err != nil || n != tc.series {
			t.Errorf("%s and %s leave %d series (%v), want %d", tc.out, tc.in, n, err, tc.series)
		}
	}
	m.state(link(report.Up, report.Down))
	if out, in := testutil.ToFloat64(m.up.WithLabelValues("bravo", "outbound")), testutil.ToFloat64(m.up.WithLabelValues("bravo", "inbound")); out != 1 || in != 0 {
		t.Errorf("outbound is %v and inbound %v", out, in)
	}
	m.forget("bravo")
	if n, err := testutil.GatherAndCount(registry); err != nil || n != 1 { // our own lateness
		t.Errorf("%d series are left (%v)", n, err)
	}
}
