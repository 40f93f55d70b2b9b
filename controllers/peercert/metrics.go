// SPDX-FileCopyrightText: The certlink authors
// SPDX-License-Identifier: Apache-2.0

package peercert

import (
	"fmt"

	"github.com/prometheus/client_golang/prometheus"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/certlink/certlink/api/v1alpha1"
)

// Metrics of PeerCERTs.
type Metrics struct {
	connected  *prometheus.GaugeVec
	conditions *prometheus.GaugeVec
	notAfter   *prometheus.GaugeVec
}

// NewMetrics registers the metrics.
func NewMetrics(registry prometheus.Registerer) (*Metrics, error) {
	labels := []string{"namespace", "peer"}
	m := &Metrics{
		connected: prometheus.NewGaugeVec(prometheus.GaugeOpts{
			Name: "certlink_operator_peer_connected",
			Help: "Whether the link to a peer is proven in both directions: 1 or 0; no series while it cannot be told, or when the peer is revoked.",
		}, labels),
		conditions: prometheus.NewGaugeVec(prometheus.GaugeOpts{
			Name: "certlink_operator_peer_condition",
			Help: "The conditions Redundant, PeerAccepted and TrustInSync of a peer with their reason: 1 or 0; no series while it cannot be told, or when the peer is revoked.",
		}, append(labels, "condition", "reason")),
		notAfter: prometheus.NewGaugeVec(prometheus.GaugeOpts{
			Name: "certlink_operator_peer_certificate_expiry_timestamp_seconds",
			Help: "Earliest end of validity in the chain that a peer showed last, in Unix time.",
		}, labels),
	}
	for _, c := range []prometheus.Collector{m.connected, m.conditions, m.notAfter} {
		if err := registry.Register(c); err != nil {
			return nil, fmt.Errorf("registering metrics: %w", err)
		}
	}
	return m, nil
}

// observed are the conditions that are told with their reason, of which there
// are few.
var observed = []string{v1alpha1.ConditionRedundant, v1alpha1.ConditionPeerAccepted, v1alpha1.ConditionTrustInSync}

func (m *Metrics) observe(p *v1alpha1.PeerCERT) {
	c := meta.FindStatusCondition(p.Status.Conditions, v1alpha1.ConditionConnected)
	switch {
	case c == nil || c.Status == metav1.ConditionUnknown || p.Spec.State == v1alpha1.PeerRevoked:
		m.connected.DeleteLabelValues(p.Namespace, p.Name)
	case c.Status == metav1.ConditionTrue:
		m.connected.WithLabelValues(p.Namespace, p.Name).Set(1)
	default:
		m.connected.WithLabelValues(p.Namespace, p.Name).Set(0)
	}
	m.conditions.DeletePartialMatch(prometheus.Labels{"namespace": p.Namespace, "peer": p.Name})
	for _, name := range observed {
		c := meta.FindStatusCondition(p.Status.Conditions, name)
		if c == nil || c.Status == metav1.ConditionUnknown || p.Spec.State == v1alpha1.PeerRevoked {
			continue
		}
		value := 0.0
		if c.Status == metav1.ConditionTrue {
			value = 1
		}
		m.conditions.WithLabelValues(p.Namespace, p.Name, name, c.Reason).Set(value)
	}
	if t := p.Status.TLS; t != nil && t.PeerNotAfter != nil {
		m.notAfter.WithLabelValues(p.Namespace, p.Name).Set(float64(t.PeerNotAfter.Unix()))
		return
	}
	m.notAfter.DeleteLabelValues(p.Namespace, p.Name)
}

func (m *Metrics) forget(key types.NamespacedName) {
	m.connected.DeleteLabelValues(key.Namespace, key.Name)
	m.conditions.DeletePartialMatch(prometheus.Labels{"namespace": key.Namespace, "peer": key.Name})
	m.notAfter.DeleteLabelValues(key.Namespace, key.Name)
}
