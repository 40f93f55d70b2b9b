// SPDX-FileCopyrightText: The certlink authors
// SPDX-License-Identifier: Apache-2.0

package chunk

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/certlink/certlink/relay/store"
)

var name = strings.Repeat("ab", 32)

func request(c Chunk, change func(r *http.Request)) *http.Request {
	r := httptest.NewRequest(http.MethodPut, "/x/"+name, bytes.NewReader(c.Content))
	c.SetHeader(r.Header)
	if change != nil {
		change(r)
	}
	return r
}

func TestWhatIsWrittenIsRead(t *testing.T) {
	for _, c := range []Chunk{
		{Size: 1, Content: []byte("x")},
		{Size: store.MaxAttachment, Offset: store.MaxAttachment - store.MaxChunk, Content: make([]byte, store.MaxChunk)},
		{Size: 3 * store.MinChunk, Offset: store.MinChunk, Content: make([]byte, store.MinChunk)},
	} {
		got, err := Read(httptest.NewRecorder(), request(c, nil), name)
		if err != nil {
			t.Fatal(err)
		}
		if got.Size != c.Size || got.Offset != c.Offset || !bytes.Equal(got.Content, c.Content) || fmt.Sprintf("%x", got.SHA256) != name {
			t.Errorf("read %d bytes at %d of %d", len(got.Content), got.Offset, got.Size)
		}
	}
}

// endless is a body that never ends, and tells how much was read of it.
type endless struct{ read int64 }

func (e *endless) Read(p []byte) (int, error) { e.read += int64(len(p)); return len(p), nil }

func TestWhatIsWrongIsNamed(t *testing.T) {
	good := Chunk{Size: 2 * store.MinChunk, Content: make([]byte, store.MinChunk)}
	set := func(key, value string) func(r *http.Request) {
		return func(r *http.Request) { r.Header.Set(key, value) }
	}
	for what, c := range map[string]struct {
		name   string
		change func(r *http.Request)
		status int
		words  string
	}{
		"no digest in the path":       {name: "AB", status: 400, words: "SHA-256"},
		"upper case":                  {name: strings.ToUpper(name), status: 400, words: "SHA-256"},
		"no range":                    {change: set("Content-Range", ""), status: 400, words: "Content-Range"},
		"a range without size":        {change: set("Content-Range", "bytes 0-1/*"), status: 400, words: "Content-Range"},
		"a range backwards":           {change: set("Content-Range", "bytes 5-1/9"), status: 400, words: "within"},
		"a range beyond the size":     {change: set("Content-Range", "bytes 0-9/9"), status: 400, words: "within"},
		"a number that is too long":   {change: set("Content-Range", "bytes 0-1/99999999999999999999"), status: 400, words: "Content-Range"},
		"an attachment too large":     {change: set("Content-Range", fmt.Sprintf("bytes 0-65535/%d", store.MaxAttachment+1)), status: 413, words: "26214401"},
		"a chunk too large":           {change: set("Content-Range", fmt.Sprintf("bytes 0-%d/%d", store.MaxChunk, 2*store.MaxChunk)), status: 413, words: "chunk"},
		"a short chunk":               {change: func(r *http.Request) { set("Content-Range", "bytes 0-9/90000")(r); r.ContentLength = 10 }, status: 400, words: "shorter"},
		"no digest of the chunk":      {change: set("Content-Digest", ""), status: 400, words: "Content-Digest"},
		"another hash":                {change: set("Content-Digest", "sha-512=:YWJj:"), status: 400, words: "Content-Digest"},
		"a digest with loose bits":    {change: set("Content-Digest", "sha-256=:"+strings.Repeat("A", 42)+"B=:"), status: 400, words: "SHA-256"},
		"a digest of something else":  {change: set("Content-Digest", Digest(store.Hash{1})), status: 422, words: "nothing was stored"},
		"no length":                   {change: func(r *http.Request) { r.ContentLength = -1 }, status: 411, words: "Content-Length"},
		"a length that is no range's": {change: func(r *http.Request) { r.ContentLength++ }, status: 400, words: "Content-Length"},
		"a body that ends early":      {change: func(r *http.Request) { r.Body = io.NopCloser(strings.NewReader("x")) }, status: 400, words: "early"},
	} {
		t.Run(what, func(t *testing.T) {
			if c.name == "" {
				c.name = name
			}
			_, err := Read(httptest.NewRecorder(), request(good, c.change), c.name)
			e, ok := errors.AsType[*Error](err)
			if !ok || e.Status != c.status || !strings.Contains(e.Detail, c.words) {
				t.Errorf("error is %v %+v, want %d with %q", err, e, c.status, c.words)
			}
		})
	}
	t.Run("an endless body is read no further than the chunk", func(t *testing.T) {
		body := &endless{}
		_, err := Read(httptest.NewRecorder(), request(good, func(r *http.Request) { r.Body = io.NopCloser(body) }), name)
		if body.read > store.MaxChunk || err != nil && body.read == 0 {
			t.Errorf("%d bytes were read, %v", body.read, err)
		}
	})
}

func FuzzHeader(f *testing.F) {
	f.Add("bytes 0-65535/131072", Digest(store.Hash{}), name)
	f.Add("bytes 9-1/1", "sha-256=:A:", "x")
	f.Fuzz(func(t *testing.T, span, digest, name string) {
		if first, length, size, err := ParseRange(span); err == nil {
			if first < 0 || length < 1 || first+length > size || fmt.Sprintf("bytes %d-%d/%d", first, first+length-1, size) != span {
				t.Errorf("%q is %d, %d, %d", span, first, length, size)
			}
		}
		if sum, err := ParseDigest(digest); err == nil && Digest(sum) != digest {
			t.Errorf("%q is %x", digest, sum)
		}
		if sum, err := ParseName(name); err == nil && fmt.Sprintf("%x", sum) != name {
			t.Errorf("%q is %x", name, sum)
		}
	})
}
