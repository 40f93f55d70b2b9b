// SPDX-FileCopyrightText: The certlink authors
// SPDX-License-Identifier: Apache-2.0

package feed

import (
	"context"
	"fmt"
	"time"

	"github.com/certlink/certlink/relay/stix"
	"github.com/certlink/certlink/relay/store"
)

// drops are the versions that a notice asks us to drop; none for what is no notice, or
// not one of the peer that sent it: nobody withdraws what another shares.
func (in *intake) drops(o stix.Object) []dropped {
	if in.peer == "" || o.Type != "note" {
		return nil
	}
	var note struct {
		Author     string `json:"created_by_ref"`
		Extensions map[string]struct {
			Withdrawn []dropped `json:"withdrawn"`
		} `json:"extensions"`
	}
	sender, ok := in.live.Load().known[in.peer]
	if !ok || !decodeInto(o.Raw, &note) || note.Author != identityID(sender.TrustDomain) {
		return nil
	}
	list := note.Extensions[extensionNotice].Withdrawn
	return list[:min(len(list), announceAtOnce)]
}

// drop deletes versions that the peer has withdrawn. What came before is stored first;
// the notice itself, and the cursor behind it, are stored after: a crash in between
// reads the notice again.
func (in *intake) drop(ctx context.Context, list []dropped) error {
	if err := in.finish(ctx, ""); err != nil {
		return err
	}
	return in.erase(ctx, list)
}

// erase deletes versions from the import.
func (in *intake) erase(ctx context.Context, list []dropped) error {
	var total int64
	defer func() { in.erased(total) }()
	for _, d := range list {
		q := store.Query{IDs: []string{d.ID}, Limit: store.MaxSelectors}
		var err error
		if q.Versions.At, err = in.versions(ctx, d); err == nil && len(q.Versions.At) > 0 {
			var n int
			n, err = in.cfg.Store.DeleteObjects(ctx, in.stored, q)
			total += int64(n)
		}
		if err != nil {
			return fmt.Errorf("dropping what was withdrawn: %w", err)
		}
	}
	in.cfg.Log.InfoContext(ctx, "a peer has withdrawn objects", "feed", in.name, "peer", in.peer, "objects", total)
	return nil
}

// erased counts what was deleted, also before a failure.
func (in *intake) erased(total int64) {
	in.mu.Lock()
	in.now.Stored -= total
	in.now.Withdrawn += total
	in.mu.Unlock()
	in.counts.objects.WithLabelValues("withdrawn").Add(float64(total))
}

// versions says by what the store selects a version; none for what cannot be one.
func (in *intake) versions(ctx context.Context, d dropped) (at []time.Time, err error) {
	if _, ok := stix.SplitID(d.ID); !ok {
		return nil, nil
	}
	if d.Version != "" {
		if version, err := stix.ParseTime(d.Version); err == nil {
			at = append(at, version)
		}
		return at, nil
	}
	// For an object without version the time of its adding stands; one with versions is not meant.
	page, err := in.cfg.Store.ListObjects(ctx, in.stored, store.Query{IDs: []string{d.ID}, NoContent: true, Limit: store.MaxSelectors})
	for _, r := range page.Records {
		if r.Version.IsZero() {
			at = append(at, r.DateAdded)
		}
	}
	return at, err
}
