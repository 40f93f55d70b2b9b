// SPDX-FileCopyrightText: The certlink authors
// SPDX-License-Identifier: Apache-2.0

package remote

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"math/rand/v2"
	"net/http"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/hashicorp/go-retryablehttp"
)

// Requests are repeated a few times at once, for what passes in moments.
const (
	retries      = 3
	firstWait    = 200 * time.Millisecond
	longestWait  = 5 * time.Second
	longestAsked = 20 * time.Second
	// longestHeeded is what a caller hears of Retry-After at most.
	longestHeeded = time.Hour
)

type callKey struct{}

// call goes with a request of Do, through its context.
type call struct {
	meter      *meter
	idempotent bool
}

func callOf(ctx context.Context) *call {
	c, _ := ctx.Value(callKey{}).(*call)
	return c
}

func newRetry(plain *http.Client, host string, log *slog.Logger) *retryablehttp.Client {
	r := &retryablehttp.Client{
		HTTPClient: plain, RetryMax: retries, RetryWaitMin: firstWait, RetryWaitMax: longestWait,
		CheckRetry: worthRepeating, Backoff: pause, ErrorHandler: retryablehttp.PassthroughErrorHandler,
	}
	if log != nil {
		r.Logger = leveled{log.With("host", host)}
	}
	return r
}

// worthRepeating is asked after each attempt.
func worthRepeating(ctx context.Context, resp *http.Response, err error) (bool, error) {
	if ctx.Err() != nil {
		return false, context.Cause(ctx)
	}
	c := callOf(ctx)
	idempotent := c != nil && c.idempotent
	if err != nil {
		return idempotent && (errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) ||
			errors.Is(err, syscall.ECONNRESET) || errors.Is(err, syscall.EPIPE)), nil
	}
	asked := retryAfter(resp)
	if asked > longestAsked {
		return false, nil // more patience than a request has
	}
	switch resp.StatusCode {
	case http.StatusTooManyRequests:
		return true, nil // it was not processed
	case http.StatusServiceUnavailable:
		return idempotent || asked > 0, nil
	case http.StatusBadGateway, http.StatusGatewayTimeout:
		return idempotent, nil
	}
	return false, nil
}

// pause doubles from shortest to longest, with jitter, unless the server says how
// long.
func pause(shortest, longest time.Duration, attempt int, resp *http.Response) time.Duration {
	if asked := retryAfter(resp); asked > 0 {
		return min(asked, longestAsked)
	}
	wait := min(longest, shortest<<min(attempt, 10))
	return wait/2 + rand.N(wait/2+1)
}

// retryAfter reads how long a server asks to wait, at most an hour; zero if it
// does not (RFC 9110 section 10.2.3).
func retryAfter(resp *http.Response) time.Duration {
	if resp == nil {
		return 0
	}
	text := strings.TrimSpace(resp.Header.Get("Retry-After"))
	if seconds, err := strconv.ParseUint(text, 10, 31); err == nil {
		return min(time.Duration(seconds)*time.Second, longestHeeded)
	}
	if at, err := http.ParseTime(text); err == nil {
		return max(0, min(time.Until(at), longestHeeded))
	}
	return 0
}

// leveled gives what go-retryablehttp says to slog: at debug, since what fails is
// returned, and without the URL, whose query may hold a secret.
type leveled struct{ log *slog.Logger }

// Error implements retryablehttp.LeveledLogger, as the others do.
func (l leveled) Error(text string, fields ...any) { l.log.Debug(text, harmless(fields)...) }

// Warn likewise.
func (l leveled) Warn(text string, fields ...any) { l.log.Debug(text, harmless(fields)...) }

// Info likewise.
func (l leveled) Info(text string, fields ...any) { l.log.Debug(text, harmless(fields)...) }

// Debug likewise.
func (l leveled) Debug(text string, fields ...any) { l.log.Debug(text, harmless(fields)...) }

// harmless keeps the fields that cannot hold a URL.
func harmless(fields []any) []any {
	var kept []any
	for i := 0; i+1 < len(fields); i += 2 {
		switch fields[i] {
		case "method", "timeout", "remaining":
			kept = append(kept, fields[i], fields[i+1])
		case "error":
			if err, ok := fields[i+1].(error); ok {
				kept = append(kept, "error", Clean(err))
			}
		}
	}
	return kept
}
