// SPDX-FileCopyrightText: The certlink authors
// SPDX-License-Identifier: Apache-2.0

package misp

import (
	"context"
	"slices"
	"time"

	"github.com/certlink/certlink/relay/stix"
	"github.com/certlink/certlink/relay/store"
)

// statements are marking definitions known to restrict nothing, with the second in which each came,
// since 1970.
type statements map[string]int64

// since is when the last of an object's markings became known, if that was after the object had
// come; 0 for none. What comes in the same second was never shown without it.
func (s statements) since(markings []string, added time.Time) (at int64) {
	for _, id := range markings {
		if known, ok := s[id]; ok && known > added.Unix() {
			at = max(at, known)
		}
	}
	return at
}

// arrival is when a version of an object came.
type arrival struct {
	at time.Time
	// again: another version was here before, and before some marking definition came. It may have been
	// written with the time of that, and a MISP takes nothing that is older than what it has, not even a
	// revocation: so this one counts from when it came, if it says that it is older.
	again bool
}

// newest is when the last of the definitions came, 0 if there is none.
func (s statements) newest() (at int64) {
	for _, known := range s {
		at = max(at, known)
	}
	return at
}

// define tells whether some of an object's markings are among these.
func (s statements) define(markings []string) bool {
	return slices.ContainsFunc(markings, func(id string) bool { _, ok := s[id]; return ok })
}

// recent are statements that came, to is the position of the last of them.
type recent struct {
	statements
	to int64
}

func (r *recent) add(id string, at time.Time) {
	if r.statements == nil {
		r.statements = statements{}
	}
	r.statements[id], r.to = at.Unix(), at.UnixMicro()
}

func (r *recent) drop(id string) { delete(r.statements, id) }

// remarkPages is how many pages are looked through for new marking definitions by one reader's request. The next one
// goes on there: a peer that sends definitions one by one does not have its collection read through for each.
const remarkPages = 20

// remark has everything written again that came before the definition of one of its markings, and so
// was shown as RED: the events that it is in change when the definition comes. It reads what lies before
// the new definitions, with a page in memory; most collections have few of these. Definitions that come meanwhile
// wait for the end of it. Done again it changes nothing, so an error leaves to the next time what was not looked at: a
// reader may go before all of a large collection is.
func (c *Catalogue) remark(ctx context.Context) error {
	for pages := 0; ; {
		if len(c.fresh.statements) == 0 {
			if len(c.later.statements) == 0 {
				return nil
			}
			c.fresh, c.later, c.remarked = c.later, recent{}, 0
		}
		for c.remarked < c.fresh.to {
			if pages == remarkPages {
				return nil
			}
			pages++
			page, err := c.store.ListObjects(ctx, c.collection, store.Query{After: c.remarked, Limit: scanObjects})
			if err != nil {
				return err
			}
			if err := c.remarkPage(ctx, page.Records); err != nil {
				return err
			}
			if page.Next == 0 {
				break
			}
			c.remarked = page.Next
		}
		c.fresh = recent{}
	}
}

func (c *Catalogue) remarkPage(ctx context.Context, records []store.Record) error {
	c.last = nil
	var late []store.Record
	var reports []string
	at := map[int64]uint32{}
	for _, r := range records {
		// What does not parse is shown nowhere.
		o, _ := stix.Parse(r.Raw)
		if since := c.fresh.since(o.Markings, r.DateAdded); since > 0 {
			late, at[r.Seq] = append(late, r), uint32(since)
		}
		// Also one of the same second, which stands before the definition and was read without it.
		if _, ok := c.byReport[r.ID]; ok && c.fresh.define(o.Markings) {
			reports = append(reports, r.ID)
		}
	}
	first := map[string]time.Time{}
	if err := c.addFirsts(ctx, first, late); err != nil {
		return err
	}
	for _, r := range late {
		if i, ok := c.byReport[r.ID]; ok {
			c.reports[i].timestamp = max(c.reports[i].timestamp, at[r.Seq])
		}
		c.changed(r.ID, first[r.ID], at[r.Seq])
	}
	return c.retag(ctx, reports)
}

// retag gives the events of reports the tags that their markings mean now.
func (c *Catalogue) retag(ctx context.Context, reports []string) error {
	slices.Sort(reports)
	for part := range slices.Chunk(slices.Compact(reports), store.MaxSelectors) {
		q := store.Query{IDs: part, Limit: store.MaxRecords, Versions: store.Versions{Last: true}}
		for {
			page, err := c.store.ListObjects(ctx, c.collection, q)
			if err != nil {
				return err
			}
			for _, r := range page.Records {
				if o, err := stix.Parse(r.Raw); err == nil {
					c.reports[c.byReport[r.ID]].tags, _ = tagsOf(o.Markings, c.statements)
				}
			}
			if q.After = page.Next; page.Next == 0 {
				break
			}
		}
	}
	return nil
}
