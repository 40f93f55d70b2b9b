// SPDX-FileCopyrightText: The certlink authors
// SPDX-License-Identifier: Apache-2.0

package tunnel_test

import (
	"testing"

	"github.com/certlink/certlink/relay/config"
)

func TestWhatComesBackIsCounted(t *testing.T) {
	for name, change := range map[string]func(*config.Config){
		"a service": func(c *config.Config) { c.ServiceImports = nil },
		"a peer":    func(c *config.Config) { c.Peers = nil },
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t, serveTCP(t, echo))
			without := *w.alfa.cfg
			change(&without)
			before := 0.0
			for range 2 {
				c := w.dial(t)
				ping(t, c)
				bytes := counted(t, w.alfa, "certlink_relay_tunnel_bytes_total", "bravo-web")
				open := counted(t, w.alfa, "certlink_relay_tunnel_connections", "bravo-web")
				if bytes <= before || open != 1 {
					t.Errorf("%v bytes after %v, %v connections", bytes, before, open)
				}
				w.alfa.engine.Apply(&without)
				mustReset(t, c)
				eventually(t, "nothing is open", func() bool {
					return counted(t, w.alfa, "certlink_relay_tunnel_connections", "bravo-web") == 0
				})
				before = counted(t, w.alfa, "certlink_relay_tunnel_bytes_total", "bravo-web")
				w.alfa.engine.Apply(w.alfa.cfg)
				w.address = w.port(t, "bravo-web")
			}
		})
	}
}

// counted sums the values of a metric with a label of the given value.
func counted(t testing.TB, n *nation, metric, label string) float64 {
	t.Helper()
	families, err := n.metrics.Gather()
	if err != nil {
		t.Fatal(err)
	}
	var sum float64
	for _, f := range families {
		for _, m := range f.GetMetric() {
			for _, l := range m.GetLabel() {
				if f.GetName() == metric && l.GetValue() == label {
					sum += m.GetCounter().GetValue() + m.GetGauge().GetValue()
				}
			}
		}
	}
	return sum
}
