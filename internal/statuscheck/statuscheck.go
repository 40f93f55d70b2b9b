// SPDX-FileCopyrightText: The certlink authors
// SPDX-License-Identifier: Apache-2.0

// Package statuscheck says whether the status of an object is legal: what
// kstatus, kubectl wait, GitOps tools and people rely on. Tests call it at the
// end of every case. It does not say whether the status is true.
package statuscheck

import (
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strings"

	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/certlink/certlink/api/v1alpha1"
)

// always are the conditions that each kind has from the first visit on.
var always = map[string][]string{
	"LocalCERT":     {v1alpha1.ConditionReady, v1alpha1.ConditionCertificatesIssued, v1alpha1.ConditionRelayAvailable, v1alpha1.ConditionTrustInSync, v1alpha1.ConditionTerritoryCurrent},
	"PeerCERT":      {v1alpha1.ConditionReady, v1alpha1.ConditionConnected, v1alpha1.ConditionRedundant, v1alpha1.ConditionPeerAccepted, v1alpha1.ConditionTrustInSync, v1alpha1.ConditionSuspended},
	"SharedFeed":    {v1alpha1.ConditionReady, v1alpha1.ConditionPeerAccepted, v1alpha1.ConditionFresh, v1alpha1.ConditionDelivering},
	"SharedService": {v1alpha1.ConditionReady, v1alpha1.ConditionPeerAccepted, v1alpha1.ConditionAvailable},
	"Hotline":       {v1alpha1.ConditionReady, v1alpha1.ConditionReachable, v1alpha1.ConditionAnswered, v1alpha1.ConditionLineChecked},
}

// whileTrue are the conditions that exist only while they are True.
var whileTrue = []string{v1alpha1.ConditionReconciling, v1alpha1.ConditionStalled}

var reasonForm = regexp.MustCompile(`^[A-Z][A-Za-z0-9]*$`)

// Check returns everything that is illegal about the status of a kind at a
// generation, nil if nothing is.
func Check(kind string, generation, observed int64, conditions []metav1.Condition) error {
	var faults []error
	fault := func(format string, args ...any) { faults = append(faults, fmt.Errorf(format, args...)) }

	required, known := always[kind]
	if !known {
		fault("kind %q is unknown", kind)
	}
	for _, name := range required {
		if meta.FindStatusCondition(conditions, name) == nil {
			fault("condition %s is missing", name)
		}
	}
	if observed > generation {
		fault("observedGeneration %d is ahead of generation %d", observed, generation)
	}
	seen := map[string]bool{}
	for _, c := range conditions {
		if seen[c.Type] {
			fault("condition %s is there twice", c.Type)
		}
		seen[c.Type] = true
		own := kind == "SharedFeed" && c.Type == v1alpha1.ConditionQuarantined || kind == "Hotline" && (c.Type == v1alpha1.ConditionEscalating || c.Type == v1alpha1.ConditionJournalDoubtful)
		if !own && !slices.Contains(required, c.Type) && !slices.Contains(whileTrue, c.Type) {
			fault("condition %s is not one of a %s", c.Type, kind)
		}
		faults = append(faults, form(c, generation)...)
	}
	faults = append(faults, summary(conditions, generation, observed)...)
	return errors.Join(faults...)
}

// form checks one condition by itself.
func form(c metav1.Condition, generation int64) []error {
	var faults []error
	fault := func(format string, args ...any) {
		faults = append(faults, fmt.Errorf("condition "+c.Type+": "+format, args...))
	}
	switch c.Status {
	case metav1.ConditionTrue, metav1.ConditionFalse, metav1.ConditionUnknown:
	default:
		fault("status is %q", c.Status)
	}
	if !reasonForm.MatchString(c.Reason) {
		fault("reason %q is not CamelCase", c.Reason)
	}
	if c.Message == "" || strings.ContainsAny(c.Message, "\n\r\t") || len(c.Message) > 1024 {
		fault("message %q is not one line of at most 1024 bytes", c.Message)
	}
	if strings.Contains(c.Message, "PRIVATE KEY") || strings.Contains(c.Message, "BEGIN CERTIFICATE") {
		fault("message carries a key or a certificate")
	}
	if c.LastTransitionTime.IsZero() {
		fault("it has no transition time")
	}
	if c.ObservedGeneration < 1 || c.ObservedGeneration > generation {
		fault("observedGeneration is %d at generation %d", c.ObservedGeneration, generation)
	}
	return faults
}

// summary checks Ready, Reconciling and Stalled against each other, as kstatus
// reads them.
func summary(conditions []metav1.Condition, generation, observed int64) []error {
	var faults []error
	fault := func(format string, args ...any) { faults = append(faults, fmt.Errorf(format, args...)) }
	for _, name := range whileTrue {
		if c := meta.FindStatusCondition(conditions, name); c != nil && c.Status != metav1.ConditionTrue {
			fault("condition %s exists with status %s", name, c.Status)
		}
	}
	reconciling := meta.IsStatusConditionTrue(conditions, v1alpha1.ConditionReconciling)
	stalled := meta.IsStatusConditionTrue(conditions, v1alpha1.ConditionStalled)
	ready := meta.FindStatusCondition(conditions, v1alpha1.ConditionReady)
	if reconciling && stalled {
		fault("Reconciling and Stalled are both there")
	}
	if ready == nil {
		return faults
	}
	if (reconciling || stalled) && ready.Status != metav1.ConditionFalse {
		fault("Ready is %s while Reconciling or Stalled", ready.Status)
	}
	if ready.Status == metav1.ConditionFalse && !reconciling && !stalled {
		fault("Ready is False, but neither Reconciling nor Stalled says whether a person must act")
	}
	if ready.Status == metav1.ConditionTrue && observed != generation && ready.ObservedGeneration == generation {
		fault("Ready is True for generation %d, but observedGeneration is %d", generation, observed)
	}
	return faults
}
