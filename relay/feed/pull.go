// SPDX-FileCopyrightText: The certlink authors
// SPDX-License-Identifier: Apache-2.0

package feed

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"

	"github.com/certlink/certlink/relay/stix"
	"github.com/certlink/certlink/relay/store"
	"github.com/certlink/certlink/relay/taxii"
)

const (
	// pageObjects is the number of objects asked for in a page.
	pageObjects = 1000
	// chunkObjects and chunkBytes bound what is in memory of a page, however many
	// objects the server sends.
	chunkObjects = 1000
	chunkBytes   = 4 << 20
	// maxPages is the number of pages of one pull, and maxEmpty that of pages in a
	// row without an object. A server that never ends costs this much in an interval.
	maxPages = 10_000
	maxEmpty = 10
)

var (
	// errNoProgress: the server says that there is more, and gives the same again.
	errNoProgress = errors.New("it says that there is more, but the page does not move on")
	// errQuota ends a pull at maxObjects. It is no failure.
	errQuota = errors.New("the quota is reached")
)

// pull reads the collection from where the last pull has ended to its end.
func (i *importer) pull(ctx context.Context) error {
	client, err := taxii.NewClient(taxii.ClientConfig{
		HTTP: i.cfg.Client(i.peer.TrustDomain), Server: "https://" + i.peer.TrustDomain, Logger: i.cfg.Log,
	})
	if err != nil {
		return err
	}
	empty := 0
	for range maxPages {
		got, more, err := i.page(ctx, client)
		switch {
		case errors.Is(err, errQuota):
			i.reached(true)
			return nil
		case err != nil:
			return err
		case !more:
			i.reached(false)
			return nil
		}
		if empty++; got > 0 {
			empty = 0
		}
		if empty > maxEmpty {
			return errNoProgress
		}
		i.show(false)
	}
	return nil
}

func (i *importer) reached(quota bool) {
	i.mu.Lock()
	defer i.mu.Unlock()
	i.now.QuotaReached = quota
}

// page reads and stores one page. It returns how many objects it had, refused
// ones too, and whether there are more pages.
func (i *importer) page(ctx context.Context, client *taxii.Client) (got int, more bool, err error) {
	page, err := i.open(ctx, client)
	if err != nil {
		return 0, false, err
	}
	defer page.Close()
	var chunk []store.Object
	size := 0
	for ; ; got++ {
		o, err := page.Read()
		var bad *stix.ObjectError
		switch {
		case errors.Is(err, io.EOF):
			more, err := i.endPage(ctx, page, chunk)
			return got, more, err
		case errors.As(err, &bad):
			i.refuse(ctx, "refused", err)
			continue
		case err != nil:
			return got, false, err
		}
		if len(chunk) == chunkObjects || size+len(o.Raw) > chunkBytes {
			if err := i.put(ctx, chunk, ""); err != nil {
				return got, false, err
			}
			chunk, size = chunk[:0], 0
		}
		chunk = append(chunk, store.Object{ID: o.ID, Type: o.Type, SpecVersion: o.SpecVersion, Version: o.Version, Raw: o.Raw})
		size += len(o.Raw)
	}
}

// endPage stores the last part of a page with the cursor behind it, in one
// transaction. Without news it writes nothing.
func (i *importer) endPage(ctx context.Context, page *taxii.Page, chunk []store.Object) (more bool, err error) {
	behind, more := i.cursor.behind(page)
	if more && behind == i.cursor {
		return false, errNoProgress
	}
	if len(chunk) > 0 || behind != i.cursor {
		if err := i.put(ctx, chunk, behind.text()); err != nil {
			return false, err
		}
	}
	i.cursor = behind
	return more, nil
}

// open asks for the page at the cursor. Where the collection is, is looked up
// once, and again when it is not there any more. A cursor that the server does
// not take any more costs a walk from its beginning; what is stored already is
// a duplicate.
func (i *importer) open(ctx context.Context, client *taxii.Client) (*taxii.Page, error) {
	for attempt := 0; ; attempt++ {
		if i.location == nil {
			l, err := client.Find(ctx, i.conf.Collection)
			if err != nil {
				return nil, err
			}
			if !l.CanRead {
				return nil, taxii.Forbidden("the collection is not readable for us")
			}
			i.location = &l
		}
		page, err := client.Objects(ctx, *i.location, taxii.PageQuery{AddedAfter: i.cursor.After, Next: i.cursor.Next, Limit: pageObjects})
		var told *taxii.ProtocolError
		if err == nil || attempt > 1 || !errors.As(err, &told) {
			return page, err
		}
		switch {
		case told.Status == http.StatusNotFound:
			i.location = nil
		case told.Status == http.StatusBadRequest && i.cursor.Next != "":
			i.cursor.Next = ""
		default:
			return nil, err
		}
	}
}

// put stores objects, as many as the quota has room for. The cursor is stored
// with the last of them only if all are.
func (i *importer) put(ctx context.Context, objects []store.Object, cursor string) error {
	for {
		part, text := objects, cursor
		if room := max(0, i.maxObjects()-i.stored()); int64(len(part)) > room {
			part, text = part[:room], ""
		}
		if len(part) == 0 && len(objects) > 0 {
			return errQuota
		}
		outcomes, err := i.cfg.Store.PutObjects(ctx, importName(i.conf.Name), part, text)
		if err != nil {
			return fmt.Errorf("storing objects: %w", err)
		}
		i.tally(ctx, part, outcomes)
		if objects = objects[len(part):]; len(objects) == 0 {
			return nil
		}
	}
}

func (i *importer) stored() int64 {
	i.mu.Lock()
	defer i.mu.Unlock()
	return i.now.Stored
}

// tally counts what became of objects.
func (i *importer) tally(ctx context.Context, objects []store.Object, outcomes []store.Outcome) {
	var added, duplicate int64
	for n, outcome := range outcomes {
		switch outcome {
		case store.Added:
			added++
		case store.Duplicate:
			duplicate++
		case store.Forked:
			i.refuse(ctx, "forked", fmt.Errorf("%q: this version is stored with other content", objects[n].ID))
		}
	}
	i.mu.Lock()
	i.now.Stored += added
	i.mu.Unlock()
	i.metrics.pulled.WithLabelValues(i.conf.Name, "added").Add(float64(added))
	i.metrics.pulled.WithLabelValues(i.conf.Name, "duplicate").Add(float64(duplicate))
}

// refuse counts an object that is not kept.
func (i *importer) refuse(ctx context.Context, outcome string, reason error) {
	i.mu.Lock()
	i.now.Refused++
	i.mu.Unlock()
	i.metrics.pulled.WithLabelValues(i.conf.Name, outcome).Inc()
	i.cfg.Log.DebugContext(ctx, "object of an import not kept", "feed", i.conf.Name, "peer", i.peer.Name, "outcome", outcome, "reason", reason)
}
