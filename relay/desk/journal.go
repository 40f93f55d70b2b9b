// SPDX-FileCopyrightText: The certlink authors
// SPDX-License-Identifier: Apache-2.0

package desk

import (
	"context"
	"fmt"
	"net/http"
	"time"

	"github.com/certlink/certlink/relay/access"
)

// Paths of the journal, for the role desk. {hotline} is the name of a hotline.
const (
	// PathJournal: GET says how far our journal of a hotline has come (→ Journal).
	PathJournal = "/journal/{hotline}"
	// PathJournalVerify: POST reads the whole journal and compares it with what was signed
	// and what is stored (→ JournalCheck). It takes no body.
	PathJournalVerify = "/journal/{hotline}/verify"
	// PathProof: GET proves a message, PathReceiptProof its receipt (→ MessageProof).
	PathProof        = "/hotline/messages/{direction}/{peer}/{id}/proof"
	PathReceiptProof = "/hotline/messages/{direction}/{peer}/{id}/receipt-proof"
)

// Paths of what speaks against a peer's journal, for the role desk.
const (
	// PathDoubts: GET lists it (→ DoubtList).
	PathDoubts = "/journal/{hotline}/doubts"
	// PathSettle: POST ends what is open (SettleDoubtsRequest → DoubtList).
	PathSettle = "/journal/{hotline}/doubts/settle"
)

// Journals has our journal of each hotline. It may be called concurrently. Its errors
// are those of package store: ErrNotFound for a hotline or message that we do not have, or
// that is older than the journal; ErrBusy for a journal that is being verified.
type Journals interface {
	JournalHead(ctx context.Context, hotline string) (Journal, error)
	VerifyJournal(ctx context.Context, hotline string) (JournalCheck, error)
	// Prove proves a message of a direction ("in" or "out"), or the receipt for it.
	Prove(ctx context.Context, direction, peer, id string, receipt bool) (MessageProof, error)
	// JournalDoubts lists what speaks against the peer's journal of a hotline; SettleDoubts ends
	// what is open of it, and journals who did so. ErrNotFound where nothing is open.
	JournalDoubts(ctx context.Context, hotline string) (DoubtList, error)
	SettleDoubts(ctx context.Context, hotline string, req SettleDoubtsRequest) (DoubtList, error)
}

// PeerState is a state of a peer's journal that it signed.
type PeerState struct {
	Size int64 `json:"size"`
	// Root is the RFC 6962 hash over the entries, base64.
	Root []byte `json:"root"`
	// Checkpoint as it was signed (C2SP tlog-checkpoint), Chain of the signer in PEM, the leaf first.
	Checkpoint string `json:"checkpoint"`
	Chain      string `json:"chain"`
}

// JournalDoubt is evidence against a peer's journal.
type JournalDoubt struct {
	// Kind is Forked, when no proof holds between the two, or Older.
	Kind string    `json:"kind"`
	At   time.Time `json:"at"`
	// Held is what we held, Shown what came then. Of one size and with other roots they prove
	// to anybody that the peer has signed two histories.
	Held  PeerState `json:"held"`
	Shown PeerState `json:"shown"`
	// SettledAt and SettledBy: who ended it, by identity, or what did; empty while it is open.
	SettledAt time.Time `json:"settledAt,omitzero"`
	SettledBy string    `json:"settledBy,omitempty"`
}

// DoubtList is all that is kept, the newest first.
type DoubtList struct {
	Doubts []JournalDoubt `json:"doubts"`
}

// SettleDoubtsRequest ends what is open.
type SettleDoubtsRequest struct {
	// Reason, one line of at most MaxReasonBytes: what was found out, and with whom.
	Reason string `json:"reason"`
}

// Journal is the newest checkpoint of our journal of a hotline.
type Journal struct {
	// Hotline and Peer as in Message.
	Hotline string `json:"hotline"`
	Peer    string `json:"peer"`
	// Origin names the log, Size is the number of its entries.
	Origin string `json:"origin"`
	Size   int64  `json:"size"`
	// Root is the RFC 6962 hash over the entries, base64; empty for an empty journal.
	Root []byte `json:"root,omitempty"`
	// At is when the checkpoint was stored.
	At time.Time `json:"at,omitzero"`
	// Checkpoint as it was signed (C2SP tlog-checkpoint).
	Checkpoint string `json:"checkpoint,omitempty"`
}

// States of a journal.
const (
	// JournalWhole: entries, hashes, checkpoints and messages agree.
	JournalWhole = "Whole"
	// JournalUnproven: they agree, but what was signed last is signed by a certificate that
	// our CA does not vouch for now.
	JournalUnproven = "Unproven"
	// JournalDamaged: they do not agree.
	JournalDamaged = "Damaged"
	// JournalDiffers: they agree, but the peer holds a checkpoint that we signed and that is
	// none of this journal: the database was set back, or written anew.
	JournalDiffers = "Differs"
)

// What the peer holds of our journal, against what is here.
const (
	// PeerAgrees: its newest checkpoint of ours is a state of this journal.
	PeerAgrees = "Agrees"
	// PeerDiffers: it is not.
	PeerDiffers = "Differs"
	// PeerHasNone: it holds no checkpoint of ours yet.
	PeerHasNone = "None"
	// PeerUnasked: it could not be asked, or its answer proves nothing.
	PeerUnasked = "Unasked"
)

