// SPDX-FileCopyrightText: The certlink authors
// SPDX-License-Identifier: Apache-2.0

package hotline

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/go-json-experiment/json"
	"github.com/spiffe/go-spiffe/v2/spiffeid"

	"github.com/certlink/certlink/relay/access"
	"github.com/certlink/certlink/relay/config"
	"github.com/certlink/certlink/relay/desk"
	"github.com/certlink/certlink/relay/message"
	"github.com/certlink/certlink/relay/store"
)

// Names of acts about our own messages and drafts, and about what we read.
const (
	actDrafted      = "DRAFTED"
	actEdited       = "EDITED"
	actReleased     = "RELEASED"
	actRejected     = "REJECTED"
	actWithdrawn    = "WITHDRAWN"
	actExpired      = "EXPIRED"
	actSent         = "SENT"
	actAcknowledged = "ACKNOWLEDGED"
)

// conflict is what cannot be done to a message or draft as it is now; a store.ErrConflict
// in words of its own.
type conflict struct{ reason string }

func (c *conflict) Error() string        { return c.reason }
func (c *conflict) Is(target error) bool { return target == store.ErrConflict }

func conflictf(format string, args ...any) error { return &conflict{fmt.Sprintf(format, args...)} }

func forbidden(format string, args ...any) error {
	return &desk.ForbiddenError{Reason: fmt.Sprintf(format, args...)}
}

// actor is who asks, by the client certificate.
type actor struct {
	// identity is the SPIFFE ID; empty for the relay itself.
	identity string
	// officer is nil for the relay and for the certificate that the desk shares.
	officer *config.Officer
}

// actor looks up who asks in the live configuration. An officer who is not there any more
// may do nothing, whatever the connection was let in for.
func (e *Engine) actor(ctx context.Context) (actor, error) {
	id := access.IdentityFrom(ctx)
	if id == "" {
		return actor{}, nil
	}
	return actorOf(id, e.cfg.Identity().TrustDomain(), e.officers())
}

// actorOf decides who an identity is. It must be of our own trust domain.
func actorOf(id, trustDomain string, d config.Desk) (actor, error) {
	parsed, err := spiffeid.FromString(id)
	if err != nil || parsed.TrustDomain().Name() != trustDomain {
		return actor{}, forbidden("%s is no identity of ours", oneLine(id))
	}
	name := desk.OfficerOf(id)
	if name == "" {
		if d.SharedCertificate == config.Denied {
			return actor{}, forbidden("the shared certificate of the desk may not be used: use that of an officer")
		}
		return actor{identity: id}, nil
	}
	officer, ok := d.Officer(name)
	if !ok {
		return actor{}, forbidden("there is no officer %q any more: LocalCERT.spec.desk.officers does not list the name", name)
	}
	return actor{identity: id, officer: &officer}, nil
}

// must refuses an actor without the role.
func (a actor) must(role config.OfficerRole, doing string) error {
	switch {
	case a.officer == nil:
		return forbidden("%s takes the certificate of a single officer; the desk's shared one names nobody", doing)
	case !a.officer.May(role):
		return forbidden("%s takes the role %s, which officer %q does not have", doing, role, a.officer.Name)
	}
	return nil
}

// name fills in the officer of a message, which must not contradict who asks.
func (a actor) name(officer *string, f *faults) {
	if a.officer == nil {
		return
	}
	f.require(*officer == "" || *officer == a.officer.DisplayName, "officer",
		"is %q, but the certificate is that of %q: leave it out", oneLine(*officer), a.officer.DisplayName)
	*officer = a.officer.DisplayName
}

// by is the actor as the message and the journal name it.
func (a actor) by(at time.Time) message.ReleaseBy {
	r := message.ReleaseBy{Identity: a.identity, At: at}
	if a.officer != nil {
		r.Officer = a.officer.DisplayName
	}
	return r
}

// rule is what the hotline asks of a message now.
func (l *line) rule(p *Payload) config.Release {
	h, _ := l.settings()
	return h.Release.For(p.Precedence, p.TLP, string(p.Kind))
}

// quorum is how many officers must release a message that does not come from a draft. It is
// the one rule for all of them.
//
// A client's message falls under the rules whatever it says of itself: naming an exercise
// frees it of nothing. What our relay itself makes needs no release: line checks, and the
// steps of a drill, see MayDrill. Nor does a bare acknowledgement; with a text it says more
// than that somebody has read.
func (l *line) quorum(a actor, p *Payload) int32 {
	ours := a.identity == "" && (p.Kind == message.LineCheckKind || p.Exercise != "")
	if ours || p.Kind == message.ACK && p.Text == "" {
		return 0
	}
	return l.rule(p).Quorum
}

// unreleased refuses a message that must not leave without a release. Every message that
// does not come from a draft passes here, in the transaction that would queue it.
func (l *line) unreleased(a actor, p *Payload) error {
	switch quorum := l.quorum(a, p); {
	case quorum == 0:
		return nil
	case p.Kind == message.ACK:
		return forbidden("the hotline asks for the release of what is written, and an acknowledgement leaves at once: acknowledge without a text, and answer with a message")
	default:
		return forbidden("the hotline asks for the release of a %s message %s by %d officers: send it as a draft", p.Precedence, p.Kind, quorum)
	}
}

