// SPDX-FileCopyrightText: The certlink authors
// SPDX-License-Identifier: Apache-2.0

package taxii

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"time"

	"github.com/certlink/certlink/relay/stix"
)

// add takes objects in (TAXII 2.1 section 5.5). Every object that a status counts
// as a success is on stable storage; those that are pending are not, and a crash
// forgets them with their status.
func (h *handler) add(w http.ResponseWriter, c *call) error {
	col, err := h.visible(c)
	if err != nil {
		return err
	}
	if !col.CanWrite {
		return Forbidden("this collection can be read, not written")
	}
	if err := checkBody(c.Request); err != nil {
		return err
	}
	release, err := h.slots.take(c.Context(), c.caller)
	if err != nil {
		return err
	}
	released := false
	defer func() {
		if !released {
			release()
		}
	}()
	body, err := readBody(w, c.Request)
	if err != nil {
		return err
	}
	received := h.Clock().UTC()
	objects, failures, total, err := split(body, received)
	if err != nil {
		return err
	}
	released = true
	s, err := h.keep(c, col.ID, posting{received: received, total: total, objects: objects, failures: failures}, release)
	if err != nil {
		return err
	}
	return sendJSON(w, http.StatusAccepted, s)
}

// checkBody looks at what the headers say of a POST's body.
func checkBody(r *http.Request) error {
	if !carriesTAXII(r.Header.Get("Content-Type")) {
		return problem(http.StatusUnsupportedMediaType, "Media type not supported", "send the header Content-Type: %s", MediaType)
	}
	if e := r.Header.Get("Content-Encoding"); e != "" && e != "identity" {
		return problem(http.StatusUnsupportedMediaType, "Content encoding not supported", "send the body without compression")
	}
	if r.ContentLength > MaxContentLength {
		return tooLarge()
	}
	return nil
}

func tooLarge() *ProtocolError {
	return problem(http.StatusRequestEntityTooLarge, "Request too large",
		"send at most %d bytes and %d objects in one request", MaxContentLength, MaxObjectsPerPost)
}

func readBody(w http.ResponseWriter, r *http.Request) ([]byte, error) {
	var body bytes.Buffer
	if r.ContentLength > 0 {
		body.Grow(int(r.ContentLength) + bytes.MinRead)
	}
	_, err := body.ReadFrom(http.MaxBytesReader(w, r.Body, MaxContentLength))
	var over *http.MaxBytesError
	switch {
	case errors.As(err, &over):
		return nil, tooLarge()
	case err != nil:
		return nil, problem(http.StatusBadRequest, "Body not readable", "the body ended early or came too slowly")
	}
	return body.Bytes(), nil
}

// split takes the objects out of an envelope, and for each that is refused the
// reason. An error is one of the envelope itself.
func split(body []byte, received time.Time) (objects []stix.Object, failures []StatusDetail, total int, err error) {
	r := stix.NewReader(bytes.NewReader(body))
	for ; ; total++ {
		if total > MaxObjectsPerPost {
			return nil, nil, 0, tooLarge()
		}
		o, err := r.Read()
		var bad *stix.ObjectError
		switch {
		case errors.Is(err, io.EOF):
			return objects, failures, total, nil
		case errors.As(err, &bad):
			failures = append(failures, StatusDetail{ID: bad.ID, Version: FormatTime(received), Message: brief(err.Error())})
		case err != nil:
			return nil, nil, 0, problem(http.StatusBadRequest, "Body not understood", "%s", brief(err.Error()))
		default:
			objects = append(objects, o)
		}
	}
}

// decodeSmall reads an answer that is not a page.
func decodeSmall(r io.Reader, v any) error {
	body, err := io.ReadAll(io.LimitReader(r, maxSmallBytes+1))
	if err != nil {
		return err
	}
	if len(body) > maxSmallBytes {
		return errors.New("it is too long")
	}
	return json.Unmarshal(body, v)
}
