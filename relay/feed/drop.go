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
	var total int64
	for _, d := range list {
		q := store.Query{IDs: []string{d.ID}, Limit: store.MaxSelectors}
		if _, ok := stix.SplitID(d.ID); !ok {
			continue
		}
		if d.Version != "" {
			at, err := stix.ParseTime(d.Version)
			if err != nil {
				continue
			}
			q.Versions.At = []time.Time{at}
		}
		n, err := in.cfg.Store.DeleteObjects(ctx, in.stored, q)
		if err != nil {
			return fmt.Errorf("dropping what was withdrawn: %w", err)
		}
		total += int64(n)
	}
	in.mu.Lock()
	in.now.Stored -= total
	in.now.Withdrawn += total
	in.mu.Unlock()
	in.counts.objects.WithLabelValues("withdrawn").Add(float64(total))
	in.cfg.Log.InfoContext(ctx, "a peer has withdrawn objects", "feed", in.name, "peer", in.peer, "objects", total)
	return nil
}
