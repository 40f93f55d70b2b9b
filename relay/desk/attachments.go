// SPDX-FileCopyrightText: The certlink authors
// SPDX-License-Identifier: Apache-2.0

package desk

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"mime"
	"net/http"
	"time"
	"unicode"

	"github.com/certlink/certlink/relay/access"
	"github.com/certlink/certlink/relay/attachment/chunk"
	"github.com/certlink/certlink/relay/message"
	"github.com/certlink/certlink/relay/problem"
	"github.com/certlink/certlink/relay/store"
)

// Paths of attachments, for the role desk. {hotline} is the name of a hotline and {sha256}
// the digest of a file in lower-case hexadecimal.
const (
	// PathUpload: GET says how much of a file is stored for messages of ours (→ chunk.State),
	// PUT brings its next part, as package chunk has it (→ chunk.State). A message may name
	// the file once it is complete.
	PathUpload = "/hotline/attachments/{hotline}/{sha256}"
	// PathDownload: GET returns an attachment of a message, also in ranges (RFC 9110).
	PathDownload = "/hotline/messages/{direction}/{peer}/{id}/attachments/{sha256}"
)

// Attacher keeps the files of messages. It may be called concurrently. Its errors are
// *chunk.Error and those of package store: ErrNotFound for a hotline, message or file that
// we do not have.
type Attacher interface {
	// UploadState says how much of a file is stored for messages of ours.
	UploadState(ctx context.Context, hotline, sha256 string) (chunk.State, error)
	// Upload stores a part of one; it is durable on return.
	Upload(ctx context.Context, hotline string, c chunk.Chunk) (chunk.State, error)
	// Download opens a file that a message names.
	Download(ctx context.Context, d store.Direction, peer, id, sha256 string) (File, error)
}

// File is an attachment of a message, to be read.
type File struct {
	message.Attachment
	// StoredAt is when it was stored.
	StoredAt time.Time
	// Content is read in parts.
	Content io.ReadSeeker
}

// serveAttachments adds the paths of attachments.
func (h *handler) serveAttachments(mux *http.ServeMux, a Attacher) {
	desk := []access.Role{access.RoleDesk}
	mux.Handle("GET "+PathUpload, only(desk, h.state(func(_ http.ResponseWriter, r *http.Request) (chunk.State, error) {
		return a.UploadState(r.Context(), r.PathValue("hotline"), r.PathValue("sha256"))
	})))
	mux.Handle("PUT "+PathUpload, only(desk, h.state(func(w http.ResponseWriter, r *http.Request) (chunk.State, error) {
		c, err := chunk.Read(w, r, r.PathValue("sha256"))
		if err != nil {
			return chunk.State{}, err
		}
		return a.Upload(r.Context(), r.PathValue("hotline"), c)
	})))
	mux.Handle("GET "+PathDownload, only(desk, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		f, err := a.Download(r.Context(), store.Direction(r.PathValue("direction")), r.PathValue("peer"), r.PathValue("id"), r.PathValue("sha256"))
		if err != nil {
			h.refuseFile(w, r, err)
			return
		}
		serveFile(w, r, f)
	})))
}

// state writes what an action returns about a file.
func (h *handler) state(action func(w http.ResponseWriter, r *http.Request) (chunk.State, error)) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		state, err := action(w, r)
		if err != nil {
			h.refuseFile(w, r, err)
			return
		}
		w.Header().Set("Content-Type", "application/json")
		w.Header().Set("Cache-Control", "no-store")
		_ = json.NewEncoder(w).Encode(state) // a client that is gone asks again
	})
}

// refuseFile answers what has to do with chunks as the link does, and the rest as the desk.
func (h *handler) refuseFile(w http.ResponseWriter, r *http.Request, err error) {
	if refusal, ok := chunk.Refusal(err); ok && !errors.Is(err, store.ErrNotFound) {
		problem.Write(w, refusal.Status, refusal.Detail)
		return
	}
	h.refuse(w, r, err)
}

// serveFile hands out content that others wrote: nothing is to take it for what it says it
// is, or to show it by itself.
func serveFile(w http.ResponseWriter, r *http.Request, f File) {
	sum, err := chunk.ParseName(f.SHA256)
	if err != nil {
		problem.Write(w, http.StatusInternalServerError, "the digest of the attachment cannot be read")
		return
	}
	header := w.Header()
	header.Set("Content-Type", chunk.ContentType)
	header.Set("Content-Disposition", mime.FormatMediaType("attachment", map[string]string{"filename": SafeName(f.Name)}))
	header.Set("X-Content-Type-Options", "nosniff")
	header.Set("Content-Security-Policy", "default-src 'none'; sandbox")
	header.Set("Cache-Control", "no-store")
	header.Set("Repr-Digest", chunk.Digest(sum))
	header.Set("ETag", fmt.Sprintf("%q", f.SHA256))
	http.ServeContent(w, r, "", f.StoredAt, f.Content)
}

// SafeName makes of the name that somebody gave a file one that can be a file here: no
// separators, no control characters, nothing that is not shown or turns the text around, no
// dot or dash in front, at most 255 bytes.
func SafeName(name string) string {
	const longest = 255
	clean := []rune{}
	size := 0
	for _, r := range name {
		switch {
		case r == '/', r == '\\', r == unicode.ReplacementChar, !unicode.IsPrint(r), unicode.Is(unicode.Cf, r),
			len(clean) == 0 && (r == '.' || r == '-'):
			r = '_'
		}
		if size += len(string(r)); size > longest {
			break
		}
		clean = append(clean, r)
	}
	if len(clean) == 0 {
		return "attachment"
	}
	return string(clean)
}
