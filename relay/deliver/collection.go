// SPDX-FileCopyrightText: The certlink authors
// SPDX-License-Identifier: Apache-2.0

package deliver

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"time"

	"github.com/certlink/certlink/relay/remote"
	"github.com/certlink/certlink/relay/taxii"
)

const (
	// maxContent is what is posted at once to a server that sets no bound of its own.
	maxContent = batchBytes + 1<<20
	// firstLook and longestLook are how often a server is asked for a status that is pending.
	firstLook   = 500 * time.Millisecond
	longestLook = 15 * time.Second
)

var (
	// errServer marks what a server of ours is to mend.
	errServer = errors.New("the server does not take objects")
	// errTooMuch: more than the server takes at once.
	errTooMuch = errors.New("more than the server takes at once")
)

// collection posts to a collection of a TAXII 2.1 server.
type collection struct {
	remote *remote.Client
	client *taxii.Client
	name   string

	location *taxii.Location
	// most is the server's max_content_length.
	most int64
	// search is what the present batch has cost so far.
	search search
	// vain is the number of batches in a row of which the server has not said once that it took anything.
	vain int
}

func newCollection(w *worker) (target, error) {
	conf := w.conf.TAXII
	r, err := remote.New(conf.Remote, remote.Options{Log: w.cfg.Log})
	if err != nil {
		return nil, err
	}
	c, err := taxii.NewClient(taxii.ClientConfig{HTTP: r.HTTP(), Server: r.Server() + r.Path(), Logger: w.cfg.Log})
	if err != nil {
		return nil, err
	}
	return &collection{remote: r, client: c, name: conf.Collection}, nil
}

func (c *collection) close() { c.remote.Close() }

// find looks the collection up, and what its server takes.
func (c *collection) find(ctx context.Context) error {
	if c.location != nil {
		return nil
	}
	l, err := c.client.Find(ctx, c.name)
	if err != nil {
		return fmt.Errorf("looking for the collection: %w", err)
	}
	if !l.CanWrite {
		return fmt.Errorf("%w: the collection is not writable for us", errServer)
	}
	root, err := c.client.Root(ctx, l)
	if err != nil {
		return fmt.Errorf("reading the API root: %w", err)
	}
	c.location, c.most = &l, maxContent
	if root.MaxContentLength > 0 {
		c.most = min(c.most, root.MaxContentLength)
	}
	return nil
}

// envelopeBytes is what an envelope has besides its objects.
const envelopeBytes = 64

// send implements target. When the batch has cost what it may cost, nothing more of it is posted.
func (c *collection) send(ctx context.Context, b batch, _ time.Time) (map[int]string, error) {
	if err := c.find(ctx); err != nil {
		return nil, err
	}
	size := int64(envelopeBytes)
	for _, r := range b {
		size += int64(len(r.Raw)) + 1
	}
	if size > c.most {
		return nil, errTooMuch
	}
	if c.over() {
		return nil, c.inVain(false)
	}
	begun := time.Now()
	refused, err := c.post(ctx, b)
	if ctx.Err() != nil {
		return nil, err
	}
	c.learn(err, time.Since(begun))
	if saysNothing(err) && c.distrusted() {
		err = c.inVain(true) // in the words in which it is told when the batch has ended
	}
	return refused, err
}

// post posts objects, and waits for the end of what is pending.
func (c *collection) post(ctx context.Context, b batch) (map[int]string, error) {
	own, cancel := context.WithTimeout(ctx, c.search.patience())
	defer cancel()
	s, err := c.client.Add(own, *c.location, b.raws())
	if told, ok := errors.AsType[*taxii.ProtocolError](err); ok && told.Status == http.StatusNotFound {
		c.location = nil // it may have moved
	}
	if err == nil {
		s, err = c.wait(own, s)
	}
	switch {
	case err == nil:
		return refusals(b, s)
	case own.Err() != nil && ctx.Err() == nil:
		return nil, &doubtError{errPending, fmt.Sprintf("for more than %v", c.search.patience())}
	}
	return nil, fmt.Errorf("posting objects: %w", err)
}

