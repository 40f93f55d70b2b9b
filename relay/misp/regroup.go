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

// regroup puts what a new version of a report refers to into its event, and what no report refers to any
// more back into the event of its day.
func (c *Catalogue) regroup(ctx context.Context, report int32, version time.Time, ids []string) error {
	e := c.reports[report]
	var before []string
	if !e.version.IsZero() && !e.version.Equal(version) {
		page, err := c.store.ListObjects(ctx, c.collection, store.Query{
			IDs: []string{e.id}, Limit: 1, Versions: store.Versions{At: []time.Time{e.version}},
		})
		if err != nil {
			return err
		}
		for _, r := range page.Records {
			var m members
			if o, err := stix.Parse(r.Raw); err == nil && decodes(o.Raw, &m) {
				before = m.ObjectRefs
			}
		}
	}
	if err := c.hold(ctx, report, ids, e.timestamp); err != nil {
		return err
	}
	return c.letGo(ctx, before, e.timestamp)
}

// letGo has those objects listed by their days that are in no report.
func (c *Catalogue) letGo(ctx context.Context, ids []string, at uint32) error {
	free := slices.DeleteFunc(ids, func(id string) bool {
		_, isReport := c.byReport[id]
		return isReport || len(c.references.holders(id)) > 0
	})
	for part := range slices.Chunk(free, store.MaxSelectors) {
		page, err := c.store.ListObjects(ctx, c.collection, store.Query{
			IDs: part, Limit: store.MaxRecords, NoContent: true, Versions: store.Versions{First: true},
		})
		if err != nil {
			return err
		}
		for _, r := range page.Records {
			// What comes later is listed then.
			if uint32(r.DateAdded.Unix()) <= at {
				day := dayOf(r.DateAdded)
				c.days[day] = max(c.days[day], at)
			}
		}
	}
	return nil
}

// hold replaces what a report refers to. The days that lose objects to it change.
func (c *Catalogue) hold(ctx context.Context, report int32, ids []string, at uint32) error {
	for part := range slices.Chunk(ids, store.MaxSelectors) {
		page, err := c.store.ListObjects(ctx, c.collection, store.Query{
			IDs: part, Limit: store.MaxRecords, NoContent: true, Versions: store.Versions{First: true},
		})
		if err != nil {
			return err
		}
		for _, r := range page.Records {
			if day := dayOf(r.DateAdded); c.days[day] != 0 {
				c.days[day] = max(c.days[day], at)
			}
		}
	}
	c.references.replace(report, ids)
	return nil
}
