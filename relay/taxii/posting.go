// SPDX-FileCopyrightText: The certlink authors
// SPDX-License-Identifier: Apache-2.0

package taxii

import (
	"context"
	"time"

	"github.com/google/uuid"

	"github.com/certlink/certlink/relay/stix"
	"github.com/certlink/certlink/relay/store"
)

const (
	// patience is how long a POST waits for the store before it answers that its
	// objects are pending.
	patience = 2 * time.Second
	// storeTimeout bounds the store's work on one POST.
	storeTimeout = 5 * time.Minute
)

// posting is a POST whose body was understood.
type posting struct {
	received time.Time
	total    int
	objects  []stix.Object
	failures []StatusDetail
}

// stored is what became of the objects of a posting.
type stored struct {
	outcomes []store.Outcome
	err      error
}

// keep stores the objects of a posting, and returns its status: complete, or pending
// when the store takes long; then GET of the status tells the end. The store's work
// goes on when the caller has gone. The slot is given back when it has ended.
func (h *handler) keep(c *call, collection string, p posting, release func()) (Status, error) {
	done := make(chan stored, 1)
	ctx, cancel := context.WithTimeout(context.WithoutCancel(c.Context()), storeTimeout)
	go func() {
		defer cancel()
		defer release()
		outcomes, err := h.Backend.Add(ctx, collection, p.objects)
		done <- stored{outcomes, err}
	}()
	id := uuid.NewString()
	timer := time.NewTimer(patience)
	defer timer.Stop()
	select {
	case end := <-done:
		if end.err != nil {
			return Status{}, end.err
		}
		s := h.complete(id, p, end)
		h.statuses.put(c.caller, s, p.received)
		return s, nil
	case <-timer.C:
		s := p.pending(id)
		h.statuses.put(c.caller, s, p.received)
		go func() { h.statuses.replace(h.complete(id, p, <-done)) }()
		return s, nil
	}
}

// pending is the status while the store works.
func (p posting) pending(id string) Status {
	s := p.status(id, Pending)
	s.PendingCount = len(p.objects)
	for _, o := range p.objects[:min(len(p.objects), maxDetailsEach)] {
		s.Pendings = append(s.Pendings, p.detail(o, ""))
	}
	return s.withFailures(p.failures)
}

// complete is the status when the store is done.
func (h *handler) complete(id string, p posting, end stored) Status {
	s := p.status(id, Complete)
	failures := p.failures
	for i, o := range p.objects {
		switch {
		case end.err != nil:
			failures = append(failures, p.detail(o, "it was not stored: send it again"))
		case end.outcomes[i] == store.Forked:
			failures = append(failures, p.detail(o, "this version of the object is stored with other content: a change needs a newer \"modified\""))
		default:
			s.SuccessCount++
			if len(s.Successes) < maxDetailsEach {
				s.Successes = append(s.Successes, p.detail(o, ""))
			}
		}
	}
	h.metrics.received.WithLabelValues("kept").Add(float64(s.SuccessCount))
	h.metrics.received.WithLabelValues("refused").Add(float64(len(failures)))
	return s.withFailures(failures)
}

func (p posting) status(id, state string) Status {
	return Status{ID: id, Status: state, RequestTimestamp: FormatTime(p.received), TotalCount: p.total}
}

func (s Status) withFailures(failures []StatusDetail) Status {
	s.FailureCount = len(failures)
	s.Failures = failures[:min(len(failures), maxDetailsEach)]
	return s
}

func (p posting) detail(o stix.Object, message string) StatusDetail {
	version := p.received
	if !o.Version.IsZero() {
		version = o.Version
	}
	return StatusDetail{ID: o.ID, Version: FormatTime(version), Message: message}
}