// wait asks for the end of what is pending, until ctx ends. A status that cannot be read is asked for again: to post
// once more costs the server more.
func (c *collection) wait(ctx context.Context, s taxii.Status) (taxii.Status, error) {
	for look := firstLook; s.Status == taxii.Pending; look = min(2*look, longestLook) {
		if s.ID == "" {
			return s, &doubtError{errForgotten, "it gives the status no id"}
		}
		timer := time.NewTimer(look)
		select {
		case <-ctx.Done():
			timer.Stop()
			return s, ctx.Err()
		case <-timer.C:
		}
		next, err := c.client.Status(ctx, *c.location, s.ID)
		if told, ok := errors.AsType[*taxii.ProtocolError](err); ok && told.Status == http.StatusNotFound {
			return s, &doubtError{errForgotten, "it answers " + told.Error()}
		}
		if err == nil {
			next.ID = s.ID
			s = next
		}
	}
	return s, nil
}

// addsUp tells whether the status of a POST that is done accounts for all of its objects
// (TAXII 2.1 section 4.3.1). A server may count versions of one object as one.
func addsUp(b batch, s taxii.Status) error {
	ids := map[string]bool{}
	for _, r := range b {
		ids[r.ID] = true
	}
	// Each is bounded before they are added.
	for _, n := range []int{s.SuccessCount, s.FailureCount, s.TotalCount} {
		if n < 0 || n > len(b) {
			return &doubtError{errSums, fmt.Sprintf("it counts %d of %d objects", n, len(b))}
		}
	}
	if s.PendingCount != 0 || s.SuccessCount+s.FailureCount != s.TotalCount || s.TotalCount < len(ids) {
		return &doubtError{errSums, fmt.Sprintf("of %d objects it counts %d, of these %d stored, %d refused and %d pending when all is done",
			len(b), s.TotalCount, s.SuccessCount, s.FailureCount, s.PendingCount)}
	}
	return nil
}

// refusals finds the objects that a status says have failed.
func refusals(b batch, s taxii.Status) (map[int]string, error) {
	if err := addsUp(b, s); err != nil {
		return nil, err
	}
	if s.FailureCount == 0 && len(s.Failures) == 0 {
		return nil, nil
	}
	refused, named := map[int]string{}, map[string]bool{}
	for _, f := range s.Failures {
		for i, r := range b {
			if r.ID == f.ID && (f.Version == "" || r.Version.IsZero() || f.Version == taxii.FormatTime(r.Version) || !repeated(b, r.ID)) {
				refused[i], named[r.ID] = "the server refuses it: "+quoted(f.Message), true
			}
		}
	}
	switch {
	case len(named) > s.FailureCount:
		return nil, &doubtError{errSums, fmt.Sprintf("of %d objects it counts %d refused, and names %d", len(b), s.FailureCount, len(named))}
	case len(refused) >= s.FailureCount:
		return refused, nil
	case s.SuccessCount == 0:
		for i := range b {
			if refused[i] == "" {
				refused[i] = "the server refuses it"
			}
		}
		return refused, nil
	}
	return nil, &doubtError{errUnnamed, fmt.Sprintf("%d of %d", s.FailureCount, len(b))}
}

// repeated tells whether a batch holds more than one version of an object.
func repeated(b batch, id string) bool {
	n := 0
	for _, r := range b {
		if r.ID == id {
			n++
		}
	}
	return n > 1
}

// verdict implements target: a server that is away is waited for, whatever it takes. One that is
// there, and whose answers do not say what became of objects, gets a batch maxUnsound times, and then its parts, to
// find the objects at fault: what it may have stored or not is a dead letter in the end, and does not hold up what follows.
func (c *collection) verdict(err error, _ int) verdict {
	if errors.Is(err, errTooMuch) {
		return smaller
	}
	if !saysNothing(err) {
		return again
	}
	if c.over() {
		return hopeless
	}
	if _, ok := errors.AsType[*taxii.ProtocolError](err); ok {
		return smaller
	}
	if !errors.Is(err, errUnnamed) && !c.search.split && c.search.vain < maxUnsound {
		return again
	}
	c.search.split = true
	return apart
}
