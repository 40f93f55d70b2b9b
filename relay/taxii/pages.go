// SPDX-FileCopyrightText: The certlink authors
// SPDX-License-Identifier: Apache-2.0

package taxii

import (
	"bufio"
	"context"
	"net/http"
	"net/url"
	"slices"

	"github.com/certlink/certlink/relay/stix"
	"github.com/certlink/certlink/relay/store"
)

// objects serves a page of objects (TAXII 2.1 section 5.4).
func (h *handler) objects(w http.ResponseWriter, c *call) error {
	return h.list(w, c, ofObjects, h.sendObjects)
}

// object serves a page of the versions of one object, whole (TAXII 2.1 section 5.6).
func (h *handler) object(w http.ResponseWriter, c *call) error {
	return h.list(w, c, ofObject, h.sendObjects)
}

// manifest serves a page of what can be said of objects without their content
// (TAXII 2.1 section 5.3).
func (h *handler) manifest(w http.ResponseWriter, c *call) error {
	return h.list(w, c, ofManifest, func(w http.ResponseWriter, p page) error {
		m := Manifest{More: p.next != "", Next: p.next}
		for _, r := range p.records {
			m.Objects = append(m.Objects, ManifestRecord{
				ID: r.ID, DateAdded: FormatTime(r.DateAdded), Version: FormatTime(versionOf(r)), MediaType: mediaTypeOf(r),
			})
		}
		p.dates(w)
		return sendJSON(w, http.StatusOK, m)
	})
}

// versions serves a page of the versions that an object has (TAXII 2.1 section 5.8).
func (h *handler) versions(w http.ResponseWriter, c *call) error {
	return h.list(w, c, ofVersions, func(w http.ResponseWriter, p page) error {
		v := VersionList{More: p.next != "", Next: p.next}
		told := map[string]bool{} // two sources of an export may have the same version
		for _, r := range p.records {
			if text := FormatTime(versionOf(r)); !told[text] {
				told[text] = true
				v.Versions = append(v.Versions, text)
			}
		}
		p.dates(w)
		return sendJSON(w, http.StatusOK, v)
	})
}

func (h *handler) sendObjects(w http.ResponseWriter, p page) error {
	p.envelope(w)
	h.metrics.served.Add(float64(len(p.records)))
	return nil
}

// list answers a GET that has pages: it collects the page and gives it to write.
func (h *handler) list(w http.ResponseWriter, c *call, s scope, write func(http.ResponseWriter, page) error) error {
	col, err := h.visible(c)
	if err != nil {
		return err
	}
	if !col.CanRead {
		return Forbidden("this collection can be written, not read")
	}
	q, err := readQuery(c, s, col.ID)
	if err != nil {
		return err
	}
	release, err := h.slots.take(c.Context(), c.caller)
	if err != nil {
		return err
	}
	// The slot is held until the page is written: until then it is in memory.
	defer release()
	p, err := h.page(c.Context(), col.ID, q)
	if err != nil {
		return err
	}
	if c.object != "" && len(p.records) == 0 && p.next == "" {
		if err := h.exists(c.Context(), col.ID, c.object, q); err != nil {
			return err
		}
	}
	return write(w, p)
}

// readQuery reads the filters of a request, and the object that its path names.
func readQuery(c *call, s scope, collectionID string) (store.Query, error) {
	values, err := url.ParseQuery(c.URL.RawQuery)
	if err != nil {
		return store.Query{}, problem(http.StatusBadRequest, "Wrong query", "the query of the URL is not well-formed")
	}
	if c.object == "" {
		return parseQuery(values, s, collectionID, nil)
	}
	if _, ok := stix.SplitID(c.object); !ok {
		return store.Query{}, NotFound()
	}
	return parseQuery(values, s, collectionID, []string{c.object})
}