// record is a draft as its body is stored.
type record struct {
	// Version of this format: 1.
	Version int `json:"version"`
	// Content is what the officers release, byte for byte; see content.
	Content []byte `json:"content"`
	// Drafter, Releases of exactly Content in order, and Warnings of the glossary.
	Drafter  message.ReleaseBy   `json:"drafter"`
	Releases []message.ReleaseBy `json:"releases,omitempty"`
	Warnings []string            `json:"warnings,omitempty"`
	// State and how it ended, as desk.Draft has it.
	State   string    `json:"state"`
	EndedAt time.Time `json:"ended_at,omitzero"`
	EndedBy string    `json:"ended_by,omitempty"`
	Reason  string    `json:"reason,omitempty"`
}

func (r *record) hash() string { return digest(r.Content) }

// content is what is released: the message without what sending gives it.
func content(p Payload) ([]byte, error) {
	p.Serial, p.CreatedAt, p.ReleasedBy = 0, time.Time{}, nil
	raw, err := json.Marshal(&p, json.Deterministic(true))
	if err != nil {
		return nil, fmt.Errorf("encoding draft: %w", err)
	}
	return raw, nil
}

// payload is the message that the content becomes but for its serial.
func (r *record) payload(now time.Time) (Payload, error) {
	p, err := decodeStored(r.Content)
	p.Serial, p.CreatedAt = 1, now
	return p, err
}

// counted are the releases that count now: of present officers who may release, each
// once, and of the drafter only where the rule says so.
func counted(r *record, rule config.Release, trustDomain string, d config.Desk) []message.ReleaseBy {
	var out []message.ReleaseBy
	for _, release := range r.Releases {
		a, err := actorOf(release.Identity, trustDomain, d)
		if err != nil || a.must(config.ReleaseRole, "") != nil || ownRelease(r, a, rule) != nil {
			continue
		}
		if !slices.ContainsFunc(out, func(o message.ReleaseBy) bool { return o.Identity == release.Identity }) {
			out = append(out, release)
		}
	}
	return out
}

// ownRelease refuses the drafter where two persons are asked for.
func ownRelease(r *record, a actor, rule config.Release) error {
	if a.identity == r.Drafter.Identity && rule.DrafterMayRelease != config.Allowed {
		return forbidden("officer %q wrote this draft: another one must release it", a.officer.Name)
	}
	return nil
}

// needed is the number of releases that a draft needs. One that was stored never leaves
// without any, whatever the rules became meanwhile.
func needed(rule config.Release) int { return int(max(1, rule.Quorum)) }

// mayRelease decides whether an officer may release a draft that shows this hash.
func mayRelease(r *record, a actor, rule config.Release, hash string) error {
	if err := a.must(config.ReleaseRole, "releasing a draft"); err != nil {
		return err
	}
	if err := ownRelease(r, a, rule); err != nil {
		return err
	}
	if hash != r.hash() {
		return conflictf("the draft was changed, or this is the hash of another one: its content has the hash %s now; read it again", r.hash())
	}
	return nil
}

// acted is the entry of an act about a message of ours, by its content.
func acted(name string, a actor, at time.Time, id string, r *record, details ...string) (store.JournalEntry, error) {
	act := Act{Name: name, At: at, Message: id, Direction: strings.ToUpper(string(store.Out)), By: a.identity, Details: map[string]string{}}
	if r != nil {
		act.Details["content_sha256"] = r.hash()
	}
	for i := 0; i+1 < len(details); i += 2 {
		if details[i+1] != "" {
			act.Details[details[i]] = details[i+1]
		}
	}
	entry, err := act.Entry()
	if err != nil {
		return store.JournalEntry{}, err
	}
	return *entry, nil
}

// noDraft refuses a message under the id of a draft, so that one id is either: also when the
// rules that made it a draft are gone, and the client repeats what was rejected meanwhile.
func (l *line) noDraft(tx store.LineTx, id string) error {
	if !l.released() && l.undrafted.Load() {
		return nil // the message path of hotlines without drafts is not slowed down
	}
	switch _, err := tx.Draft(id); {
	case errors.Is(err, store.ErrNotFound):
		return nil
	case err != nil:
		return err
	}
	return conflictf("sending message: the id %s is that of a draft", id)
}

// direct is the entry for a message that left without a draft; none when our relay made it.
func direct(a actor, m *store.Message) ([]store.JournalEntry, error) {
	if a.identity == "" {
		return nil, nil
	}
	var entry store.JournalEntry
	var err error
	if m.Kind == KindACK {
		act := Act{Name: actAcknowledged, At: m.CreatedAt, Message: m.InReplyTo, Direction: strings.ToUpper(string(store.In)), By: a.identity}
		act.Details = map[string]string{"acknowledgement": m.ID}
		var e *store.JournalEntry
		if e, err = act.Entry(); err == nil {
			entry = *e
		}
	} else {
		entry, err = acted(actSent, a, m.CreatedAt, m.ID, nil, "serial", strconv.FormatInt(m.Serial, 10), "releases", "0")
	}
	if err != nil {
		return nil, err
	}
	return []store.JournalEntry{entry}, nil
}

// fitsReleased refuses a draft that would be too large with the names of its releasers.
func fitsReleased(p Payload) error {
	p.ReleasedBy = nil
	for range config.MaxQuorum {
		p.ReleasedBy = append(p.ReleasedBy, message.ReleaseBy{
			Officer: strings.Repeat("x", desk.MaxOfficerBytes), Identity: "spiffe://" + strings.Repeat("x", 255+len("/desk/")+63), At: p.CreatedAt,
		})
	}
	_, err := encode(&p)
	return err
}
