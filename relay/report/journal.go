// SPDX-FileCopyrightText: The certlink authors
// SPDX-License-Identifier: Apache-2.0

package report

import "time"

// States of the journals of a hotline, as docs/journal.md explains them.
const (
	// JournalIntact: nothing was found.
	JournalIntact = "Intact"
	// JournalRolledBack: our database was set back to an older state.
	JournalRolledBack = "JournalRolledBack"
	// PeerJournalRolledBack: the peer's was.
	PeerJournalRolledBack = "PeerJournalRolledBack"
	// PeerJournalForked: the peer has shown two histories.
	PeerJournalForked = "PeerJournalForked"
	// JournalDamaged: an entry or a message of ours was edited, removed or inserted.
	JournalDamaged = "JournalDamaged"
	// MessagesMissing: serials of the peer are missing below one that arrived.
	MessagesMissing = "MessagesMissing"
)

// Journal is how our journal of a hotline, and the peer's, stand.
type Journal struct {
	// State is one of the above; the worst, where several hold.
	State string `json:"state"`
	// Message says what was found, and what to do; empty when nothing was.
	Message string `json:"message,omitempty"`
	// VerifiedAt is when our journal was last read as a whole; zero before the first time.
	VerifiedAt time.Time `json:"verifiedAt,omitzero"`
}
