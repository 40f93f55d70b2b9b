// SPDX-FileCopyrightText: The certlink authors
// SPDX-License-Identifier: Apache-2.0

package taxii

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"math/rand/v2"
	"net/http"
	"strconv"
	"syscall"
	"time"

	"github.com/hashicorp/go-retryablehttp"
)

// Requests are repeated a few times at once, for what passes in moments: a
// connection that was closed under us, a server that asks to wait. All else is for the
// caller, who comes again later and can say what is wrong.
const (
	retries       = 3
	firstWait     = 200 * time.Millisecond
	longestWait   = 5 * time.Second
	longestAsked  = 20 * time.Second
	longestHeeded = time.Hour
)

func newRetry(plain *http.Client, logger *slog.Logger) *retryablehttp.Client {
	r := &retryablehttp.Client{
		HTTPClient: plain, RetryMax: retries, RetryWaitMin: firstWait, RetryWaitMax: longestWait,
		CheckRetry: worthRepeating, Backoff: pause, ErrorHandler: retryablehttp.PassthroughErrorHandler,
	}
	r.RequestLogHook = func(_ retryablehttp.Logger, req *http.Request, attempt int) {
		watcherOf(req.Context()).expect(0)
		if attempt > 0 && logger != nil {
			logger.DebugContext(req.Context(), "repeating TAXII request", "attempt", attempt, "path", req.URL.Path)
		}
	}
	return r
}

// worthRepeating is asked after each attempt. Every request of a Client is a GET, or a
// POST of objects, of which each version is stored once: it can be repeated whatever
// became of it.
func worthRepeating(ctx context.Context, resp *http.Response, err error) (bool, error) {
	if ctx.Err() != nil {
		return false, context.Cause(ctx)
	}
	if err != nil {
		watcherOf(ctx).expect(longestAsked)
		return errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) ||
			errors.Is(err, syscall.ECONNRESET) || errors.Is(err, syscall.EPIPE), nil
	}
	switch resp.StatusCode {
	case http.StatusTooManyRequests, http.StatusBadGateway, http.StatusServiceUnavailable, http.StatusGatewayTimeout:
		// A server that asks for more patience than a request has gets it from the caller.
		if retryAfter(resp, time.Now()) <= longestAsked {
			watcherOf(ctx).expect(longestAsked)
			return true, nil
		}
	}
	return false, nil
}

// pause doubles from shortest to longest, with jitter, unless the server says how
// long.
func pause(shortest, longest time.Duration, attempt int, resp *http.Response) time.Duration {
	if asked := retryAfter(resp, time.Now()); asked > 0 {
		return min(asked, longestAsked)
	}
	wait := min(longest, shortest<<min(attempt, 10))
	return wait/2 + rand.N(wait/2+1)
}

// retryAfter reads how long a server asks to wait, at most an hour; zero if it
// does not.
func retryAfter(resp *http.Response, now time.Time) time.Duration {
	if resp == nil {
		return 0
	}
	text := resp.Header.Get("Retry-After")
	if text == "" {
		return 0
	}
	if seconds, err := strconv.ParseUint(text, 10, 31); err == nil {
		return min(time.Duration(seconds)*time.Second, longestHeeded)
	}
	if at, err := http.ParseTime(text); err == nil {
		return max(0, min(at.Sub(now), longestHeeded))
	}
	return 0
}
