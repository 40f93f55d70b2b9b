// SPDX-FileCopyrightText: The certlink authors
// SPDX-License-Identifier: Apache-2.0

package sqlite

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"slices"

	"github.com/certlink/certlink/relay/store"
)

// readPage runs a query for one row more than limit, with the columns seq,
// position, id, version, type, spec, raw, collection, form; type, collection and form are
// numbers of words, 0 for none.
func readPage(ctx context.Context, tx *transaction, c *clause, limit int) (page store.Page, err error) {
	rows, err := tx.QueryContext(ctx, c.text.String(), c.args...)
	if err != nil {
		return store.Page{}, err
	}
	defer func() { err = errors.Join(err, rows.Close()) }()
	size := 0
	var raw blob
	var spec sql.RawBytes
	var sameSpec string // of nearly all records
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
		if err := rows.Scan(&r.Seq, &added, &r.ID, &version, &typ, &spec, &raw, &collection, &form); err != nil {
			return store.Page{}, err
		}
		if string(spec) != sameSpec {
			sameSpec = string(spec)
		}
		r.Raw, r.SpecVersion = raw, sameSpec
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
		if len(page.Records) == fewRecords {
			page.Records = slices.Grow(page.Records, limit-fewRecords) // a long page: to grow it step by step costs copies
		}
		page.Records = append(page.Records, r)
	}
	return page, rows.Err()
}

// fewRecords is the length of a page that is not yet taken for a long one.
const fewRecords = 256

// blob takes content over from the driver, which makes new bytes for each row and keeps
// none: a test holds it to that. nil stays nil.
type blob []byte

// Scan implements sql.Scanner.
func (b *blob) Scan(from any) error {
	switch v := from.(type) {
	case nil:
		*b = nil
	case []byte:
		*b = v
	default:
		return fmt.Errorf("a content is of type %T", from)
	}
	return nil
}

// glossary turns the numbers of words back, each looked up once for a page: cheaper
// than joining them to every row.
type glossary struct {
	tx    *transaction
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
