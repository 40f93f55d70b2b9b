// SPDX-FileCopyrightText: The certlink authors
// SPDX-License-Identifier: Apache-2.0

package transit

import (
	"errors"
	"fmt"

	"github.com/prometheus/client_golang/prometheus"
)

type metrics struct {
	sent, taken, carried, bytes *prometheus.CounterVec
}

func newMetrics(registry prometheus.Registerer) (*metrics, error) {
	counter := func(name, help string, labels ...string) *prometheus.CounterVec {
		return prometheus.NewCounterVec(prometheus.CounterOpts{Namespace: "certlink_relay", Subsystem: "transit", Name: name, Help: help}, labels)
	}
	m := &metrics{
		sent:    counter("requests_total", "Requests of ours that went through another peer, by the peer they were for, the one in the middle, and their result.", "peer", "via", "result"),
		taken:   counter("taken_total", "Requests for us that came through another peer, by sender, the one in the middle, and their result.", "peer", "via", "result"),
		carried: counter("carried_total", "Requests that we carried between two peers, by both and their result.", "peer", "to", "result"),
		bytes:   counter("carried_bytes_total", "Sealed bytes that we carried for a peer, requests and answers.", "peer"),
	}
	if registry == nil {
		return m, nil
	}
	var failed []error
	for _, c := range []prometheus.Collector{m.sent, m.taken, m.carried, m.bytes} {
		failed = append(failed, registry.Register(c))
	}
	if err := errors.Join(failed...); err != nil {
		return nil, fmt.Errorf("building transit: %w", err)
	}
	return m, nil
}
