// SPDX-FileCopyrightText: The certlink authors
// SPDX-License-Identifier: Apache-2.0

package sqlite

import (
	"bytes"
	"context"
	"database/sql"
	"errors"

	"github.com/certlink/certlink/relay/store"
)

// readPage runs a query for one row more than limit, with the columns seq,
// position, id, version, type, spec, raw, collection, form.
func readPage(ctx context.Context, tx *sql.Tx, c *clause, limit int) (page store.Page, err error) {
	rows, err := tx.QueryContext(ctx, c.text.String(), c.args...)
	if err != nil {
		return store.Page{}, err
	}
	defer func() { err = errors.Join(err, rows.Close()) }()
	size := 0
	var raw sql.RawBytes
	var at arena
	for rows.Next() {
		if len(page.Records) == limit || size >= store.MaxPageBytes {
			page.Next = page.Records[len(page.Records)-1].DateAdded.UnixMicro()
			return page, nil
		}
		var (
			r              store.Record
			added, version int64
		)
		if err := rows.Scan(&r.Seq, &added, &r.ID, &version, &r.Type, &r.SpecVersion, &raw, &r.Collection, &r.Form); err != nil {
			return store.Page{}, err
		}
		r.Raw = at.keep(raw)
		r.DateAdded, r.Version = instant(added), versionTime(version)
		size += len(r.Raw)
		page.Records = append(page.Records, r)
	}
	return page, rows.Err()
}

// arena keeps the contents of a page's records together.
type arena struct{ free []byte }

// arenaBytes holds about two hundred indicators.
const arenaBytes = 256 << 10

// keep copies what the driver will use again; nil stays nil.
func (a *arena) keep(b []byte) []byte {
	switch {
	case b == nil:
		return nil
	case len(b) > arenaBytes/4:
		return bytes.Clone(b)
	case len(b) > len(a.free):
		a.free = make([]byte, arenaBytes)
	}
	kept := a.free[:len(b):len(b)]
	copy(kept, b)
	a.free = a.free[len(b):]
	return kept
}
