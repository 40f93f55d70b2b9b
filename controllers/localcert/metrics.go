// SPDX-FileCopyrightText: The certlink authors
// SPDX-License-Identifier: Apache-2.0

package localcert

import (
	"fmt"

	"github.com/prometheus/client_golang/prometheus"
	"k8s.io/apimachinery/pkg/types"

	"github.com/certlink/certlink/api/v1alpha1"
	"github.com/certlink/certlink/internal/cabundle"
)

// Metrics of LocalCERTs.
type Metrics struct {
	expiry   *prometheus.GaugeVec
	root     *prometheus.GaugeVec
	rotation *prometheus.GaugeVec
}

// NewMetrics registers the metrics.
func NewMetrics(registry prometheus.Registerer) (*Metrics, error) {
	m := &Metrics{
		expiry: prometheus.NewGaugeVec(prometheus.GaugeOpts{
			Name: "certlink_operator_certificate_expiry_timestamp_seconds",
			Help: "Earliest end of validity among the certificates of a LocalCERT and their chains, in Unix time.",
		}, []string{"namespace", "localcert"}),
		root: prometheus.NewGaugeVec(prometheus.GaugeOpts{
			Name: "certlink_operator_root_expiry_timestamp_seconds",
			Help: "End of validity of the CA certificate by which peers know a LocalCERT, in Unix time.",
		}, []string{"namespace", "localcert"}),
		rotation: prometheus.NewGaugeVec(prometheus.GaugeOpts{
			Name: "certlink_operator_rotation_step_start_timestamp_seconds",
			Help: "When the step of a root's rotation began that is under way, in Unix time; absent while none is.",
		}, []string{"namespace", "localcert", "step"}),
	}
	for _, c := range []prometheus.Collector{m.expiry, m.root, m.rotation} {
		if err := registry.Register(c); err != nil {
			return nil, fmt.Errorf("registering metrics: %w", err)
		}
	}
	return m, nil
}

func (m *Metrics) observe(l *v1alpha1.LocalCERT) {
	if l.Status.NotAfter == nil {
		m.expiry.DeleteLabelValues(l.Namespace, l.Name)
	} else {
		m.expiry.WithLabelValues(l.Namespace, l.Name).Set(float64(l.Status.NotAfter.Unix()))
	}
	bundle, _ := cabundle.Parse(l.Status.Authority.Bundle) // what we wrote
	if root := find(bundle, l.Status.Authority.Root); root != nil {
		m.root.WithLabelValues(l.Namespace, l.Name).Set(float64(root.NotAfter.Unix()))
	} else {
		m.root.DeleteLabelValues(l.Namespace, l.Name)
	}
	m.rotation.DeletePartialMatch(prometheus.Labels{"namespace": l.Namespace, "localcert": l.Name})
	if r := l.Status.Rotation; r != nil {
		m.rotation.WithLabelValues(l.Namespace, l.Name, string(r.Step)).Set(float64(r.StepTime.Unix()))
	}
}

func (m *Metrics) forget(key types.NamespacedName) {
	for _, v := range []*prometheus.GaugeVec{m.expiry, m.root, m.rotation} {
		v.DeletePartialMatch(prometheus.Labels{"namespace": key.Namespace, "localcert": key.Name})
	}
}
