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
)

// chunkObjects and chunkBytes bound what is in memory of what comes in, however many
// objects a server sends.
const (
	chunkObjects = 5000
	chunkBytes   = 8 << 20
	// askEvery so many objects the store is asked how many it wants at once.
	askEvery = 50
)

// errQuota ends a pull at the quota. It is no failure.
var errQuota = errors.New("the quota is reached")

// intake stores what one pull brings, in transactions of a bounded size. What was
// given is durable once finish has returned; a crash before leaves a part of it, and
// what is given once more is a duplicate.
type intake struct {
	*puller
	chunk []stix.Object
	size  int
	// rested is when the intake last went on after it had let messages go first; zero before.
	rested time.Time
	// admitted are the types beyond STIX 2.1 that the collection may have, as far as they were met.
	admitted map[string]bool
	// debt is what a receipt must say; nil where none is sent.
	debt *debt
	// duplicates counts the objects that were here already.
	duplicates int64
}

// readAll takes everything that next returns until io.EOF, and returns how many
// objects these were, refused ones too. An object that is refused is counted.
func (in *intake) readAll(ctx context.Context, next func() (stix.Object, error)) (got int, err error) {
	for ; ; got++ {
		o, err := next()
		var bad *stix.ObjectError
		switch {
		case errors.Is(err, io.EOF):
			return got, nil
		case errors.As(err, &bad):
			in.refuse(ctx, "refused", err)
			in.debt.oweInvalid(bad)
			continue
		case err != nil:
			return got, err
		}
		if err := in.take(ctx, o); err != nil {
			return got, err
		}
	}
}

// take keeps one object for the next transaction.
func (in *intake) take(ctx context.Context, o stix.Object) error {
	if list := in.drops(o); len(list) > 0 {
		if err := in.drop(ctx, list); err != nil {
			return err
		}
	}
	if in.full() || in.size+len(o.Raw) > chunkBytes {
		if err := in.put(ctx, in.chunk, ""); err != nil {
			return err
		}
		in.chunk, in.size = in.chunk[:0], 0
	}
	in.chunk = append(in.chunk, o)
	in.size += len(o.Raw)
	return nil
}

// full tells whether a transaction has its objects. The store is asked now and then: it
// answers under the lock of its writers.
func (in *intake) full() bool {
	n := len(in.chunk)
	return n >= chunkObjects || n > 0 && n%askEvery == 0 && n >= in.pace()
}

// finish stores what is left, and the cursor behind it in the same transaction. An
// empty cursor leaves the stored one; without objects and cursor nothing is written.
func (in *intake) finish(ctx context.Context, cursor string) error {
	if len(in.chunk) == 0 && cursor == "" {
		return nil
	}
	err := in.put(ctx, in.chunk, cursor)
	in.chunk, in.size = in.chunk[:0], 0
	return err
}

// put stores objects, as many as the quota has room for. The cursor is stored
// with the last of them only if all are.
func (in *intake) put(ctx context.Context, objects []stix.Object, cursor string) error {
	objects, err := in.ofAdmittedTypes(ctx, objects)
	if err != nil {
		return err
	}
	if objects, err = in.accept(ctx, objects); err != nil {
		return err
	}
	for {
		part, text := objects, cursor
		if n := in.pace(); len(part) > n {
			part, text = part[:n], ""
		}
		if room := max(0, in.quota-in.holds()); int64(len(part)) > room {
			part, text = part[:room], ""
		}
		if len(part) == 0 && len(objects) > 0 {
			return errQuota
		}
		outcomes, err := in.keep(ctx, part, text)
		if err != nil {
			return fmt.Errorf("storing objects: %w", err)
		}
		in.tally(ctx, part, outcomes)
		in.rest(ctx)
		if objects = objects[len(part):]; len(objects) == 0 {
			return nil
		}
	}
}

// The rest of an intake while messages are exchanged: restFor times as long as it has
// worked since the last one, so that two thirds of its processor are free, and at most
// longestRest. It is three times as long while there was FLASH a moment ago.
const (
	restFor     = 2
	flashFor    = 6
	longestRest = 250 * time.Millisecond
)

// rest lets messages go first. While they are exchanged they need the processor and the disk as
// well as the store's turn, and so does the peer, which has less to send meanwhile; and a FLASH that is
// under way is waited for. That wait is no work, for which the next rest would be longer.
func (in *intake) rest(ctx context.Context) {
	worked := time.Since(in.rested)
	if in.pace() < store.MaxRecords && !in.rested.IsZero() {
		rest := restFor * worked
		if in.cfg.Preempt.Lately() {
			rest = flashFor * worked
		}
		timer := time.NewTimer(min(longestRest, rest))
		defer timer.Stop()
		select {
		case <-ctx.Done():
		case <-timer.C:
		}
	}
	in.cfg.Preempt.GiveWay(ctx)
	in.rested = time.Now()
}

// pace is the number of objects for one transaction now.
func (in *intake) pace() int {
	if p, ok := in.cfg.Store.(store.Pacer); ok {
		return p.Pace()
	}
	return store.MaxRecords
}

// holds is how many object versions are stored.
func (in *intake) holds() int64 {
	in.mu.Lock()
	defer in.mu.Unlock()
	return in.now.Stored
}

// tally counts what became of objects.
func (in *intake) tally(ctx context.Context, objects []stix.Object, outcomes []store.Outcome) {
	var added, duplicate int64
	for n, outcome := range outcomes {
		switch outcome {
		case store.Added:
			added++
		case store.Duplicate:
			duplicate++
		case store.Forked:
			if in.peer != "" {
				continue // it is in quarantine
			}
			in.refuse(ctx, "forked", fmt.Errorf("%q: this version is stored with other content", objects[n].ID))
		}
	}
	in.mu.Lock()
	in.now.Stored += added
	in.progress.objects += added + duplicate
	in.mu.Unlock()
	in.duplicates += duplicate
	in.counts.objects.WithLabelValues("added").Add(float64(added))
	in.counts.objects.WithLabelValues("duplicate").Add(float64(duplicate))
	if added > 0 && in.fetched {
		in.exporter.wake()
	}
	in.show(false)
}

// refuse counts an object that is not kept.
func (in *intake) refuse(ctx context.Context, outcome string, reason error) {
	in.mu.Lock()
	in.now.Refused++
	in.progress.objects++
	in.mu.Unlock()
	in.counts.objects.WithLabelValues(outcome).Inc()
	in.cfg.Log.DebugContext(ctx, "object of a pull not kept", "collection", in.stored, "outcome", outcome, "reason", reason)
}

// reached says how much of the whole has come; a total of zero is not known.
func (in *intake) reached(done, total int64) {
	in.mu.Lock()
	defer in.mu.Unlock()
	in.progress.done, in.progress.total = done, max(0, total)
}
