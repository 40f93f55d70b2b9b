// SPDX-FileCopyrightText: The certlink authors
// SPDX-License-Identifier: Apache-2.0

package feed

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/certlink/certlink/relay/config"
	"github.com/certlink/certlink/relay/stix"
	"github.com/certlink/certlink/relay/store"
)

const (
	// tidyAtOnce is how many of our notes to a peer one round looks at.
	tidyAtOnce = store.MaxSelectors
	// keepNotices is how long a notice stays after the peer has received it: time for other
	// readers of the peer's that come late.
	keepNotices = 90 * 24 * time.Hour
	// namedOnce stands for what has named a victim and is gone.
	namedOnce = "gone"
)

// tidy looks at the next of what we told peers and deletes what nobody needs any more, so that it
// does not grow with time: notes about versions that are gone, notes whose place a newer one has
// taken, and notices that the peer has received long ago. What was handed out is withdrawn as
// anything else is, so that the peer lets go of it, too; one notice stands for very many. It comes
// when nothing is to be decided. Where it is, is in memory alone: a restart begins anew.
func (x *exporter) tidy(ctx context.Context, p *plan) error {
	for _, e := range p.exports {
		for _, reader := range p.readers(e) {
			if err := x.tidyNotes(ctx, e, reader); err != nil {
				return fmt.Errorf("tidying notes of export %q: %w", e.Name, err)
			}
			if err := x.tidyNotices(ctx, e, reader); err != nil {
				return fmt.Errorf("tidying notices of export %q: %w", e.Name, err)
			}
		}
	}
	return nil
}

// nextOf reads the next records of a collection of ours, and begins anew behind the last.
func (x *exporter) nextOf(ctx context.Context, e *export, collection string) ([]store.Record, error) {
	page, err := x.cfg.Store.ListObjects(ctx, collection, store.Query{Types: []string{"note"}, After: e.tidied[collection], Limit: tidyAtOnce})
	if err == nil {
		e.tidied[collection] = page.Next
	}
	return page.Records, err
}

func (x *exporter) tidyNotes(ctx context.Context, e *export, reader config.Peer) error {
	collection := noteName(e.Name, reader.TrustDomain)
	records, err := x.nextOf(ctx, e, collection)
	if err != nil || len(records) == 0 {
		return err
	}
	newest, err := x.newestOf(ctx, collection, records)
	if err != nil {
		return err
	}
	there, err := x.subjects(ctx, e, records)
	if err != nil {
		return err
	}
	for _, r := range records {
		// Within maxRevisions milliseconds they are revisions of the same note, see putNotes.
		late := newest[r.ID].Sub(r.Version) > maxRevisions*time.Millisecond
		if late || !there[r.Seq] {
			if err := x.discard(ctx, collection, r); err != nil {
				return err
			}
		}
	}
	return nil
}

// newestOf returns the newest version of each note.
func (x *exporter) newestOf(ctx context.Context, collection string, records []store.Record) (map[string]time.Time, error) {
	var ids []string
	for _, r := range records {
		ids = append(ids, r.ID)
	}
	slices.Sort(ids)
	page, err := x.cfg.Store.ListObjects(ctx, collection, store.Query{
		IDs: slices.Compact(ids), Versions: store.Versions{Last: true}, NoContent: true, Limit: store.MaxRecords,
	})
	newest := map[string]time.Time{}
	for _, r := range page.Records {
		newest[r.ID] = r.Version
	}
	return newest, err
}

// subjects tells of notes, by position, whether the version that they are about is in a source.
func (x *exporter) subjects(ctx context.Context, e *export, notes []store.Record) (map[int64]bool, error) {
	type version struct {
		id string
		at int64
	}
	about, there := map[version][]int64{}, map[int64]bool{}
	var ids []string
	for _, r := range notes {
		if id, at, ok := subject(r.Raw); ok {
			v := version{id, at.UnixMicro()}
			about[v] = append(about[v], r.Seq)
			ids = append(ids, id)
		}
	}
	slices.Sort(ids)
	ids = slices.Compact(ids)
	for _, source := range e.stored {
		q := store.Query{IDs: ids, NoContent: true, Limit: store.MaxRecords}
		for len(ids) > 0 {
			page, err := x.cfg.Store.ListObjects(ctx, source, q)
			if err != nil {
				return nil, err
			}
			for _, r := range page.Records {
				for _, seq := range about[version{r.ID, r.Version.UnixMicro()}] {
					there[seq] = true
				}
			}
			if q.After = page.Next; page.Next == 0 {
				break
			}
		}
	}
	return there, nil
}

func (x *exporter) tidyNotices(ctx context.Context, e *export, reader config.Peer) error {
	collection := noticeName(e.Name, reader.TrustDomain)
	records, err := x.nextOf(ctx, e, collection)
	if err != nil || len(records) == 0 {
		return err
	}
	progress, err := x.cfg.Store.Progress(ctx, e.Name, reader.TrustDomain)
	if err != nil {
		return err
	}
	old := x.cfg.Now().Add(-keepNotices)
	for _, r := range records {
		if !r.DateAdded.Before(old) {
			continue
		}
		versions, err := x.cfg.Store.Explain(ctx, store.View{Feed: e.Name, Peer: reader.TrustDomain}, []string{collection}, r.ID, maxVersions)
		if err != nil {
			return err
		}
		for _, v := range versions {
			if v.Seq == r.Seq && v.Share && v.SharedAt.Before(old) && v.SharedAt.UnixMicro() <= progress.ReceivedTo {
				if err := x.discard(ctx, collection, r); err != nil {
					return err
				}
			}
		}
	}
	return nil
}

// discard deletes one version of something of ours.
func (x *exporter) discard(ctx context.Context, collection string, r store.Record) error {
	q := store.Query{IDs: []string{r.ID}, Limit: 1, Versions: store.Versions{At: []time.Time{r.Version}}}
	n, err := x.cfg.Store.DeleteObjects(ctx, collection, q)
	if n > 0 {
		x.wake() // it is to be announced
	}
	return err
}

// keepVictims notes of relationships and sightings that are to be deleted whom they name as a
// victim: the reference goes with what it comes from, and once a victim is always a victim. One
// reference for each victim stays for good.
func (e *Engine) keepVictims(ctx context.Context, stored string, q store.Query) error {
	q.IDs = slices.DeleteFunc(slices.Clone(q.IDs), func(id string) bool {
		typ, _ := stix.SplitID(id)
		return !slices.Contains(victimTypes, typ)
	})
	for len(q.IDs) > 0 {
		page, err := e.cfg.Store.ListObjects(ctx, stored, q)
		if err != nil {
			return err
		}
		var all []store.Reference
		for _, r := range page.Records {
			if o, err := stix.Parse(r.Raw); err == nil {
				for _, id := range victims(o) {
					all = append(all, store.Reference{Kind: kindVictim, From: namedOnce, To: id})
				}
			}
		}
		for part := range slices.Chunk(all, store.MaxRecords) {
			if err := e.cfg.Store.PutReferences(ctx, stored, part); err != nil {
				return err
			}
		}
		if q.After = page.Next; page.Next == 0 {
			return nil
		}
	}
	return nil
}
