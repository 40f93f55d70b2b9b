// SPDX-FileCopyrightText: The certlink authors
// SPDX-License-Identifier: Apache-2.0

package hotline

import (
	"testing"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/certlink/certlink/controllers/internal/status"
	relayreport "github.com/certlink/certlink/relay/report"
)

// TestAJournalIsInDoubtUntilTheRelayKnowsBetter: each step is what the relay says next.
func TestAJournalIsInDoubtUntilTheRelayKnowsBetter(t *testing.T) {
	var conditions []metav1.Condition
	edit := status.NewEditor(&conditions, 1, noon)
	for _, step := range []struct {
		name string
		line *relayreport.Hotline
		want string
	}{
		{"it_was_found_damaged", &relayreport.Hotline{Journal: relayreport.Journal{State: relayreport.JournalDamaged, VerifiedAt: noon}}, "JournalDamaged"},
		{"nothing_is_said", nil, "JournalDamaged"},
		{"a_relay_that_began_anew_has_not_read_it", &relayreport.Hotline{Journal: relayreport.Journal{State: relayreport.JournalIntact}}, "JournalDamaged"},
		{"it_was_read_and_is_whole", &relayreport.Hotline{Journal: relayreport.Journal{State: relayreport.JournalIntact, VerifiedAt: noon}}, ""},
		{"the_peer_has_two", &relayreport.Hotline{Journal: relayreport.Journal{State: relayreport.PeerJournalForked}}, "PeerJournalForked"},
		{"that_was_settled", &relayreport.Hotline{Journal: relayreport.Journal{State: relayreport.JournalIntact}}, ""},
	} {
		doubted(step.line, edit)
		got := ""
		if c := edit.Get("JournalDoubtful"); c != nil {
			got = c.Reason
		}
		if got != step.want {
			t.Errorf("%s: the reason is %q, want %q", step.name, got, step.want)
		}
	}
}
