// SPDX-FileCopyrightText: The certlink authors
// SPDX-License-Identifier: Apache-2.0

package hotline

import (
	"bytes"
	"context"
	"slices"
	"sync"
)

// underway are the requests of a peer that are being answered. A batch that is slow to be
// answered comes again over another path, FLASH over all at once: the copies wait for the
// first one and get its answer, instead of the same work once more. The zero value is ready.
type underway struct {
	mu    sync.Mutex // guards what follows
	calls []*call
}

// call is a request that is being answered; what follows done is set when that is closed.
type call struct {
	request []byte
	done    chan struct{}
	body    []byte
	err     error
}

// once answers a request, or waits for the answer to the same one. An error is that of one
// copy alone, whose connection may have gone away: the others are answered by themselves.
func (u *underway) once(ctx context.Context, request []byte, answer func() ([]byte, error)) ([]byte, error) {
	c, first := u.join(request)
	if first {
		defer u.leave(c)
		c.err = errUnfinished
		c.body, c.err = answer()
		return c.body, c.err
	}
	select {
	case <-c.done:
		if c.err == nil {
			return c.body, nil
		}
		return answer()
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

// join returns the call for a request, and whether the caller has to make it.
func (u *underway) join(request []byte) (c *call, first bool) {
	u.mu.Lock()
	defer u.mu.Unlock()
	for _, c := range u.calls {
		if bytes.Equal(c.request, request) {
			return c, false
		}
	}
	c = &call{request: request, done: make(chan struct{})}
	u.calls = append(u.calls, c)
	return c, true
}

func (u *underway) leave(c *call) {
	u.mu.Lock()
	defer u.mu.Unlock()
	u.calls = slices.DeleteFunc(u.calls, func(other *call) bool { return other == c })
	close(c.done)
}
