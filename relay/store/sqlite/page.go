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
// position, id, version, type, spec, raw, collection, form; type, collection and form are
// numbers of words, 0 for none.
func readPage(ctx context.Context, tx *sql.Tx, c *clause, limit int) (page store.Page, err error) {
	rows, err := tx.QueryContext(ctx, c.text.String(), c.args...)
	if err != nil {
		return store.Page{}, err
	}
	defer func() { err = errors.Join(err, rows.Close()) }()
	size := 0
	var raw sql.RawBytes
	var at arena
	known := glossary{tx: tx, words: map[int64]string{0: ""}}
	for rows.Next() {
		if len(page.Records) == limit || size >= store.MaxPageBytes {
			page.Next = page.Records[len(page.Records)-1].DateAdded.UnixMicro()
			return page, nil
		}
		var (
			r                     store.Record
			added, version        int64
			typ, collection, form int64
		)
		if err := rows.Scan(&r.Seq, &added, &r.ID, &version, &typ, &r.SpecVersion, &raw, &collection, &form); err != nil {
			return store.Page{}, err
		}
		r.Raw = at.keep(raw)
		for _, w := range [...]struct {
			id int64
			to *string
		}{{typ, &r.Type}, {collection, &r.Collection}, {form, &r.Form}} {
			if *w.to, err = known.word(ctx, w.id); err != nil {
				return store.Page{}, err
			}
		}
		r.DateAdded, r.Version = instant(added), versionTime(version)
		size += len(r.Raw)
		page.Records = append(page.Records, r)
	}
	return page, rows.Err()
}

// glossary turns the numbers of words back, each looked up once for a page: cheaper
// than joining them to every row.
type glossary struct {
	tx    *sql.Tx
	words map[int64]string
}

func (g *glossary) word(ctx context.Context, id int64) (string, error) {
	word, ok := g.words[id]
	if ok {
		return word, nil
	}
	if err := g.tx.QueryRowContext(ctx, "SELECT word FROM words WHERE id = ?", id).Scan(&word); err != nil {
		return "", err
	}
	g.words[id] = word
	return word, nil
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
