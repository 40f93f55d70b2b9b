// SPDX-FileCopyrightText: The certlink authors
// SPDX-License-Identifier: Apache-2.0

package feed

import (
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"

	"github.com/certlink/certlink/relay/config"
	"github.com/certlink/certlink/relay/stix"
	"github.com/certlink/certlink/relay/store"
	"github.com/certlink/certlink/relay/taxii"
)

// explain says in one line what is wrong with a pull, on which side, and what to
// do. The same fault has the same words, so that a report does not change while
// nothing does.
func explain(peer config.Peer, collection string, err error) string {
	var (
		told *taxii.ProtocolError
		dial *url.Error
	)
	switch {
	case errors.Is(err, store.ErrFull):
		return "our storage is full, nothing more is collected: make room on the relay's volume"
	case errors.Is(err, taxii.ErrNoCollection):
		return fmt.Sprintf("%s shows us no collection %q: ask %s to name us in its feed, or correct the collection of this import", peer.Name, collection, peer.Name)
	case errors.As(err, &told):
		return explainAnswer(peer, collection, told)
	case errors.Is(err, taxii.ErrStalled):
		return fmt.Sprintf("%s has begun an answer and fallen silent: ask %s to look at its relay, or look at the path between", peer.Name, peer.Name)
	case errors.Is(err, taxii.ErrTooSlow):
		return fmt.Sprintf("%s answers, but too slowly (%v): look at the path between, or ask %s to look at its relay", peer.Name, taxii.ErrTooSlow, peer.Name)
	case errors.Is(err, taxii.ErrNotTAXII), errors.Is(err, taxii.ErrTooLong), errors.Is(err, taxii.ErrNoProgress), errors.Is(err, stix.ErrContainer) && !errors.Is(err, io.ErrUnexpectedEOF):
		return fmt.Sprintf("what %s answers is not TAXII 2.1 as it must be (%v): ask %s to mend its server", peer.Name, faultOf(err), peer.Name)
	case errors.Is(err, io.ErrUnexpectedEOF):
		return fmt.Sprintf("a page of %s was cut before its end: it is read again", peer.Name)
	case errors.As(err, &dial):
		return dial.Err.Error()
	}
	return fmt.Sprintf("collecting from %s fails on our side: %v", peer.Name, err)
}

// faultOf drops what differs from one attempt to the next, such as positions.
func faultOf(err error) error {
	for _, kind := range []error{taxii.ErrTooLong, stix.ErrContainer} {
		if errors.Is(err, kind) {
			return kind
		}
	}
	return err
}

func explainAnswer(peer config.Peer, collection string, told *taxii.ProtocolError) string {
	switch told.Status {
	case http.StatusNotFound:
		return fmt.Sprintf("%s shows us no collection %q any more: ask %s to name us in its feed, or correct the collection of this import", peer.Name, collection, peer.Name)
	case http.StatusUnauthorized:
		return fmt.Sprintf("%s does not know us: ask %s to declare us as its peer", peer.Name, peer.Name)
	case http.StatusForbidden:
		return fmt.Sprintf("%s refuses us (%s): ask %s to resume", peer.Name, words(told), peer.Name)
	case http.StatusTooManyRequests, http.StatusServiceUnavailable:
		return fmt.Sprintf("%s asks us to come again (%s): no action needed unless it lasts", peer.Name, words(told))
	}
	if told.Status >= http.StatusInternalServerError {
		return fmt.Sprintf("%s has a fault (%d %s): ask %s to look at its relay", peer.Name, told.Status, words(told), peer.Name)
	}
	return fmt.Sprintf("%s refuses our request (%d %s): compare the versions of both relays", peer.Name, told.Status, words(told))
}

func words(told *taxii.ProtocolError) string {
	if told.Description != "" {
		return told.Description
	}
	return told.Title
}
