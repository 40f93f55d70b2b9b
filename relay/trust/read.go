// SPDX-FileCopyrightText: The certlink authors
// SPDX-License-Identifier: Apache-2.0

package trust

import (
	"context"
	"fmt"

	"github.com/certlink/certlink/relay/store"
)

// pageSize is how many records are read from the store at once.
const pageSize = 1024

// Page is a part of the record, the oldest first.
type Page struct {
	Records []Record `json:"records"`
	// Next continues when put into store.TrustQuery.After; zero at the end.
	Next int64 `json:"next,omitempty"`
	// Total is the number of all records, Last the SHA-256, hexadecimal, of the newest
	// one: noted elsewhere, it shows later that nothing is missing.
	Total int64  `json:"total"`
	Last  string `json:"last,omitempty"`
	// Damaged says where the chain breaks first; nil when it is whole.
	Damaged *Damage `json:"damaged,omitempty"`
}

// Damage of the record.
type Damage struct {
	// Seq of the record at which it was noticed, and what is wrong.
	Seq    int64  `json:"seq"`
	Reason string `json:"reason"`
}

// Records returns a page of the record. The whole chain is verified each time.
func (k *Keeper) Records(ctx context.Context, q store.TrustQuery) (Page, error) {
	if q.Limit < 1 || q.Limit > store.MaxTrustRecords {
		return Page{}, fmt.Errorf("listing changes of trust: limit %d is not within 1 to %d", q.Limit, store.MaxTrustRecords)
	}
	page := Page{Records: []Record{}}
	var c chain
	damage, err := k.follow(ctx, &c, func(r Record) {
		if r.Seq <= q.After || q.Subject != "" && r.Subject != q.Subject {
			return
		}
		if len(page.Records) < q.Limit {
			page.Records = append(page.Records, r)
		} else if page.Next == 0 {
			page.Next = page.Records[q.Limit-1].Seq
		}
	})
	if err != nil {
		return Page{}, err
	}
	page.Damaged, page.Total, page.Last = damage, c.last, c.digest
	if damage != nil {
		k.metrics.damaged.Set(1)
	}
	return page, nil
}

func (k *Keeper) walk(ctx context.Context, each func(Record)) (*Damage, error) {
	return k.follow(ctx, &chain{}, each)
}

// follow reads the record from its beginning along a chain. Records that can be
// read are told, and the first damage is returned.
func (k *Keeper) follow(ctx context.Context, c *chain, each func(Record)) (*Damage, error) {
	var damage *Damage
	q := store.TrustQuery{Limit: pageSize}
	for {
		page, err := k.cfg.Store.ListTrust(ctx, q)
		if err != nil {
			return nil, fmt.Errorf("reading the record of trust changes: %w", err)
		}
		for _, stored := range page.Records {
			r, err := c.next(stored)
			if err != nil && damage == nil {
				damage = &Damage{Seq: stored.Seq, Reason: err.Error()}
			}
			if r.What != "" {
				each(r)
			}
		}
		if q.After = page.Next; q.After == 0 {
			return damage, nil
		}
	}
}