// JournalWitness is what the peer shows of our journal.
type JournalWitness struct {
	// State is PeerAgrees, PeerDiffers, PeerHasNone or PeerUnasked.
	State string `json:"state"`
	// Size of the checkpoint that it shows, and that as we signed it.
	Size       int64  `json:"size,omitempty"`
	Checkpoint string `json:"checkpoint,omitempty"`
	// Reason in one line, unless it agrees.
	Reason string `json:"reason,omitempty"`
}

// JournalCheck is what a verification found.
type JournalCheck struct {
	Journal
	// State is JournalWhole, JournalUnproven, JournalDamaged or JournalDiffers.
	State string `json:"state"`
	// Messages and Receipts are the entries of these kinds, Checkpoints the signed states.
	Messages    int64 `json:"messages"`
	Receipts    int64 `json:"receipts"`
	Checkpoints int64 `json:"checkpoints"`
	// Proven is the size of the largest checkpoint whose signer our CA vouches for.
	Proven int64 `json:"proven"`
	// ExpiredSigners counts checkpoints whose signer has expired since, UnknownSigners
	// those whose signer does not chain to the bundle that we hold of ourselves. The next
	// checkpoint by a good signer covers their entries.
	ExpiredSigners int64 `json:"expiredSigners,omitempty"`
	UnknownSigners int64 `json:"unknownSigners,omitempty"`
	// Before counts messages, of both directions, that were stored before the journal began.
	Before int64 `json:"before,omitempty"`
	// Damage is the first that was found.
	Damage *JournalDamage `json:"damage,omitempty"`
	// Witness is what the peer shows.
	Witness *JournalWitness `json:"witness,omitempty"`
}

// JournalDamage says where a journal does not agree with what was signed or stored.
type JournalDamage struct {
	// Index of the entry, from 0; -1 for a message without entry.
	Index int64 `json:"index"`
	// Kind of the entry; empty for a checkpoint.
	Kind string `json:"kind,omitempty"`
	// Direction and Message name the message that it is about, if it is about one.
	Direction string `json:"direction,omitempty"`
	Message   string `json:"message,omitempty"`
	// Reason in one line.
	Reason string `json:"reason"`
}

// String names the place and the reason in one line.
func (d *JournalDamage) String() string {
	var where string
	switch {
	case d.Index < 0:
		where = "message " + d.Direction + " " + d.Message
	case d.Message != "":
		where = fmt.Sprintf("entry %d (%s, message %s %s)", d.Index, d.Kind, d.Direction, d.Message)
	case d.Kind != "":
		where = fmt.Sprintf("entry %d (%s)", d.Index, d.Kind)
	default:
		where = fmt.Sprintf("checkpoint at entry %d", d.Index)
	}
	return where + ": " + d.Reason
}

// MessageProof proves a message or a receipt to anybody, with published formats alone.
type MessageProof struct {
	// Peer and ID as in Message.
	Peer string `json:"peer"`
	ID   string `json:"id"`
	// Origin names the log. Index is that of the entry and Kind stands in front of its body.
	Origin string `json:"origin"`
	Index  int64  `json:"index"`
	Kind   string `json:"kind"`
	// Body of the entry, byte for byte: the payload of the message, or the receipt.
	Body []byte `json:"body"`
	// Proof is a C2SP tlog-proof, with the signed checkpoint.
	Proof string `json:"proof"`
	// Chain is the certificate chain of the signer in PEM, the leaf first.
	Chain string `json:"chain"`
	// VerifierKey is the leaf's key as the signed note format has it.
	VerifierKey string `json:"verifierKey"`
}

// serveJournals adds the paths of the journal.
func (h *handler) serveJournals(mux *http.ServeMux, j Journals) {
	paths := map[string]func(r *http.Request) (any, error){
		"GET " + PathJournal: func(r *http.Request) (any, error) { return j.JournalHead(r.Context(), r.PathValue("hotline")) },
		"POST " + PathJournalVerify: func(r *http.Request) (any, error) {
			return j.VerifyJournal(r.Context(), r.PathValue("hotline"))
		},
		"GET " + PathDoubts: func(r *http.Request) (any, error) {
			return j.JournalDoubts(r.Context(), r.PathValue("hotline"))
		},
		"POST " + PathSettle: func(r *http.Request) (any, error) {
			var req SettleDoubtsRequest
			if err := decode(r, &req); err != nil {
				return nil, err
			}
			return j.SettleDoubts(r.Context(), r.PathValue("hotline"), req)
		},
		"GET " + PathProof: func(r *http.Request) (any, error) {
			return j.Prove(r.Context(), r.PathValue("direction"), r.PathValue("peer"), r.PathValue("id"), false)
		},
		"GET " + PathReceiptProof: func(r *http.Request) (any, error) {
			return j.Prove(r.Context(), r.PathValue("direction"), r.PathValue("peer"), r.PathValue("id"), true)
		},
	}
	for pattern, action := range paths {
		mux.Handle(pattern, only([]access.Role{access.RoleDesk}, h.reply(func(r *http.Request) (int, any, error) {
			body, err := action(r)
			return http.StatusOK, body, err
		})))
	}
}
