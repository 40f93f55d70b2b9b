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
	// pendingPatience is how long a server may work on what was posted, and
	// firstLook and longestLook how often it is asked.
	pendingPatience = 10 * time.Minute
	firstLook       = 500 * time.Millisecond
	longestLook     = 15 * time.Second
	// maxUnsound is how many answers in a row whose counts do not account for what was sent a server may give
	// before what was sent is halved, to find the objects for which it happens.
	maxUnsound = 3
)

var (
	// errServer marks what a server of ours is to mend.
	errServer = errors.New("the server does not take objects")
	// errTooMuch: more than the server takes at once.
	errTooMuch = errors.New("more than the server takes at once")
	// errSums: the server's answer does not say what became of all of the objects.
	errSums = errors.New("the server's status does not add up")
	// errUnnamed: some were refused, and the server does not say which.
	errUnnamed = errors.New("the server refuses objects and does not say which")
)

// collection posts to a collection of a TAXII 2.1 server.
type collection struct {
	remote *remote.Client
	client *taxii.Client
	name   string

	location *taxii.Location
	// most is the server's max_content_length.
	most int64
	// unsound counts the answers in a row whose counts do not account for what was sent.
	unsound int
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

// send implements target.
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
	s, err := c.client.Add(ctx, *c.location, b.raws())
	if err == nil {
		s, err = c.wait(ctx, s)
	}
	if err != nil {
		if told, ok := errors.AsType[*taxii.ProtocolError](err); ok && told.Status == http.StatusNotFound {
			c.location = nil // it may have moved
		}
		return nil, fmt.Errorf("posting objects: %w", err)
	}
	refused, err := refusals(b, s)
	if errors.Is(err, errSums) {
		c.unsound++
	} else {
		c.unsound = 0
	}
	return refused, err
}

// wait asks for the end of what is pending. A server that has forgotten it gets the
// objects again.
func (c *collection) wait(ctx context.Context, s taxii.Status) (taxii.Status, error) {
	ctx, cancel := context.WithTimeout(ctx, pendingPatience)
	defer cancel()
	for look := firstLook; s.Status == taxii.Pending; look = min(2*look, longestLook) {
		timer := time.NewTimer(look)
		select {
		case <-ctx.Done():
			timer.Stop()
			return s, fmt.Errorf("%w: what was posted is pending for too long", errServer)
		case <-timer.C:
		}
		next, err := c.client.Status(ctx, *c.location, s.ID)
		if err != nil {
			return s, fmt.Errorf("reading status: %w", err)
		}
		s = next
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
			return fmt.Errorf("%w: it counts %d of %d objects", errSums, n, len(b))
		}
	}
	if s.PendingCount != 0 || s.SuccessCount+s.FailureCount != s.TotalCount || s.TotalCount < len(ids) {
		return fmt.Errorf("%w: of %d objects it counts %d, of these %d stored, %d refused and %d pending when all is done",
			errSums, len(b), s.TotalCount, s.SuccessCount, s.FailureCount, s.PendingCount)
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
	refused := map[int]string{}
	for _, f := range s.Failures {
		for i, r := range b {
			if r.ID == f.ID && (f.Version == "" || r.Version.IsZero() || f.Version == taxii.FormatTime(r.Version) || !repeated(b, r.ID)) {
				refused[i] = "the server refuses it: " + quoted(f.Message)
			}
		}
	}
	if len(refused) < s.FailureCount {
		if len(b) == 1 {
			return map[int]string{0: "the server refuses it"}, nil
		}
		return nil, errUnnamed
	}
	return refused, nil
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
// there, and whose counts do not add up, gets each part maxUnsound times: what it may have
// stored or not is a dead letter in the end, and does not hold up what follows.
func (c *collection) verdict(err error, _ int) verdict {
	switch {
	case errors.Is(err, errTooMuch):
		return smaller
	case errors.Is(err, errUnnamed):
		return apart
	case errors.Is(err, errSums):
		if c.unsound < maxUnsound {
			return again
		}
		c.unsound = 0 // each part has as many
		return apart
	}
	told, ok := errors.AsType[*taxii.ProtocolError](err)
	if !ok {
		return again
	}
	switch told.Status {
	case http.StatusRequestEntityTooLarge, http.StatusBadRequest, http.StatusUnprocessableEntity:
		return smaller
	}
	return again
}
