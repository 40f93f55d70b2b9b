// SPDX-FileCopyrightText: The certlink authors
// SPDX-License-Identifier: Apache-2.0

package feed

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/certlink/certlink/relay/rule"
	"github.com/certlink/certlink/relay/stix"
	"github.com/certlink/certlink/relay/store"
	"github.com/certlink/certlink/relay/territory"
)

const (
	// announceAtOnce is the number of versions in one notice.
	announceAtOnce = 500
	// maxRevisions is the number of times that a note is written again for other evidence of
	// data sets with the same date.
	maxRevisions = 16
)

// author is the id of the identity by which we speak.
func (b *batch) author() string { return b.live.Load().author }

// announce turns withdrawals into notices to the peer, all that there are.
//
//	read withdrawals → store the notice → forget the withdrawals
//
// A crash before the last step makes a second notice of the same versions at worst.
func (b *batch) announce(ctx context.Context) (told bool, err error) {
	for {
		list, err := b.cfg.Store.Withdrawals(ctx, b.view.Feed, b.view.Peer, announceAtOnce)
		if err != nil || len(list) == 0 {
			return told, err
		}
		last := list[len(list)-1].Position
		if list, err = b.notShown(ctx, list); err != nil {
			return told, err
		}
		if len(list) > 0 {
			ceiling, err := rule.ParseLevel(b.e.Rule.MaxTLP)
			if err != nil {
				return told, err
			}
			if err := b.tell(ctx, notice(b.author(), ceiling, b.view, list)); err != nil {
				return told, err
			}
			b.metrics.withdrawn.WithLabelValues(b.e.Name).Add(float64(len(list)))
		}
		if err := b.cfg.Store.ClearWithdrawals(ctx, b.view.Feed, b.view.Peer, last); err != nil {
			return told, err
		}
		told = true
	}
}

// notShown leaves out versions that the peer sees from another source.
func (b *batch) notShown(ctx context.Context, list []store.Withdrawal) ([]store.Withdrawal, error) {
	var left []store.Withdrawal
	for _, w := range list {
		versions, err := b.cfg.Store.Explain(ctx, b.view, b.e.collections(b.reader.TrustDomain), w.ID, maxVersions)
		if err != nil {
			return nil, err
		}
		if !slices.ContainsFunc(versions, func(v store.Explained) bool { return v.Share && v.Version.Equal(w.Version) }) {
			left = append(left, w)
		}
	}
	return left, nil
}

// tell stores an announcement, and before the first one who it is that speaks.
func (b *batch) tell(ctx context.Context, one store.Object) error {
	if err := b.introduce(ctx, extensionNotice); err != nil {
		return err
	}
	_, err := b.cfg.Store.PutObjects(ctx, noticeName(b.e.Name, b.reader.TrustDomain), []store.Object{one}, "")
	return err
}

// introduce stores who we are, and what one of our extensions means, once.
func (b *batch) introduce(ctx context.Context, extension string) error {
	key := b.reader.TrustDomain + "/" + extension
	if b.e.introduced[key] {
		return nil
	}
	var all []stix.Object
	for _, raw := range [][]byte{b.live.Load().ourselves, extensionDefinition(b.author(), extension)} {
		o, err := stix.Parse(raw)
		if err != nil {
			return fmt.Errorf("introducing ourselves: %w", err)
		}
		all = append(all, o)
	}
	if _, err := b.cfg.Store.PutObjects(ctx, noticeName(b.e.Name, b.reader.TrustDomain), records(all), ""); err != nil {
		return err
	}
	b.e.introduced[key] = true
	return nil
}

func (b *batch) note(o stix.Object, s territory.Statement) store.Object {
	return territoryNote(b.author(), b.view, o, s)
}

// putNotes stores notes about territory. A note whose evidence is another one, though
// the data sets have the same date, is a later version.
func (b *batch) putNotes(ctx context.Context, notes []store.Object) error {
	if len(notes) == 0 {
		return nil
	}
	if err := b.introduce(ctx, extensionTerritory); err != nil {
		return err
	}
	for range maxRevisions {
		outcomes, err := b.cfg.Store.PutObjects(ctx, noteName(b.e.Name, b.reader.TrustDomain), notes, "")
		if err != nil {
			return err
		}
		var again []store.Object
		for i, outcome := range outcomes {
			switch outcome {
			case store.Forked:
				again = append(again, later(notes[i]))
			case store.Duplicate:
				if err := b.revive(ctx, notes[i]); err != nil {
					return err
				}
			}
		}
		if notes = again; len(notes) == 0 {
			return nil
		}
	}
	return nil
}

// revive has a note decided again that was held while its object was not shared.
func (b *batch) revive(ctx context.Context, note store.Object) error {
	collection := noteName(b.e.Name, b.reader.TrustDomain)
	versions, err := b.cfg.Store.Explain(ctx, b.view, []string{collection}, note.ID, maxVersions)
	if err != nil {
		return err
	}
	if slices.ContainsFunc(versions, func(v store.Explained) bool {
		return v.Version.Equal(note.Version) && v.Rule == b.hash && !v.Share
	}) {
		return b.cfg.Store.Lapse(ctx, collection, []string{note.ID})
	}
	return nil
}

// judgeNote shares a note as long as the version that it is about is shared; not
// decided yet if that is not.
func (b *batch) judgeNote(ctx context.Context, r store.Record) (d store.Decision, ok bool, err error) {
	id, version, readable := subject(r.Raw)
	d = store.Decision{Seq: r.Seq, Reason: noteOfNone}
	if !readable {
		return d, true, nil
	}
	versions, err := b.cfg.Store.Explain(ctx, b.view, b.e.stored, id, maxVersions)
	if err != nil {
		return d, false, err
	}
	for _, v := range versions {
		switch {
		case !v.Version.Equal(version):
		case v.Rule != b.hash:
			return d, false, nil
		case v.Share:
			d.Share, d.Reason, d.Until = true, noted, v.Until
			return d, true, nil
		}
	}
	return d, true, nil
}

// later is a note one millisecond later.
func later(o store.Object) store.Object {
	var members map[string]any
	if !decodeInto(o.Raw, &members) {
		return o
	}
	o.Version = o.Version.Add(time.Millisecond)
	members["modified"] = stixTime(o.Version)
	o.Raw = encode(members)
	return o
}

// subject is the version that a note of ours is about.
func subject(raw []byte) (id string, version time.Time, ok bool) {
	var note struct {
		Refs       []string `json:"object_refs"`
		Extensions map[string]struct {
			Version string `json:"version"`
		} `json:"extensions"`
	}
	if !decodeInto(raw, &note) || len(note.Refs) != 1 {
		return "", time.Time{}, false
	}
	if text := note.Extensions[extensionTerritory].Version; text != "" {
		var err error
		if version, err = stix.ParseTime(text); err != nil {
			return "", time.Time{}, false
		}
	}
	return note.Refs[0], version, true
}
