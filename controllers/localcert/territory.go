// SPDX-FileCopyrightText: The certlink authors
// SPDX-License-Identifier: Apache-2.0

package localcert

import (
	"fmt"
	"slices"
	"strings"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/certlink/certlink/api/v1alpha1"
	"github.com/certlink/certlink/controllers/internal/relayconfig"
	"github.com/certlink/certlink/controllers/internal/reports"
	"github.com/certlink/certlink/controllers/internal/status"
	"github.com/certlink/certlink/relay/config"
	relayreport "github.com/certlink/certlink/relay/report"
)

// territoryCurrent is about the data sets by which feeds tell where an address
// appears to be. A missing Secret or ConfigMap is named first: the relay could only
// say that a file is missing.
func territoryCurrent(l *v1alpha1.LocalCERT, s *seen) status.Fact {
	declared := relayconfig.Territory(l.Spec.Territory)
	if len(l.Spec.Territory.Datasets)+len(l.Spec.Territory.WarningLists) == 0 {
		return status.Fact{Status: metav1.ConditionTrue, Reason: v1alpha1.ReasonNoDatasets, Message: "spec.territory names no data set"}
	}
	if fault := relayconfig.TerritoryFault(l.Spec.Territory); fault != nil {
		return status.Fact{Status: metav1.ConditionFalse, Reason: fault.Reason, Message: fault.Message}
	}
	if fault := relayconfig.ReservedFault(relayconfig.LocalReferences(l), l.Name); fault != nil {
		return status.Fact{Status: metav1.ConditionFalse, Reason: fault.Reason, Message: fault.Message}
	}
	if s.contents.Keys != nil {
		if fault := relayconfig.ReferenceFault(relayconfig.LocalReferences(l), s.contents.Keys); fault != nil {
			return status.Fact{Status: metav1.ConditionFalse, Reason: fault.Reason, Message: fault.Message}
		}
	}
	switch s.view.Contact {
	case reports.Lost:
		return status.Fact{
			Status: metav1.ConditionUnknown, Reason: v1alpha1.ReasonRelayUnreachable,
			Message: "the operator cannot read the report of our relay, so it does not know its data sets; see RelayAvailable",
		}
	case reports.Unseen, reports.Undeployed, reports.Calling:
		return status.Fact{Reason: v1alpha1.ReasonPending, Message: "waiting for the first report of our relay"}
	case reports.Reached:
	}
	return datasetsCurrent(declared, s.view.Report.Territory)
}

// datasetsCurrent judges by what the relay says of what is declared: the first fault gives the
// reason, and the message names three at most.
func datasetsCurrent(declared config.Territory, reported []relayreport.Dataset) status.Fact {
	known := map[string]relayreport.Dataset{}
	for _, d := range reported {
		known[d.Name] = d
	}
	worst := status.Fact{
		Status: metav1.ConditionTrue, Reason: v1alpha1.ReasonDatasetsCurrent,
		Message: fmt.Sprintf("%d data sets and %d warning lists are in use", len(declared.Datasets), len(declared.WarningLists)),
	}
	var faults []string
	for _, d := range slices.Concat(declared.Datasets, declared.WarningLists) {
		reason, message := datasetFault(d.Name, known)
		if reason == "" {
			continue
		}
		if len(faults) == 0 {
			worst = status.Fact{Status: metav1.ConditionFalse, Reason: reason}
		}
		faults = append(faults, message)
	}
	const most = 3
	switch {
	case len(faults) > most:
		worst.Message = strings.Join(faults[:most], "; ") + fmt.Sprintf("; and %d more", len(faults)-most)
	case len(faults) > 0:
		worst.Message = strings.Join(faults, "; ")
	}
	return worst
}

// datasetFault says what is wrong with one data set; "" if nothing is.
func datasetFault(name string, known map[string]relayreport.Dataset) (reason, message string) {
	d, ok := known[name]
	switch {
	case !ok, d.Error == "" && d.Entries == 0:
		return v1alpha1.ReasonDatasetPending, fmt.Sprintf("%q has not been read yet", name)
	case d.Error != "" && d.Entries == 0:
		return v1alpha1.ReasonDatasetInvalid, fmt.Sprintf("%q cannot be used: %s", name, d.Error)
	case d.Stale:
		return v1alpha1.ReasonDatasetStale, fmt.Sprintf("%q was not found to be current for three refresh intervals: %s", name, d.Error)
	case d.Error != "":
		return v1alpha1.ReasonDatasetInvalid, fmt.Sprintf("%q: the last reading failed, an earlier one is used: %s", name, d.Error)
	}
	return "", ""
}
