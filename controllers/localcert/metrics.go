// SPDX-FileCopyrightText: The certlink authors
// SPDX-License-Identifier: Apache-2.0

package localcert

import (
	"fmt"

	"github.com/prometheus/client_golang/prometheus"
	"k8s.io/apimachinery/pkg/types"

	"github.com/certlink/certlink/api/v1alpha1"
)

// Metrics of LocalCERTs.
type Metrics struct {
	expiry *prometheus.GaugeVec
}

// NewMetrics registers the metrics.
func NewMetrics(registry prometheus.Registerer) (*Metrics, error) {
	m := &Metrics{expiry: prometheus.NewGaugeVec(prometheus.GaugeOpts{
		Name: "certlink_operator_certificate_expiry_timestamp_seconds",
		Help: "Earliest end of validity among the certificates of a LocalCERT and their chains, in Unix time.",
	}, []string{"namespace", "localcert"})}
	if err := registry.Register(m.expiry); err != nil {
		return nil, fmt.Errorf("registering metrics: %w", err)
	}
	return m, nil
}

func (m *Metrics) observe(l *v1alpha1.LocalCERT) {
	if l.Status.NotAfter == nil {
		m.expiry.DeleteLabelValues(l.Namespace, l.Name)
		return
	}
	m.expiry.WithLabelValues(l.Namespace, l.Name).Set(float64(l.Status.NotAfter.Unix()))
}

func (m *Metrics) forget(key types.NamespacedName) {
	m.expiry.DeleteLabelValues(key.Namespace, key.Name)
}
