// SPDX-FileCopyrightText: The certlink authors
// SPDX-License-Identifier: Apache-2.0

package hotline

import (
	"context"
	"errors"
	"fmt"
	"net/http"

	"github.com/certlink/certlink/relay/receipt"
	"github.com/certlink/certlink/relay/store"
)

// localError: our own side could not do its part.
type localError struct {
	doing string
	err   error
}

func (e *localError) Error() string { return e.doing + ": " + e.err.Error() }
func (e *localError) Unwrap() error { return e.err }

// refusedError: the peer answered, but not with a receipt.
type refusedError struct {
	status int
	detail string // of the peer
}

func (e *refusedError) Error() string {
	return fmt.Sprintf("peer answered %d %s: %s", e.status, http.StatusText(e.status), e.detail)
}

// receiptError: what the peer answered is not the receipt for this message.
type receiptError struct{ err error }

func (e *receiptError) Error() string { return "verifying receipt: " + e.err.Error() }
func (e *receiptError) Unwrap() error { return e.err }

var (
	// errRolledBack: the peer holds a state of our journal that is not of our history.
	errRolledBack = errors.New("our database was set back: the peer holds more of our journal than we do")
	// errPeerRecovers: the peer first gets back what it lost.
	errPeerRecovers = errors.New("the peer's database was set back, and it recovers")
)

// isLocal tells whether the fault is on our side, and not of the link or the peer.
func isLocal(err error) bool {
	_, ok := errors.AsType[*localError](err)
	return ok
}

// errNotReady: the attachments of a message are not all at the peer yet.
var errNotReady = errors.New("its attachments are not all at the peer yet; the message waits for them")

// isOfMessage tells whether another message could fare better.
func isOfMessage(err error) bool {
	if refused, ok := errors.AsType[*refusedError](err); ok {
		switch refused.status {
		case http.StatusBadRequest, http.StatusConflict, http.StatusRequestEntityTooLarge, http.StatusUnprocessableEntity, statusIncomplete:
			return true
		}
		return false
	}
	_, wrong := errors.AsType[*receiptError](err)
	return wrong || errors.Is(err, errNotReady)
}

// forPeople says what is wrong, on which side, and what to do, in one line that
// stays the same while the failure does.
func forPeople(err error) string {
	var (
		local   *localError
		refused *refusedError
		wrong   *receiptError
	)
	switch {
	case errors.As(err, &local) && errors.Is(err, store.ErrFull):
		return "our own storage is full: make room on the relay's volume; messages stay queued"
	case errors.As(err, &local):
		return oneLine(fmt.Sprintf("our own relay has a fault %s; messages stay queued", local))
	case errors.As(err, &refused):
		return refused.forPeople()
	case errors.As(err, &wrong) && errors.Is(err, receipt.ErrExpired):
		return "the peer's signing certificate, or the bundle that we hold for it, is outside its validity: ask the peer to renew it, or update their bundle; the message stays queued"
	case errors.As(err, &wrong) && errors.Is(err, receipt.ErrUntrusted):
		return "the peer's receipt is not signed by its own CA as we know it: compare the bundle in our PeerCERT with the peer's card; the message stays queued"
	case errors.As(err, &wrong):
		return oneLine(fmt.Sprintf("the peer's receipt is refused, tell the peer: %v; the message stays queued", wrong.err))
	case errors.Is(err, context.DeadlineExceeded):
		return fmt.Sprintf("the peer's relay gave no answer within %v; messages stay queued", attemptTimeout)
	default:
		return oneLine(err.Error() + "; messages stay queued")
	}
}

func (e *refusedError) forPeople() string {
	detail := ""
	if e.detail != "" {
		detail = ": " + e.detail
	}
	switch e.status {
	case http.StatusInsufficientStorage:
		return "the peer's storage is full and nothing was stored there: ask the peer to make room; messages stay queued"
	case http.StatusForbidden, http.StatusNotFound:
		return oneLine("the peer does not take our messages" + detail + "; ask the peer whether it has a Hotline for us; messages stay queued")
	case http.StatusConflict:
		return oneLine("the peer holds another message under the same number" + detail + "; compare both logs with the peer; the message stays queued")
	case http.StatusBadRequest, http.StatusRequestEntityTooLarge, http.StatusUnprocessableEntity:
		return oneLine("the peer refuses a message" + detail + "; the message stays queued")
	default:
		return oneLine(fmt.Sprintf("the peer's relay answers %d %s%s; it is tried again, tell the peer if it lasts", e.status, http.StatusText(e.status), detail))
	}
}

// ofOne marks an error after which a transaction can go on, as store.LineTx says.
func ofOne(err error, refused bool) error {
	if refused || errors.Is(err, store.ErrConflict) || errors.Is(err, store.ErrNotFound) {
		return &ownError{err}
	}
	return err
}
