// SPDX-FileCopyrightText: The certlink authors
// SPDX-License-Identifier: Apache-2.0

package relayclient

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/certlink/certlink/relay/attachment/chunk"
	"github.com/certlink/certlink/relay/desk"
	"github.com/certlink/certlink/relay/message"
	"github.com/certlink/certlink/relay/store"
)

// transferTries is how often a transfer goes on after a failure without progress, the first
// after transferPause, each later one after twice the time.
const (
	transferTries = 6
	transferPause = 250 * time.Millisecond
	// uploadChunk is half of what is allowed: storing it keeps a message waiting for less.
	uploadChunk = store.MaxChunk / 2
)

// UploadState says how much of a file our relay has for messages of a hotline.
func (c *Client) UploadState(ctx context.Context, hotline, sha256 string) (chunk.State, error) {
	var state chunk.State
	if err := c.call(ctx, http.MethodGet, uploadAddress(hotline, sha256), nil, &state); err != nil {
		return chunk.State{}, fmt.Errorf("asking for attachment %s: %w", sha256, err)
	}
	return state, nil
}

func uploadAddress(hotline, sha256 string) string {
	return address("/hotline/attachments/"+url.PathEscape(hotline)+"/"+url.PathEscape(sha256), nil)
}

// Upload brings a file to our relay, so that a message on that hotline may name it. It goes
// on from what the relay has, also after a cut; progress, which may be nil, is told how far
// it has come. When it returns nil the file is complete on stable storage.
func (c *Client) Upload(ctx context.Context, hotline string, a message.Attachment, content io.ReaderAt, progress func(stored int64)) error {
	sum, err := chunk.ParseName(a.SHA256)
	if err != nil {
		return fmt.Errorf("uploading attachment %q: %w", a.Name, err)
	}
	u := upload{client: c, hotline: hotline, name: a, content: content, sum: sum}
	err = keepTrying(ctx, func() (bool, error) {
		before := u.state.Stored
		err := u.run(ctx, progress)
		return u.state.Stored > before, err
	})
	if err != nil {
		return fmt.Errorf("uploading attachment %q: %w", a.Name, err)
	}
	return nil
}

type upload struct {
	client  *Client
	hotline string
	name    message.Attachment
	sum     store.Hash
	content io.ReaderAt
	state   chunk.State
}

// run asks how far the relay is, and brings the rest.
func (u *upload) run(ctx context.Context, progress func(int64)) error {
	state, err := u.client.UploadState(ctx, u.hotline, u.name.SHA256)
	for ; err == nil && !state.Complete; state, err = u.put(ctx) {
		if u.state = state; state.Stored >= u.name.Size {
			return fmt.Errorf("the relay has %d bytes and did not complete it", state.Stored)
		}
		if progress != nil {
			progress(state.Stored)
		}
	}
	if err == nil {
		u.state = state
		if progress != nil {
			progress(state.Stored)
		}
	}
	return err
}

// put brings the part that comes next.
func (u *upload) put(ctx context.Context) (chunk.State, error) {
	c := chunk.Chunk{SHA256: u.sum, Size: u.name.Size, Offset: u.state.Stored}
	c.Content = make([]byte, min(uploadChunk, c.Size-c.Offset))
	if _, err := u.content.ReadAt(c.Content, c.Offset); err != nil && !errors.Is(err, io.EOF) {
		return chunk.State{}, &localError{fmt.Errorf("reading the file: %w", err)}
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodPut, uploadAddress(u.hotline, u.name.SHA256), bytes.NewReader(c.Content))
	if err != nil {
		return chunk.State{}, fmt.Errorf("composing the request: %w", err)
	}
	c.SetHeader(req.Header)
	var state chunk.State
	if err := u.client.exchange(req, &state); err != nil {
		return chunk.State{}, err
	}
	if state.Stored <= c.Offset && !state.Complete {
		return chunk.State{}, fmt.Errorf("the relay stored nothing beyond %d bytes", c.Offset)
	}
	return state, nil
}

// localError: trying again does not help.
type localError struct{ err error }

func (e *localError) Error() string { return e.err.Error() }
func (e *localError) Unwrap() error { return e.err }

// Download writes an attachment of a message to w, and goes on after a cut. It writes no
// more than its size; whether it has its digest is for the caller to see.
func (c *Client) Download(ctx context.Context, m desk.Message, a message.Attachment, w io.Writer) error {
	target := address(strings.Join([]string{desk.PathMessages, url.PathEscape(m.Direction), url.PathEscape(m.Peer), url.PathEscape(m.ID), "attachments", a.SHA256}, "/"), nil)
	var have int64
	err := keepTrying(ctx, func() (bool, error) {
		n, err := c.part(ctx, target, a, have, w)
		have += n
		return n > 0, err
	})
	if err != nil {
		return fmt.Errorf("downloading attachment %q of message %s: %w", a.Name, m.ID, err)
	}
	return nil
}

// part writes what comes after the first bytes, as far as it comes.
func (c *Client) part(ctx context.Context, target string, a message.Attachment, from int64, w io.Writer) (int64, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, target, nil)
	if err != nil {
		return 0, fmt.Errorf("composing the request: %w", err)
	}
	want := http.StatusOK
	if from > 0 {
		req.Header.Set("Range", fmt.Sprintf("bytes=%d-", from))
		want = http.StatusPartialContent
	}
	resp, err := c.http.Do(req)
	if err != nil {
		return 0, fmt.Errorf("asking the relay: %w", bare(err))
	}
	defer resp.Body.Close()
	if resp.StatusCode != want {
		return 0, refusal(resp)
	}
	n, err := io.CopyN(&local{w}, resp.Body, a.Size-from)
	if err != nil {
		return n, fmt.Errorf("%d of %d bytes came: %w", from+n, a.Size, err)
	}
	return n, nil
}

// local marks errors of writing as our own.
type local struct{ w io.Writer }

func (l *local) Write(p []byte) (int, error) {
	n, err := l.w.Write(p)
	if err != nil {
		err = &localError{err}
	}
	return n, err
}

// keepTrying does work until it succeeds, fails for good, or fails too often in a row
// without progress.
func keepTrying(ctx context.Context, work func() (progress bool, err error)) error {
	for failed := 0; ; {
		progress, err := work()
		if err == nil {
			return nil
		}
		if progress {
			failed = 0
		}
		if _, ours := errors.AsType[*localError](err); ours || !worthTrying(err) || failed == transferTries {
			return err
		}
		if pause(ctx, transferPause<<failed) != nil {
			return err
		}
		failed++
	}
}

// worthTrying: the relay gave no answer, or asks for another try.
func worthTrying(err error) bool {
	if answer, ok := errors.AsType[*Error](err); ok {
		switch answer.Status {
		case http.StatusConflict, http.StatusTooManyRequests, http.StatusServiceUnavailable:
			return true
		}
		return false
	}
	return repeatable(err)
}
