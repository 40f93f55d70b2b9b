// SPDX-FileCopyrightText: The certlink authors
// SPDX-License-Identifier: Apache-2.0

package localcert

import (
	"fmt"
	"strings"
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/certlink/certlink/api/v1alpha1"
	"github.com/certlink/certlink/controllers/internal/reports"
	"github.com/certlink/certlink/controllers/internal/status"
	"github.com/certlink/certlink/internal/statuscheck"
	"github.com/certlink/certlink/internal/testca"
	relayreport "github.com/certlink/certlink/relay/report"
)

// wideFeed is an export of about 32 KiB.
func wideFeed(i int) v1alpha1.SharedFeed {
	f := v1alpha1.SharedFeed{
		ObjectMeta: metav1.ObjectMeta{Name: fmt.Sprintf("f%02d", i), CreationTimestamp: metav1.NewTime(time.Unix(int64(i), 0))},
		Spec: v1alpha1.SharedFeedSpec{Direction: v1alpha1.FeedExport, Export: &v1alpha1.FeedExportSpec{
			PeerRefs: []v1alpha1.PeerReference{{Name: "bravo"}},
			Rule:     v1alpha1.FeedRule{MaxTLP: v1alpha1.TLPGreen},
		}},
	}
	for n := range 16 {
		f.Spec.Export.Sources = append(f.Spec.Export.Sources, v1alpha1.FeedSource{
			Name: fmt.Sprintf("s%d", n),
			Pull: &v1alpha1.FeedPull{STIX: &v1alpha1.RemoteEndpoint{URL: "https://attack.example/" + strings.Repeat("x", 2000)}},
		})
	}
	return f
}

// reportedBy is the report of a relay that runs a plan.
func reportedBy(p *plan, now time.Time) reports.View {
	return reports.View{
		Contact: reports.Reached, Wanted: p.config, Checksum: p.checksum, WrittenAt: now.Add(-time.Hour), Live: p.config,
		Report: &relayreport.Report{Config: relayreport.ConfigState{Checksum: p.checksum}},
	}
}

func TestMoreThanAConfigurationHoldsIsNamedAndTheRestRuns(t *testing.T) {
	now := time.Now()
	l, s := local(), &seen{certificates: allIssued(t, testca.New(t, "alfa.example"))}
	for i := range 40 {
		s.input.Feeds = append(s.input.Feeds, wideFeed(i))
	}
	p := decided(t, l, s)
	if n := len(p.config.Exports); n < 25 || n == 40 {
		t.Errorf("the relay gets %d exports", n)
	}
	s.view = reportedBy(p, now)
	edit := status.NewEditor(&l.Status.Conditions, l.Generation, now)
	verdict, _ := report(l, s, p, edit, now)
	edit.Conclude(verdict)
	if ready := edit.Get("Ready"); ready.Reason != v1alpha1.ReasonConfigTooLarge || !strings.Contains(ready.Message, `SharedFeed "f39"`) {
		t.Errorf("Ready is %s: %s", ready.Reason, ready.Message)
	}
}

func TestAConfigurationThatCannotBeWrittenIsNoSecret(t *testing.T) {
	w := newWorld(t, func(*v1alpha1.LocalCERT) {})
	w.until("the relay runs", inOrder, func() bool { return w.reason("Ready") == "True/Reconciled" })
	// A fault of the whole that no resource has alone.
	w.edit(func(l *v1alpha1.LocalCERT) { l.Spec.Identity.DisplayName = strings.Repeat("x", 300) })
	w.visit()
	if got := w.reason("Ready"); got != "False/ConfigTooLarge" {
		t.Errorf("Ready is %s", got)
	}
	if err := statuscheck.Check("LocalCERT", w.local().Generation, w.local().Status.ObservedGeneration, w.local().Status.Conditions); err != nil {
		t.Error(err)
	}
}
