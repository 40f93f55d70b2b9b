// SPDX-FileCopyrightText: The certlink authors
// SPDX-License-Identifier: Apache-2.0

package feed

import (
	"context"
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/certlink/certlink/relay/stix"
	"github.com/certlink/certlink/relay/store"
	"github.com/certlink/certlink/relay/taxii"
)

// skimEvery is how often an import whose quota is reached reads on for what takes back.
const skimEvery = time.Hour

// skim reads what an import has no room for, for what takes something back: notices of
// the peer, and revocations of what is stored. It moves no cursor: once there is room, all
// of it is read again, and what was done is done already.
func (w *walk) skim(ctx context.Context, client *taxii.Client, in *intake) error {
	in.chunk, in.size = nil, 0
	var trail taxii.Trail
	at := w.cursor
	for range maxPages {
		behind, more, err := w.skimPage(ctx, client, in, at)
		if err == nil && more {
			err = trail.Step(behind.query())
		}
		if err != nil || !more {
			return err
		}
		at = behind
	}
	return nil
}

func (w *walk) skimPage(ctx context.Context, client *taxii.Client, in *intake, at cursor) (behind cursor, more bool, err error) {
	page, err := client.Objects(ctx, *w.location, at.query())
	if err != nil {
		return at, false, err
	}
	defer page.Close()
	var revoked []stix.Object
	size := 0
	for {
		o, err := page.Read()
		var bad *stix.ObjectError
		switch {
		case errors.As(err, &bad):
			continue
		case err != nil && !errors.Is(err, io.EOF):
			return at, false, err
		}
		ended := err != nil
		if ended || len(revoked) == store.MaxSelectors || size > chunkBytes {
			if err := in.revokeKnown(ctx, revoked); err != nil {
				return at, false, err
			}
			revoked, size = nil, 0
		}
		if ended {
			return at.behind(ctx, page)
		}
		if list := in.drops(o); len(list) > 0 {
			if err := in.drop(ctx, list); err != nil {
				return at, false, err
			}
		}
		if o.Revoked {
			revoked = append(revoked, o)
			size += len(o.Raw)
		}
	}
}

// revokeKnown stores, of at most store.MaxSelectors revoked objects, those of which
// another version is stored and none is revoked yet: so the quota is exceeded by one
// version of each object at most.
func (in *intake) revokeKnown(ctx context.Context, objects []stix.Object) error {
	objects, err := in.accept(ctx, objects)
	if err != nil || len(objects) == 0 {
		return err
	}
	ids := make([]string, len(objects))
	for i, o := range objects {
		ids[i] = o.ID
	}
	done, err := in.cfg.Store.Revoked(ctx, in.stored, ids)
	if err != nil {
		return fmt.Errorf("reading revocations: %w", err)
	}
	known := map[string]bool{}
	q := store.Query{IDs: ids, NoContent: true, Limit: store.MaxRecords}
	for {
		page, err := in.cfg.Store.ListObjects(ctx, in.stored, q)
		if err != nil {
			return fmt.Errorf("listing objects: %w", err)
		}
		for _, r := range page.Records {
			known[r.ID] = true
		}
		if q.After = page.Next; q.After == 0 {
			break
		}
	}
	var news []stix.Object
	for _, o := range objects {
		if _, already := done[o.ID]; known[o.ID] && !already {
			news = append(news, o)
			known[o.ID] = false
		}
	}
	if len(news) == 0 {
		return nil
	}
	outcomes, err := in.keep(ctx, news, "")
	if err != nil {
		return fmt.Errorf("storing revocations: %w", err)
	}
	in.tally(ctx, news, outcomes)
	return nil
}
