// SPDX-FileCopyrightText: The certlink authors
// SPDX-License-Identifier: Apache-2.0

package attachment

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"time"

	"github.com/go-json-experiment/json"

	"github.com/certlink/certlink/relay/attachment/chunk"
	"github.com/certlink/certlink/relay/link"
	"github.com/certlink/certlink/relay/problem"
	"github.com/certlink/certlink/relay/store"
)

// Path of the files of peers on the link port, followed by a SHA-256.
const Path = link.PathHotline + "attachments/"

const (
	// requestTimeout bounds one chunk, and what the peer does after the last one.
	requestTimeout = 40 * time.Second
	// maxStateBytes is the longest answer that is read.
	maxStateBytes = 4 << 10
	// The size of chunks follows the link: it is doubled when one takes less than quick, and
	// halved when it takes more than slow. So a message that shares a thin link with a file
	// waits for about as long as that.
	firstChunk   = 256 << 10
	largestChunk = 512 << 10 // half of what is allowed: storing it keeps a message waiting for less
	quick        = 250 * time.Millisecond
	slow         = time.Second
	// longestRest after a chunk, which else is as long as the chunk took.
	longestRest = time.Second
)

// errOvertaken: another file was asked for, which may be more urgent.
var errOvertaken = errors.New("another attachment is asked for")

// localError: our own side could not do its part.
type localError struct{ err error }

func (e *localError) Error() string { return e.err.Error() }
func (e *localError) Unwrap() error { return e.err }

// refusedError: the peer says no.
type refusedError struct {
	status int
	detail string // of the peer
}

func (e *refusedError) Error() string {
	return fmt.Sprintf("the peer answered %d %s: %s", e.status, http.StatusText(e.status), e.detail)
}

// wrongError: the peer's answer cannot be.
type wrongError struct{ reason string }

func (e *wrongError) Error() string { return "reading the peer's answer: " + e.reason }

// isOfFile tells whether another file could fare better.
func isOfFile(err error) bool {
	if refused, ok := errors.AsType[*refusedError](err); ok {
		switch refused.status {
		case http.StatusBadRequest, http.StatusConflict, http.StatusRequestEntityTooLarge, http.StatusUnprocessableEntity:
			return true
		}
		return false
	}
	if _, wrong := errors.AsType[*wrongError](err); wrong {
		return true
	}
	return errors.Is(err, store.ErrNotFound)
}

// isAnswer tells whether an error is what the peer answered.
func isAnswer(err error) bool {
	_, refused := errors.AsType[*refusedError](err)
	_, wrong := errors.AsType[*wrongError](err)
	return refused || wrong
}

// forPeople says what is wrong, on which side, and what to do, in one line that stays the
// same while the failure does.
func forPeople(err error) string {
	const waits = "; messages that name attachments wait, all others go on"
	refused, isRefused := errors.AsType[*refusedError](err)
	_, isLocal := errors.AsType[*localError](err)
	switch {
	case isLocal && errors.Is(err, store.ErrNotFound):
		return "an attachment that a message names is not in our own store: restore the database from a backup; its message waits"
	case isLocal:
		return oneLine("our own relay has a fault reading an attachment: "+err.Error()) + waits
	case isRefused && refused.status == http.StatusInsufficientStorage:
		return oneLine("the peer has no room for attachments: "+refused.detail) + waits
	case isRefused && refused.status == http.StatusNotFound:
		return "the peer's relay takes no attachments: ask the peer to upgrade" + waits
	case isRefused && refused.status == http.StatusForbidden:
		return oneLine("the peer does not take our attachments: "+refused.detail) + waits
	case isRefused:
		return oneLine(fmt.Sprintf("the peer refuses an attachment with %d: %s", refused.status, refused.detail)) + waits
	case errors.Is(err, context.DeadlineExceeded):
		return fmt.Sprintf("the peer's relay took no part of an attachment within %v", requestTimeout) + waits
	}
	return oneLine(err.Error()) + waits
}

