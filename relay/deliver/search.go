// SPDX-FileCopyrightText: The certlink authors
// SPDX-License-Identifier: Apache-2.0

package deliver

import (
	"errors"
	"net/http"
	"time"

	"github.com/certlink/certlink/relay/taxii"
)

// What a server may cost that answers, and whose answers do not say that it has taken anything. One object for which
// it does so is found in 3 + 2·8 posts among 256.
const (
	// maxUnsound is how many of these answers in a row a batch gets before it is halved, to find the objects at fault.
	maxUnsound = 3
	// maxVain is how many of them in a row, parts of the batch included, end the search: all that is left of it are
	// dead letters. Whatever the server answers, a batch of n objects costs no more than n + maxVain posts.
	maxVain = 16
	// longestSearch is how long such answers of one batch may take in all.
	longestSearch = 30 * time.Minute
	// maxVainBatches is how many batches in a row may end without one good answer. From then on each but every
	// searchAgain-th is posted once, until there is one. After each of them the delivery pauses, ever longer.
	maxVainBatches = 3
	// searchAgain says of which batches in vain the parts are posted, too: each sixteenth. A server that was
	// mended and refuses one object in each batch would never be believed.
	searchAgain = 16
	// pendingPatience is how long a server may work on what was posted, and searchPatience how long in a batch that
	// was pending for longer than that.
	pendingPatience = 10 * time.Minute
	searchPatience  = time.Minute
)

var (
	// errSums: the server's answer does not say what became of all of the objects.
	errSums = errors.New("the server's status does not add up")
	// errUnnamed: some were refused, and the server does not say which.
	errUnnamed = errors.New("the server refuses objects and does not say which")
	// errPending: the server does not come to an end with what was posted.
	errPending = errors.New("what was posted to the server stays pending")
	// errForgotten: the server does not know the status that it gave.
	errForgotten = errors.New("the server forgets the status of what was posted")
)

// doubtError is an answer that does not say what became of the objects.
type doubtError struct {
	// what is one of the errors above; detail is of this answer alone.
	what   error
	detail string
}

// Error implements error.
func (e *doubtError) Error() string { return e.what.Error() + ": " + e.detail }

// Unwrap is for errors.Is.
func (e *doubtError) Unwrap() error { return e.what }

// vainError ends a batch of which the server has not said that it took the rest.
type vainError struct {
	// last is the last answer, posts how many there were.
	last  error
	posts int
	// slow: the server gets each batch once, with pauses. sent: it is itself the answer to a post.
	slow, sent bool
}

// Error implements error.
func (e *vainError) Error() string { return e.last.Error() }

// Unwrap is for errors.As.
func (e *vainError) Unwrap() error { return e.last }

// saysNothing tells whether an error is an answer of a server that is there, and takes nothing or does not say what.
func saysNothing(err error) bool {
	if told, ok := errors.AsType[*taxii.ProtocolError](err); ok {
		switch told.Status {
		case http.StatusRequestEntityTooLarge, http.StatusBadRequest, http.StatusUnprocessableEntity:
			return true
		}
		return false
	}
	_, doubt := errors.AsType[*doubtError](err)
	return doubt
}

// search is what handing over one batch has cost so far. Nothing of it outlives a restart, after which a batch costs
// as much once more at most.
type search struct {
	// posts were answered, at most so many; vain of them, the last ones, said nothing.
	posts, most, vain int
	// good: the server has taken a part, or said what it refuses. split: the batch was halved.
	good, split bool
	// spent is how long answers that said nothing took; last is the last of them.
	spent time.Duration
	last  error
}

// patience is how long a post may be pending.
func (s *search) patience() time.Duration {
	if s.spent >= pendingPatience {
		return searchPatience
	}
	return pendingPatience
}

// begin implements target.
func (c *collection) begin(objects int) { c.search = search{most: objects + maxVain} }

// learn takes an answer into account. A server that is away has given none.
func (c *collection) learn(err error, took time.Duration) {
	s := &c.search
	switch {
	case err == nil:
		s.posts++
		s.vain, s.good, c.vain = 0, true, 0
	case saysNothing(err):
		s.posts++
		s.vain++
		s.spent += took
		s.last = err
	}
}

// distrusted tells whether the server gets the batch once.
func (c *collection) distrusted() bool { return c.vain >= maxVainBatches && c.vain%searchAgain != 0 }

// over tells whether the batch has cost what it may cost.
func (c *collection) over() bool {
	s := c.search
	return s.vain >= maxVain || s.vain > 0 && c.distrusted() || s.last != nil && (s.posts >= s.most || s.spent >= longestSearch)
}

// inVain is why nothing more of the batch is posted.
func (c *collection) inVain(sent bool) error {
	return &vainError{last: c.search.last, posts: c.search.posts, slow: c.distrusted(), sent: sent}
}

// ended implements target.
func (c *collection) ended() error {
	if c.search.good || c.search.last == nil {
		return nil
	}
	if c.vain++; c.search.vain >= maxVain {
		c.vain = max(c.vain, maxVainBatches)
	}
	return c.inVain(false)
}
