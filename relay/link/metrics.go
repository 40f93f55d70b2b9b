// SPDX-FileCopyrightText: The certlink authors
// SPDX-License-Identifier: Apache-2.0

package link

import "github.com/prometheus/client_golang/prometheus"

// metrics of the pool. Names of peers are those of our configuration.
type metrics struct {
	pool        *Pool
	connections *prometheus.Desc
	dials       *prometheus.CounterVec
	refused     *prometheus.CounterVec
	hedges      *prometheus.CounterVec
	glare       prometheus.Counter
	cut         prometheus.Counter
}

func newMetrics(reg prometheus.Registerer, p *Pool) *metrics {
	m := &metrics{
		pool: p,
		connections: prometheus.NewDesc("certlink_relay_link_connections",
			"Framed connections with peers, by who dialled (us, peer) and whether they carry a stream (busy) or wait for one (parked).",
			[]string{"peer", "class", "dialled_by", "state"}, nil),
		dials: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "certlink_relay_link_dials_total", Help: "Connections that we tried to open to peers, by result.",
		}, []string{"result"}),
		refused: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "certlink_relay_link_refused_total", Help: "Authenticated connections of peers that were closed before their first stream, by reason.",
		}, []string{"reason"}),
		hedges: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "certlink_relay_link_hedges_total", Help: "Requests that began again on another path (begun), and those of them that were answered first (won).",
		}, []string{"event"}),
		glare: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "certlink_relay_link_glare_total", Help: "Streams that gave way to one that the peer opened at the same moment.",
		}),
		cut: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "certlink_relay_link_cut_total", Help: "Connections that were cut because trust had changed.",
		}),
	}
	reg.MustRegister(m, m.dials, m.refused, m.hedges, m.glare, m.cut)
	return m
}

// Describe makes the metrics a collector of the connections.
func (m *metrics) Describe(out chan<- *prometheus.Desc) { out <- m.connections }

// Collect counts the connections.
func (m *metrics) Collect(out chan<- prometheus.Metric) {
	type key struct{ peer, class, by, state string }
	counts := map[key]int{}
	m.pool.mu.Lock()
	for _, pr := range m.pool.peers {
		for _, pt := range pr.paths {
			by := "us"
			if pt.Accepted {
				by = "peer"
			}
			for c := range pt.conns {
				state := "busy"
				if c.listed {
					state = "parked"
				}
				counts[key{pr.cfg.Name, c.class.short(), by, state}]++
			}
		}
	}
	m.pool.mu.Unlock()
	for k, n := range counts {
		out <- prometheus.MustNewConstMetric(m.connections, prometheus.GaugeValue, float64(n), k.peer, k.class, k.by, k.state)
	}
}
