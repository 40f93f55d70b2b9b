// SPDX-FileCopyrightText: The certlink authors
// SPDX-License-Identifier: Apache-2.0

package feed

import (
	"context"
	"errors"
	"slices"

	"github.com/certlink/certlink/relay/config"
	"github.com/certlink/certlink/relay/redact"
	"github.com/certlink/certlink/relay/rule"
	"github.com/certlink/certlink/relay/stix"
	"github.com/certlink/certlink/relay/store"
)

// Reasons of our own words to a peer, which the rule does not judge.
const (
	announced  = "Announcement"
	noted      = "Note"
	noteOfNone = "NoteOfNothingShared"
)

// batch is one turn of one view.
type batch struct {
	*exporter
	e      *export
	reader config.Peer
	*outlook
	view store.View
	// again: the decisions of these records had lapsed.
	again bool
	// basis is what decisions rest on that look at other objects.
	basis *store.Basis
	// revokedTo is the position up to which this batch decides revocations; 0 if it is not one of these.
	revokedTo int64

	records   []store.Record
	objects   []stix.Object // zero for one that cannot be read
	questions []rule.Question
	victims   map[string]bool
}

// decide stores the decisions about one batch of a view.
//
//	count deletions → read the batch → announce what the peer must drop → learn what came with it → note territory
//	→ store the decisions
//
// The batch is read first, so that a version which was deleted and pushed again is
// announced as dropped before it is shared again: where there is something to announce,
// the turn ends with it, and the batch waits for the next one. A crash before the end leaves the
// batch undecided, and so not shared; what was announced or noted is repeated as the
// same bytes. If something was deleted meanwhile, by whatever replica, the store lapses in
// the same transaction the decisions that rest on other objects: they may have been made by
// looking at what is gone, and come after all that rests on that was taken back, as the
// replica that deletes does not know what this one decides.
func (x *exporter) decide(ctx context.Context, e *export, reader config.Peer) (more bool, err error) {
	o, err := e.toward(reader, x.atlas())
	if err != nil {
		return false, err
	}
	if o == nil {
		return true, nil // a marking definition was deleted just now
	}
	b := &batch{exporter: x, e: e, reader: reader, outlook: o, view: o.view(e, reader), basis: &store.Basis{Collections: e.stored}}
	if b.basis.Deletions, err = x.cfg.Store.Deletions(ctx, e.stored...); err != nil {
		return false, err
	}
	if err := b.next(ctx); err != nil {
		return false, err
	}
	if told, err := b.announce(ctx); told || err != nil {
		return true, err // the notice comes before what takes the place of the withdrawn
	}
	if len(b.records) == 0 {
		return false, nil
	}
	if changed, err := b.catchUp(ctx); changed || err != nil {
		return changed, err
	}
	decisions, shared, err := b.judge(ctx)
	if err != nil || len(decisions) == 0 {
		return false, err
	}
	err = x.cfg.Store.Decide(ctx, b.view, decisions)
	if errors.Is(err, store.ErrNotFound) {
		return true, nil // one of them was deleted meanwhile; the others are still undecided
	}
	if err != nil {
		return false, err
	}
	if b.revokedTo > 0 {
		e.revoked[b.view] = b.revokedTo // not before: a turn that ends early begins with them again
	}
	x.metrics.decisions.WithLabelValues(e.Name, "shared").Add(float64(shared))
	x.metrics.decisions.WithLabelValues(e.Name, "held").Add(float64(len(decisions) - shared))
	return true, nil
}

// catchUp learns what came with the batch, after the turn looked for that. It tells whether the rule changed.
func (b *batch) catchUp(ctx context.Context) (changed bool, err error) {
	if slices.ContainsFunc(b.records, b.e.unrelated) {
		// It may bind the batch.
		if err := b.relate(ctx, b.e); err != nil {
			return false, err
		}
	}
	if slices.ContainsFunc(b.records, b.e.unseen) {
		// The batch brings a marking definition. What it marks must be decided with it.
		return b.learn(ctx, b.e)
	}
	return false, nil
}

// next reads the batch: what we tell the peer, then what lapsed, then what lies where the
// export has no source any more, then revocations, then the rest in the order of its
// coming, and our notes when what they are about is decided.
func (b *batch) next(ctx context.Context) (err error) {
	s := b.cfg.Store
	notices := []string{noticeName(b.e.Name, b.reader.TrustDomain)}
	if b.records, err = s.Undecided(ctx, b.view, notices, decideAtOnce); err != nil || len(b.records) > 0 {
		return err
	}
	all := b.e.collections(b.reader.TrustDomain)
	if b.records, err = s.Lapsed(ctx, b.view, all, b.cfg.Now(), decideAtOnce); err != nil || len(b.records) > 0 {
		b.again = true
		return err
	}
	for _, look := range []func() ([]store.Record, error){
		func() ([]store.Record, error) { return b.abandoned(ctx) },
		func() ([]store.Record, error) {
			found, err := s.UndecidedRevoked(ctx, b.view, b.e.stored, b.e.revoked[b.view], decideAtOnce)
			if err == nil && len(found) > 0 {
				b.revokedTo = found[len(found)-1].Seq
			}
			return found, err
		},
		func() ([]store.Record, error) { return s.Undecided(ctx, b.view, b.e.stored, decideAtOnce) },
		func() ([]store.Record, error) {
			return s.Undecided(ctx, b.view, []string{noteName(b.e.Name, b.reader.TrustDomain)}, decideAtOnce)
		},
	} {
		if b.records, err = look(); err != nil || len(b.records) > 0 {
			return err
		}
	}
	return nil
}

