// SPDX-FileCopyrightText: The certlink authors
// SPDX-License-Identifier: Apache-2.0

package peercert

import (
	"testing"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/certlink/certlink/api/v1alpha1"
)

func TestMetrics(t *testing.T) {
	registry := prometheus.NewRegistry()
	m, err := NewMetrics(registry)
	if err != nil {
		t.Fatal(err)
	}
	p := bravo()
	state := func(condition string, s metav1.ConditionStatus, reason, metric string) int {
		p.Status.Conditions = []metav1.Condition{{Type: condition, Status: s, Reason: reason}}
		m.observe(p)
		n, err := testutil.GatherAndCount(registry, metric)
		if err != nil {
			t.Fatal(err)
		}
		return n
	}
	const link, others = "certlink_operator_peer_connected", "certlink_operator_peer_condition"
	if state("Connected", "True", "ProbesAnswered", link) != 1 || testutil.ToFloat64(m.connected) != 1 {
		t.Error("a link that is up is not 1")
	}
	if state("Connected", "False", "AddressUnreachable", link) != 1 || testutil.ToFloat64(m.connected) != 0 {
		t.Error("a link that is down is not 0")
	}
	if state("Connected", "Unknown", "Pending", link) != 0 {
		t.Error("what cannot be told has a value")
	}
	if state("Redundant", "True", "PathsProven", others) != 1 || testutil.ToFloat64(m.conditions) != 1 {
		t.Error("a link with two paths is not 1")
	}
	if state("Redundant", "False", "PathDown", others) != 1 || testutil.ToFloat64(m.conditions) != 0 {
		t.Error("the reason before this one still has a series")
	}
	if state("PeerAccepted", "Unknown", "NoOffer", others) != 0 {
		t.Error("what cannot be told has a value")
	}
	p.Spec.State = v1alpha1.PeerRevoked
	if state("Connected", "False", "Revoked", link) != 0 || state("Redundant", "False", "Revoked", others) != 0 {
		t.Error("a link that we cut ourselves would ring an alarm for ever")
	}
	p.Spec.State = v1alpha1.PeerActive
	state("Connected", "True", "ProbesAnswered", link)
	state("TrustInSync", "True", "InSync", others)
	m.forget(types.NamespacedName{Namespace: "cert", Name: "bravo"})
	if n, err := testutil.GatherAndCount(registry); err != nil || n != 0 {
		t.Errorf("a deleted peer leaves %d series (%v)", n, err)
	}
}
