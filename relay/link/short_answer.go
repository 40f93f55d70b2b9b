// SPDX-FileCopyrightText: The certlink authors
// SPDX-License-Identifier: Apache-2.0

package link

import (
	"bytes"
	"io"
	"net/http"
	"net/http/httputil"
	"strconv"
	"sync"
	"time"

	"github.com/certlink/certlink/relay/stream"
)

// maxKept is how many bytes of an answer are kept until its handler returns, so that it leaves in one write,
// with its length.
const maxKept = 64 << 10

var answers = sync.Pool{New: func() any { return new(bytes.Buffer) }}

// shortAnswer is what the handler of a short request writes to.
type shortAnswer struct {
	to     *stream.Stream
	header http.Header
	// status is zero until the handler says it, or writes.
	status int
	// kept is the body so far, nil if there is none or the header has left; then rest takes what follows.
	kept *bytes.Buffer
	rest io.Writer
	// announced is the length that the handler gave, -1 for none; written what it has written.
	announced, written int64
	failed             error
}

// Header implements http.ResponseWriter.
func (a *shortAnswer) Header() http.Header { return a.header }

// WriteHeader implements http.ResponseWriter. Interim responses are left out.
func (a *shortAnswer) WriteHeader(status int) {
	if a.status != 0 || status < http.StatusOK {
		return
	}
	a.status, a.announced = status, -1
	if n, err := strconv.ParseInt(a.header.Get("Content-Length"), 10, 64); err == nil && n >= 0 {
		a.announced = n
	} else {
		a.header.Del("Content-Length")
	}
}

// Write implements http.ResponseWriter.
func (a *shortAnswer) Write(p []byte) (int, error) {
	a.WriteHeader(http.StatusOK)
	switch {
	case a.failed != nil:
		return 0, a.failed
	case !a.hasBody():
		return 0, http.ErrBodyNotAllowed
	case a.announced >= 0 && a.written+int64(len(p)) > a.announced:
		return 0, http.ErrContentLength
	}
	a.written += int64(len(p))
	if a.kept == nil && a.rest == nil {
		a.kept = answers.Get().(*bytes.Buffer) //nolint:errcheck,forcetypeassert // nothing else is put there
		a.kept.Reset()
	}
	if a.rest == nil {
		if a.kept.Len()+len(p) <= maxKept {
			return a.kept.Write(p)
		}
		a.leave(p)
	}
	if a.failed != nil {
		return 0, a.failed
	}
	n, err := a.rest.Write(p)
	a.failed = err
	return n, err
}

// hasBody tells whether an answer of this status has one (RFC 9110, section 6.4.1).
func (a *shortAnswer) hasBody() bool {
	return a.status != http.StatusNoContent && a.status != http.StatusNotModified
}

// leave sends the header and what was kept, because next, or more than it, follows.
func (a *shortAnswer) leave(next []byte) {
	kept := a.kept
	a.kept = nil
	defer answers.Put(kept)
	chunked := a.announced < 0
	if chunked {
		a.header.Set("Transfer-Encoding", "chunked")
	}
	first := kept.Bytes()
	if len(first) == 0 {
		first = next
	}
	if _, a.failed = a.to.Write(a.head(first)); a.failed != nil {
		return
	}
	if a.rest = a.to; chunked {
		a.rest = httputil.NewChunkedWriter(a.to)
	}
	if kept.Len() > 0 {
		_, a.failed = a.rest.Write(kept.Bytes())
	}
}

// end sends what has not left; false if not all of the answer has.
func (a *shortAnswer) end() bool {
	a.WriteHeader(http.StatusOK)
	switch {
	case a.failed != nil || a.announced >= 0 && a.hasBody() && a.announced != a.written:
	case a.rest == nil:
		a.whole()
	case a.announced < 0:
		a.chunksEnd()
	}
	return a.failed == nil && (a.announced < 0 || !a.hasBody() || a.announced == a.written)
}

// whole sends an answer of which all was kept.
func (a *shortAnswer) whole() {
	var body []byte
	if a.kept != nil {
		body = a.kept.Bytes()
		defer answers.Put(a.kept)
	}
	if a.hasBody() {
		a.header.Set("Content-Length", strconv.Itoa(len(body)))
	}
	a.failed = a.to.WriteLast(append(a.head(body), body...))
	a.kept = nil
}

// chunksEnd sends what ends a body in chunks (RFC 9112, section 7.1).
func (a *shortAnswer) chunksEnd() {
	if last, ok := a.rest.(io.Closer); ok {
		a.failed = last.Close()
	}
	if a.failed == nil {
		_, a.failed = io.WriteString(a.to, "\r\n")
	}
}

// head is the header as it leaves, with room behind it for a body that begins with first.
func (a *shortAnswer) head(first []byte) []byte {
	const usual = 512
	if len(first) > 0 && a.header["Content-Type"] == nil {
		a.header.Set("Content-Type", http.DetectContentType(first))
	}
	a.header.Set("Connection", "close") // one stream carries one request
	a.header.Set("Date", time.Now().UTC().Format(http.TimeFormat))
	out := bytes.NewBuffer(make([]byte, 0, usual+len(first)))
	out.WriteString("HTTP/1.1 " + strconv.Itoa(a.status) + " " + http.StatusText(a.status) + "\r\n")
	_ = a.header.Write(out) // to memory
	out.WriteString("\r\n")
	return out.Bytes()
}
