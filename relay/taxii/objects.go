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

	"github.com/google/uuid"

	"github.com/certlink/certlink/relay/stix"
	"github.com/certlink/certlink/relay/store"
)

// add takes objects in (TAXII 2.1 section 5.5). When it answers 202, every
// object that the status counts as a success is on stable storage.
func (h *handler) add(w http.ResponseWriter, c *call) error {
	col, err := h.Backend.Collection(c.Context(), c.collection)
	if err != nil {
		return err
	}
	if !col.CanWrite {
		return Forbidden("this collection can be read, not written")
	}
	if err := checkBody(c.Request); err != nil {
		return err
	}
	release, err := h.slots.take(c.caller)
	if err != nil {
		return err
	}
	defer release()
	body, err := readBody(w, c.Request)
	if err != nil {
		return err
	}
	received := h.Clock().UTC()
	objects, failures, total, err := split(body, received)
	if err != nil {
		return err
	}
	outcomes, err := h.Backend.Add(c.Context(), col.ID, objects)
	if err != nil {
		return err
	}
	for i, outcome := range outcomes {
		if outcome == store.Forked {
			failures = append(failures, forked(objects[i], received))
		}
	}
	h.metrics.received.WithLabelValues("kept").Add(float64(total - len(failures)))
	h.metrics.received.WithLabelValues("refused").Add(float64(len(failures)))
	s := Status{
		ID: uuid.NewString(), Status: Complete, RequestTimestamp: FormatTime(received),
		TotalCount: total, SuccessCount: total - len(failures), FailureCount: len(failures), Failures: failures[:min(len(failures), maxFailures)],
	}
	h.statuses.put(c.caller, s, received)
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

func forked(o stix.Object, received time.Time) StatusDetail {
	version := FormatTime(received)
	if !o.Version.IsZero() {
		version = FormatTime(o.Version)
	}
	return StatusDetail{ID: o.ID, Version: version, Message: "this version of the object is stored with other content: a change needs a newer \"modified\""}
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
