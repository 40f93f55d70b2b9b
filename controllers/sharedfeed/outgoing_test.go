// SPDX-FileCopyrightText: The certlink authors
// SPDX-License-Identifier: Apache-2.0

package sharedfeed

import (
	"testing"

	"github.com/certlink/certlink/api/v1alpha1"
	relayreport "github.com/certlink/certlink/relay/report"
)

// TestWhatPeersDidWithIt: what they refused counts for all of them, and what they
// withdrew shows.
func TestWhatPeersDidWithIt(t *testing.T) {
	f := feed(v1alpha1.FeedExport)
	s := world(&relayreport.Report{Exports: []relayreport.Export{{
		Name: "threats", Stored: 9, Peers: []relayreport.ExportPeer{{Peer: "bravo", Shared: 9, Refused: 2}, {Peer: "charlie", Shared: 9, Refused: 3}},
	}}})
	run(t, f, s)
	if f.Status.Refused == nil || *f.Status.Refused != 5 || f.Status.Withdrawn != nil {
		t.Errorf("status = %+v", f.Status)
	}
	s.view.Report.Exports[0].Peers[0].Refused, s.view.Report.Exports[0].Peers[1].Refused = 0, 0
	if run(t, f, s); f.Status.Refused != nil {
		t.Errorf("refused = %d", *f.Status.Refused)
	}
	f = feed(v1alpha1.FeedImport)
	run(t, f, world(&relayreport.Report{Imports: []relayreport.Import{{Name: "threats", LastSuccess: noon, Stored: 3, Withdrawn: 4}}}))
	if f.Status.Withdrawn == nil || *f.Status.Withdrawn != 4 || f.Status.Refused != nil {
		t.Errorf("status = %+v", f.Status)
	}
}