// exists is NotFound for an object of which the caller may see no version at all, and
// for versions by their time alone, none of which is there: after a DELETE that is what
// the standard wants (TAXII 2.1 section 5.7).
func (h *handler) exists(ctx context.Context, collection, object string, q store.Query) error {
	if v := q.Versions; len(v.At) > 0 && !v.First && !v.Last && q.AddedAfter.IsZero() && q.After == 0 {
		return NotFound()
	}
	got, err := h.Backend.Objects(ctx, collection, store.Query{IDs: []string{object}, NoContent: true, Limit: 1})
	if err == nil && len(got.Records) == 0 {
		return NotFound()
	}
	return err
}

// page is an answer before it is written.
type page struct {
	records []store.Record
	next    string
	// size is that of the records' content.
	size int
}

// maxReads is how often a page asks the Backend. A page that selects few of many
// records ends there, shorter than its limit or even empty, and its cursor goes on.
const maxReads = 20

// page collects records until the limit, the size or maxReads is reached.
func (h *handler) page(ctx context.Context, collection string, q store.Query) (page, error) {
	var p page
	limit, rest := q.Limit, q
	if slices.Contains(q.Specs, stix.Spec20) && slices.Contains(q.Specs, stix.Spec21) {
		rest.Specs = nil // there are no others: to select nothing is cheaper
	}
	for reads := 1; ; reads++ {
		rest.Limit = limit - len(p.records)
		got, err := h.Backend.Objects(ctx, collection, rest)
		if err != nil {
			return page{}, err
		}
		// Mostly one read is the page: it is not copied.
		read := got.Records
		if len(p.records) > 0 {
			read = append(p.records, read...)
		}
		for i, r := range got.Records {
			p.records = read[:len(read)-len(got.Records)+i+1]
			p.size += len(r.Raw)
			if p.size >= MaxPageBytes && (i+1 < len(got.Records) || got.Next != 0) {
				p.next = encodeCursor(collection, q, r.DateAdded.UnixMicro())
				return p, nil
			}
		}
		if got.Next == 0 {
			return p, nil
		}
		if len(p.records) >= limit || reads == maxReads {
			p.next = encodeCursor(collection, q, got.Next)
			return p, nil
		}
		rest.After = got.Next
	}
}

// dates sets the headers that say when the first and the last record of the page
// were added (TAXII 2.1 section 3.2). A page without records has neither.
func (p page) dates(w http.ResponseWriter) {
	if len(p.records) > 0 {
		w.Header().Set("X-TAXII-Date-Added-First", FormatTime(p.records[0].DateAdded))
		w.Header().Set("X-TAXII-Date-Added-Last", FormatTime(p.records[len(p.records)-1].DateAdded))
	}
}

// envelope sends the page (TAXII 2.1 section 3.7); the objects go out as the
// bytes that came in. An error of writing is the client's trouble.
func (p page) envelope(w http.ResponseWriter) {
	switch {
	case len(p.records) == 0 && p.next == "":
		send(w, http.StatusOK, []byte("{}"))
		return
	case len(p.records) == 0:
		send(w, http.StatusOK, []byte(`{"more":true,"next":"`+p.next+`"}`))
		return
	}
	begin, end := `{"objects":[`, `]}`
	if p.next != "" {
		begin = `{"more":true,"next":"` + p.next + `","objects":[`
	}
	header(w, len(begin)+p.size+len(p.records)-1+len(end))
	p.dates(w)
	w.WriteHeader(http.StatusOK)
	// Large pieces go past the small buffer of the connection, as they are.
	out := bufio.NewWriterSize(w, pieceBytes)
	_, err := out.WriteString(begin)
	for i, r := range p.records {
		if err == nil && i > 0 {
			err = out.WriteByte(',')
		}
		if err == nil {
			_, err = out.Write(r.Raw)
		}
	}
	if err == nil {
		_, _ = out.WriteString(end)
		_ = out.Flush()
	}
}

// pieceBytes is how much of a page is written at once.
const pieceBytes = 64 << 10
