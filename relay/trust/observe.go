// SPDX-FileCopyrightText: The certlink authors
// SPDX-License-Identifier: Apache-2.0

package trust

import (
	"context"
	"errors"
	"time"

	"github.com/certlink/certlink/relay/identity"
)

// observe notes a snapshot to be recorded. It does not block.
func (k *Keeper) observe(now *identity.Snapshot) {
	k.mu.Lock()
	k.waiting = append(k.waiting, now)
	k.waiting = k.waiting[max(0, len(k.waiting)-maxWaiting):]
	k.mu.Unlock()
	select {
	case k.poke <- struct{}{}:
	default:
	}
}

// Run records what changes until the context ends. What could not be stored is
// tried again; what a crash cuts off is found at the next start.
func (k *Keeper) Run(ctx context.Context) error {
	retry := time.NewTicker(retryEvery)
	defer retry.Stop()
	said := ""
	for {
		err := k.settle(ctx)
		switch {
		case err == nil:
			said = ""
		case ctx.Err() == nil && said != err.Error():
			said = err.Error()
			k.cfg.Log.Error("a change of trust is not recorded yet", "error", err)
		}
		select {
		case <-ctx.Done():
			return nil
		case <-k.poke:
		case <-retry.C:
		}
	}
}

// settle records all snapshots that wait, in their order.
func (k *Keeper) settle(ctx context.Context) error {
	k.writing.Lock()
	defer k.writing.Unlock()
	return k.settleLocked(ctx)
}

func (k *Keeper) settleLocked(ctx context.Context) error {
	for {
		k.mu.Lock()
		if len(k.waiting) == 0 {
			k.mu.Unlock()
			return nil
		}
		next := k.waiting[0]
		k.mu.Unlock()
		if err := k.record(ctx, next); err != nil {
			return err
		}
		k.mu.Lock()
		if len(k.waiting) > 0 && k.waiting[0] == next { // else it made room for newer ones
			k.waiting = k.waiting[1:]
		}
		k.mu.Unlock()
	}
}

// present records all that waits, and the present snapshot, which may be on its way,
// so that what follows is recorded after it. The caller holds writing.
func (k *Keeper) present(ctx context.Context) (*identity.Snapshot, error) {
	if err := k.settleLocked(ctx); err != nil {
		return nil, err
	}
	now := k.cfg.Identity.Current()
	if now == nil {
		return nil, errors.New("recording a change of trust: no configuration is live yet")
	}
	return now, k.record(ctx, now)
}

// record stores what a snapshot has that the record has not. What was learned under
// another base, or of a peer that is gone, is forgotten in the same step. The caller
// holds writing.
func (k *Keeper) record(ctx context.Context, now *identity.Snapshot) error {
	records := k.state.differences(now, k.fresh)
	var forget []string
	at := k.cfg.Clock().UTC().Truncate(time.Microsecond)
	for i := range records {
		records[i].At = at
		if forgets(records[i], now) {
			forget = append(forget, records[i].Subject)
		}
	}
	if len(records) > 0 {
		if err := k.append(ctx, records, nil, forget); err != nil {
			return err
		}
	}
	k.fresh = false
	return nil
}

// forgets tells whether a record ends what was learned of its subject.
func forgets(r Record, now *identity.Snapshot) bool {
	switch r.What {
	case BundleChanged, PeerAdded, PeerRemoved:
		trust, _ := now.PeerTrust(r.Subject)
		return !trust.Learned
	default:
		return false
	}
}
