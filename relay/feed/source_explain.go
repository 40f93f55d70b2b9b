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
	"github.com/certlink/certlink/relay/misp"
	"github.com/certlink/certlink/relay/remote"
	"github.com/certlink/certlink/relay/stix"
	"github.com/certlink/certlink/relay/store"
	"github.com/certlink/certlink/relay/taxii"
)

// hostOf names a server for people.
func hostOf(r config.Remote) string {
	u, err := url.Parse(r.URL)
	if err != nil {
		return "its server"
	}
	return u.Host
}

// explainOrigin says in one line what is wrong with a source and what to do, in the
// same words for the same fault.
func explainOrigin(from string, err error) string {
	var told *taxii.ProtocolError
	var missed *missedError
	switch {
	case errors.As(err, &missed):
		return fmt.Sprintf("%s lists events that it does not give us as it lists them, %d of them (%v): all others are read; ask those who run it, or see whether the credentials may read these", from, missed.events, missed.first)
	case errors.Is(err, store.ErrFull):
		return "our storage is full, nothing more is fetched: make room on the relay's volume"
	case errors.Is(err, taxii.ErrNoCollection):
		return fmt.Sprintf("%s shows us no such collection: correct its name, or see whether the credentials may read it", from)
	case errors.As(err, &told):
		return explainServer(from, told)
	case errors.Is(err, errNoFiles):
		return "there is no file to read: see whether the ConfigMap is there and has keys; what was read before is kept"
	case errors.Is(err, errFilesTooLong), errors.Is(err, errKept):
		return fmt.Sprintf("%v: mend the files; nothing is deleted until all can be read", err)
	case errors.Is(err, io.ErrUnexpectedEOF):
		return fmt.Sprintf("what %s gave was cut before its end: it is read again", from)
	case errors.Is(err, taxii.ErrStalled):
		return fmt.Sprintf("%s has fallen silent in the middle of an answer: see whether it is overloaded", from)
	case errors.Is(err, taxii.ErrNotTAXII), errors.Is(err, taxii.ErrTooLong), errors.Is(err, taxii.ErrNoProgress):
		return fmt.Sprintf("what %s answers is not TAXII 2.1 as it must be (%v): see whether the URL is that of its API root or discovery", from, faultOf(err))
	case errors.Is(err, stix.ErrContainer):
		return fmt.Sprintf("what %s gave is no STIX bundle: see whether the URL or file is the right one", from)
	case errors.Is(err, misp.ErrFormat), errors.Is(err, misp.ErrTooLarge):
		return fmt.Sprintf("what %s gave is no MISP feed as it must be: see whether the URL is the directory with manifest.json", from)
	}
	return remote.Explain(err)
}

func explainServer(from string, told *taxii.ProtocolError) string {
	switch told.Status {
	case http.StatusNotFound:
		return fmt.Sprintf("%s shows us no such collection any more: correct its name, or see whether the credentials may read it", from)
	case http.StatusUnauthorized, http.StatusForbidden:
		return fmt.Sprintf("%s refuses us (%d %s): see whether the credentials are right and may read the collection", from, told.Status, words(told))
	case http.StatusTooManyRequests, http.StatusServiceUnavailable:
		return fmt.Sprintf("%s asks us to come again (%s): no action needed unless it lasts", from, words(told))
	}
	if told.Status >= http.StatusInternalServerError {
		return fmt.Sprintf("%s has a fault (%d %s): ask those who run it", from, told.Status, words(told))
	}
	return fmt.Sprintf("%s refuses our request (%d %s): see whether it speaks TAXII 2.1", from, told.Status, words(told))
}
