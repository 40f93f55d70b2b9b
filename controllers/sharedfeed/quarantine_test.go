// SPDX-FileCopyrightText: The certlink authors
// SPDX-License-Identifier: Apache-2.0

package sharedfeed

import (
	"strings"
	"testing"

	"github.com/certlink/certlink/api/v1alpha1"
	"github.com/certlink/certlink/controllers/internal/reports"
	relayreport "github.com/certlink/certlink/relay/report"
)

// TestQuarantineIsACondition: while there is something in quarantine, and no longer.
func TestQuarantineIsACondition(t *testing.T) {
	f := feed(v1alpha1.FeedImport)
	imported := relayreport.Import{Name: "threats", LastSuccess: noon, Quarantined: 3}
	s := world(&relayreport.Report{Imports: []relayreport.Import{imported}})
	conditions, messages, _ := run(t, f, s)
	if conditions["Quarantined"] != "True/ObjectsHeld" || *f.Status.Quarantined != 3 || !strings.Contains(messages, "feed quarantine threats") {
		t.Errorf("conditions = %v, %s", conditions, messages)
	}
	s.view.Report.Imports[0].QuarantineOverflow = 7
	if _, messages, _ = run(t, f, s); !strings.Contains(messages, "more came than") {
		t.Errorf("messages = %s", messages)
	}
	s.view.Contact = reports.Lost
	if conditions, _, _ = run(t, f, s); conditions["Quarantined"] == "" {
		t.Error("it is gone with the report")
	}
	s.view.Contact, s.view.Report.Imports = reports.Reached, nil // a relay that began a moment ago has not looked yet
	if conditions, _, _ = run(t, f, s); conditions["Quarantined"] != "True/ObjectsHeld" || f.Status.Quarantined == nil {
		t.Errorf("it has ended because the relay says nothing of the import: %v", conditions)
	}
	s.view.Report.Imports = []relayreport.Import{imported}
	s.view.Report.Imports[0].Quarantined = 0
	if conditions, _, _ = run(t, f, s); conditions["Quarantined"] != "" || *f.Status.Quarantined != 0 {
		t.Errorf("conditions = %v", conditions)
	}
}

func TestAnExportHasNoQuarantine(t *testing.T) {
	f := feed(v1alpha1.FeedExport)
	s := world(&relayreport.Report{Exports: []relayreport.Export{{Name: "threats"}}})
	if conditions, _, _ := run(t, f, s); conditions["Quarantined"] != "" || f.Status.Quarantined != nil {
		t.Errorf("conditions = %v", conditions)
	}
}
