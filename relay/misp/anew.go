// SPDX-FileCopyrightText: The certlink authors
// SPDX-License-Identifier: Apache-2.0

package misp

import (
	"context"
	"slices"
	"time"

	"github.com/certlink/certlink/relay/store"
)

// After a deletion everything is read anew. Where that takes longer than cheap, it is done again only after restFor times as
// long as it took: a peer that withdraws again and again does not keep a large directory from its readers for ever.
const (
	cheap   = time.Second
	restFor = 10
)

// readings are the times that everything was read.
type readings struct {
	// of is the number of deletions when it was last begun, took how long it has taken so far.
	of   int64
	took time.Duration
	// over: the end was reached, once at least. after is when it may be begun again.
	over  bool
	after time.Time
}

// worked notes that it was read for so long, and whether to the end.
func (r *readings) worked(took time.Duration, toEnd bool) {
	if r.over {
		return
	}
	if r.took, r.over = r.took+took, toEnd; toEnd && r.took > cheap {
		r.after = time.Now().Add(restFor * r.took)
	}
}

// begin takes into account what was deleted: what a peer has withdrawn is listed no more at once, and what becomes of
// the rest, such as the objects that a withdrawn report named, when everything is read anew.
func (c *Catalogue) begin(ctx context.Context) error {
	deletions, err := c.store.Deletions(ctx, c.collection)
	if err != nil {
		return err
	}
	if deletions != c.read.of && !time.Now().Before(c.read.after) {
		c.deletions, c.position, c.remarked, c.last = deletions, 0, 0, nil
		c.days, c.reports, c.byReport, c.references = map[int64]uint32{}, nil, map[string]int{}, holdings{}
		c.statements, c.fresh, c.later = statements{}, recent{}, recent{}
		c.read, c.untagged = readings{of: deletions}, false
		return nil
	}
	if deletions != c.deletions {
		if err := c.prune(ctx); err != nil {
			return err
		}
		c.deletions = deletions
	}
	return nil
}

// prune takes out what is not stored any more of reports and statements.
func (c *Catalogue) prune(ctx context.Context) error {
	c.last = nil
	var reports, definitions []string
	for _, e := range c.reports {
		if !e.gone {
			reports = append(reports, e.id)
		}
	}
	for id := range c.statements {
		definitions = append(definitions, id)
	}
	err := c.stored(ctx, reports, func(id string, newest time.Time, there bool) {
		// Of one whose newest version was taken back the one before counts, when it is read anew.
		if e := &c.reports[c.byReport[id]]; !there || newest.Before(e.version) {
			e.gone = true
			delete(c.byReport, id)
		}
	})
	if err != nil {
		return err
	}
	err = c.stored(ctx, definitions, func(id string, _ time.Time, there bool) {
		if !there {
			delete(c.statements, id)
			c.untagged = true
			c.fresh.drop(id)
			c.later.drop(id)
		}
	})
	if err != nil || !c.untagged {
		return err
	}
	err = c.retag(ctx, slices.DeleteFunc(reports, func(id string) bool { _, there := c.byReport[id]; return !there }))
	c.untagged = err != nil
	return err
}

// stored tells of objects whether they are stored, and in which version last.
func (c *Catalogue) stored(ctx context.Context, ids []string, tell func(id string, newest time.Time, there bool)) error {
	for part := range slices.Chunk(ids, store.MaxSelectors) {
		newest := map[string]time.Time{}
		q := store.Query{IDs: part, Limit: store.MaxRecords, NoContent: true, Versions: store.Versions{Last: true}}
		for {
			page, err := c.store.ListObjects(ctx, c.collection, q)
			if err != nil {
				return err
			}
			for _, r := range page.Records {
				newest[r.ID] = r.Version
			}
			if q.After = page.Next; q.After == 0 {
				break
			}
		}
		for _, id := range part {
			version, there := newest[id]
			tell(id, version, there)
		}
	}
	return nil
}