// send does steps 4 to 7 of a file, see the package comment. nil means that the peer has it.
func (l *line) send(ctx context.Context, sum store.Hash, size int64) error {
	k := store.AttachmentKey{Direction: store.Out, Peer: l.trustDomain, SHA256: sum}
	state, err := l.ask(ctx, k, nil)
	if err != nil {
		return err
	}
	for !state.Complete {
		n := l.chunkSize()
		switch {
		case state.Stored > 0 && state.Size != size || state.Stored < 0 || state.Stored > size:
			return &wrongError{fmt.Sprintf("the peer has %d of %d bytes, the attachment has %d", state.Stored, state.Size, size)}
		case state.Stored == size:
			return &wrongError{"the peer has all of the attachment, and did not complete it"}
		}
		c := chunk.Chunk{SHA256: sum, Size: size, Offset: state.Stored}
		if c.Content, err = l.read(ctx, k, state.Stored, int(min(int64(n), size-state.Stored))); err != nil {
			return &localError{err}
		}
		begun, before := l.engine.cfg.Now(), state.Stored
		if state, err = l.ask(ctx, k, &c); err != nil {
			if !isAnswer(err) {
				l.resize(max(n/2, store.MinChunk)) // it may have been too much for the link
			}
			return err
		}
		if state.Stored <= before && !state.Complete {
			return &wrongError{fmt.Sprintf("the peer stored nothing beyond %d bytes", before)}
		}
		l.engine.metrics.sent(l.hotline(), len(c.Content))
		took := l.engine.cfg.Now().Sub(begun)
		l.resize(fit(n, took))
		if state.Complete {
			break
		}
		if err := rest(ctx, min(took, longestRest)); err != nil {
			return err
		}
		if l.overtaken() {
			return errOvertaken
		}
	}
	if state.Size != size {
		return &wrongError{fmt.Sprintf("the peer has %d bytes under this digest, the attachment has %d", state.Size, size)}
	}
	l.engine.metrics.finished(l.hotline(), store.Out)
	l.engine.cfg.Log.InfoContext(ctx, "attachment stored at the peer", "peer", l.trustDomain, "sha256", k.Name(), "size", size)
	return nil
}

// fit chooses the size of the next chunk by how long one of n bytes took.
func fit(n int, took time.Duration) int {
	switch {
	case took < quick:
		return min(2*n, largestChunk)
	case took > slow:
		return max(n/2, store.MinChunk)
	}
	return n
}

// rest leaves the link to others for a while.
func rest(ctx context.Context, d time.Duration) error {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// read reads n bytes of a file of ours.
func (l *line) read(ctx context.Context, k store.AttachmentKey, offset int64, n int) ([]byte, error) {
	content := make([]byte, 0, n)
	for len(content) < n {
		part, err := l.engine.cfg.Store.ReadAttachment(ctx, k, offset+int64(len(content)))
		if err != nil {
			return nil, err
		}
		if len(part) == 0 {
			return nil, fmt.Errorf("%d bytes of attachment %s are missing: %w", n-len(content), k.Name(), store.ErrNotFound)
		}
		content = append(content, part[:min(len(part), n-len(content))]...)
	}
	return content, nil
}

// ask asks the peer how much it has, or brings it a chunk.
func (l *line) ask(ctx context.Context, k store.AttachmentKey, c *chunk.Chunk) (chunk.State, error) {
	ctx, cancel := context.WithTimeout(ctx, requestTimeout)
	defer cancel()
	method, body := http.MethodGet, io.Reader(nil)
	if c != nil {
		method, body = http.MethodPut, bytes.NewReader(c.Content)
	}
	target := url.URL{Scheme: "https", Host: l.trustDomain, Path: Path + k.Name()}
	req, err := http.NewRequestWithContext(ctx, method, target.String(), body)
	if err != nil {
		return chunk.State{}, fmt.Errorf("addressing attachment %s: %w", k.Name(), err)
	}
	if c != nil {
		c.SetHeader(req.Header)
	}
	req.Header.Set("Accept", "application/json, "+problem.ContentType)
	resp, err := l.engine.cfg.Client(l.trustDomain).Do(req)
	if err != nil {
		if wrapped, ok := errors.AsType[*url.Error](err); ok {
			err = wrapped.Err // people know whom it is for
		}
		return chunk.State{}, err
	}
	defer func() { _ = resp.Body.Close() }()
	said, err := io.ReadAll(io.LimitReader(resp.Body, maxStateBytes))
	if resp.StatusCode != http.StatusOK {
		var p problem.Details
		_ = json.Unmarshal(said, &p) // else the status says it alone
		return chunk.State{}, &refusedError{status: resp.StatusCode, detail: oneLine(p.Detail)}
	}
	if err != nil {
		return chunk.State{}, fmt.Errorf("reading the peer's answer: %w", err)
	}
	var state chunk.State
	if err := json.Unmarshal(said, &state); err != nil {
		return chunk.State{}, &wrongError{"it is no state of an attachment"}
	}
	if state.SHA256 != k.Name() {
		return chunk.State{}, &wrongError{"it is about another attachment"}
	}
	return state, nil
}