// abandoned are records that the peer was shown from sources which the export had: they
// are to be withdrawn. They are looked for once, as other sources make another export.
func (b *batch) abandoned(ctx context.Context) ([]store.Record, error) {
	if b.e.swept[b.view] {
		return nil, nil
	}
	left, err := b.cfg.Store.SharedFrom(ctx, b.view.Feed, b.view.Peer)
	if err != nil {
		return nil, err
	}
	ours := b.e.collections(b.reader.TrustDomain)
	left = slices.DeleteFunc(left, func(name string) bool { return slices.Contains(ours, name) })
	for part := range slices.Chunk(left, store.MaxSelectors) {
		found, err := b.cfg.Store.Undecided(ctx, b.view, part, decideAtOnce)
		if err != nil || len(found) > 0 {
			return found, err
		}
	}
	b.e.swept[b.view] = true
	return nil, nil
}

// judge decides about the batch. What is not decided yet is left out.
func (b *batch) judge(ctx context.Context) (decisions []store.Decision, shared int, err error) {
	if err := b.read(ctx); err != nil {
		return nil, 0, err
	}
	decisions = make([]store.Decision, 0, len(b.records))
	var notes []store.Object
	var gone []string            // ids of the notes of what is held now
	var waiting []store.Decision // notes about what is not decided yet
	for i, r := range b.records {
		d, ok := store.Decision{Seq: r.Seq}, true
		switch r.Collection {
		case noticeName(b.e.Name, b.reader.TrustDomain):
			d.Share, d.Reason = true, announced
		case noteName(b.e.Name, b.reader.TrustDomain):
			d, ok, err = b.judgeNote(ctx, r)
			d.Rests = b.basis
		default:
			var j rule.Judgement
			d, j = b.judgeObject(i, r)
			if found, ok := j.Territory(); ok && d.Share {
				notes = append(notes, b.note(b.objects[i], found))
			}
			if b.again && !d.Share && b.policy.Territorial() {
				gone = append(gone, noteID(b.author(), b.view, r.ID, r.Version))
			}
		}
		if err != nil {
			return nil, 0, err
		}
		if q := b.questions[i]; q.Container != (rule.Bound{}) || q.Content != (rule.Bound{}) {
			d.Rests = b.basis
		}
		if !ok {
			waiting = append(waiting, d)
			continue
		}
		if decisions = append(decisions, d); d.Share {
			shared++
		}
	}
	if b.again && len(decisions) == 0 {
		// Nothing else is decided before they are. They come back with what they are about.
		decisions = waiting
	}
	if err := b.accompany(ctx, decisions, notes, gone); err != nil {
		return nil, 0, err
	}
	return decisions, shared, nil
}

// accompany stores what goes with decisions before they are: new notes, what introduces
// our extension, and that the notes of what is held now are to be decided again.
func (b *batch) accompany(ctx context.Context, decisions []store.Decision, notes []store.Object, gone []string) error {
	if err := b.putNotes(ctx, notes); err != nil {
		return err
	}
	if slices.ContainsFunc(decisions, func(d store.Decision) bool { return d.Form != "" }) {
		if err := b.introduce(ctx, redact.Extension); err != nil {
			return err
		}
	}
	if len(gone) == 0 {
		return nil
	}
	return b.cfg.Store.Lapse(ctx, noteName(b.e.Name, b.reader.TrustDomain), gone)
}

// judgeObject decides about one record of a source. It is judged whole; what it loses
// on its way out does not count.
func (b *batch) judgeObject(i int, r store.Record) (store.Decision, rule.Judgement) {
	o := b.objects[i]
	if _, ok := b.e.sources[r.Collection]; !ok {
		return store.Decision{Seq: r.Seq, Reason: rule.UnknownSource}, rule.Judgement{}
	}
	if o.ID == "" {
		return store.Decision{Seq: r.Seq, Reason: rule.Unreadable}, rule.Judgement{}
	}
	j := b.policy.Judge(b.questions[i], o)
	d := store.Decision{Seq: r.Seq, Share: j.Share, Reason: j.Reason, Until: j.Until, Evidence: j.Evidence()}
	if !d.Share || b.e.redaction == nil {
		return d, j
	}
	if b.e.redaction.Withholds(o) {
		return store.Decision{Seq: r.Seq, Reason: rule.Translation}, rule.Judgement{}
	}
	d.Form = b.e.redaction.Form(o, b.victims[o.ID])
	if leaves, err := b.e.redaction.Apply(o.Raw, d.Form); err != nil || len(leaves) > stix.MaxObjectBytes {
		return store.Decision{Seq: r.Seq, Reason: rule.Unreadable}, rule.Judgement{}
	}
	return d, j
}

// read reads the stored bytes again, once: what is decided about is what would leave.
func (b *batch) read(ctx context.Context) error {
	b.objects = make([]stix.Object, len(b.records))
	b.questions = make([]rule.Question, len(b.records))
	now := b.cfg.Now()
	for i, r := range b.records {
		source, ok := b.e.sources[r.Collection]
		if !ok {
			continue
		}
		o, err := stix.Parse(r.Raw)
		if err != nil {
			continue
		}
		b.objects[i], b.questions[i] = o, rule.Question{Source: source, Now: now}
	}
	if err := b.bind(ctx); err != nil {
		return err
	}
	return b.findVictims(ctx)
}
