// SPDX-FileCopyrightText: The certlink authors
// SPDX-License-Identifier: Apache-2.0

package hotline

import (
	"github.com/certlink/certlink/api/v1alpha1"
	"github.com/certlink/certlink/controllers/internal/status"
	relayreport "github.com/certlink/certlink/relay/report"
)

// doubted tells while the journals of the line are not what they should be. While the
// relay's report cannot be read, the last word stands; and of damage until the relay, which
// forgets it when it starts again, has read the journal anew.
func doubted(line *relayreport.Hotline, edit *status.Editor) {
	if line == nil {
		return
	}
	reason := doubt(line.Journal.State)
	was := edit.Get(v1alpha1.ConditionJournalDoubtful)
	if reason == "" && line.Journal.VerifiedAt.IsZero() && was != nil && was.Reason == v1alpha1.ReasonJournalDamaged {
		return
	}
	edit.While(v1alpha1.ConditionJournalDoubtful, reason != "", reason, line.Journal.Message)
}

// doubt is the reason; empty for none, and for a relay that says nothing about journals.
func doubt(state string) string {
	switch state {
	case relayreport.JournalRolledBack:
		return v1alpha1.ReasonJournalRolledBack
	case relayreport.PeerJournalRolledBack:
		return v1alpha1.ReasonPeerJournalRolledBack
	case relayreport.PeerJournalForked:
		return v1alpha1.ReasonPeerJournalForked
	case relayreport.JournalDamaged:
		return v1alpha1.ReasonJournalDamaged
	case relayreport.MessagesMissing:
		return v1alpha1.ReasonMessagesMissing
	}
	return ""
}
