// SPDX-FileCopyrightText: The certlink authors
// SPDX-License-Identifier: Apache-2.0

package hotline

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"net/url"
	"time"

	"github.com/hashicorp/go-retryablehttp"

	"github.com/certlink/certlink/relay/hotline/wire"
	"github.com/certlink/certlink/relay/link"
	"github.com/certlink/certlink/relay/problem"
	"github.com/certlink/certlink/relay/report"
)

const (
	// Path of the inbox on the link port.
	Path = "/certlink/v1/hotline/batches"
	// ContentType of batches and answers.
	ContentType = wire.ContentType

	// maxProblemBytes is the longest error that is read.
	maxProblemBytes = 4 << 10
	// quickRetries of one attempt, each after quickPause, up to a half longer: for
	// a peer that restarts its listener. Longer outages are the outbox's matter.
	quickRetries = 2
	quickPause   = 100 * time.Millisecond
)

// post sends a batch and returns the body of the peer's success.
func (l *line) post(ctx context.Context, request []byte) ([]byte, error) {
	target := url.URL{Scheme: "https", Host: l.trustDomain, Path: Path}
	req, err := retryablehttp.NewRequestWithContext(ctx, http.MethodPost, target.String(), request)
	if err != nil {
		return nil, fmt.Errorf("addressing a batch: %w", err)
	}
	req.Header.Set("Content-Type", ContentType)
	req.Header.Set("Accept", ContentType+", "+problem.ContentType)
	resp, err := newClient(l.engine.cfg.Client(l.trustDomain)).Do(req)
	if err != nil {
		return nil, withoutURL(err)
	}
	defer func() { _ = resp.Body.Close() }()
	if resp.StatusCode != http.StatusOK {
		return nil, &refusedError{status: resp.StatusCode, detail: readProblem(resp)}
	}
	if resp.ContentLength > wire.MaxBytes {
		return nil, &receiptError{err: fmt.Errorf("it has more than %d bytes", wire.MaxBytes)}
	}
	body, err := readAll(io.LimitReader(resp.Body, wire.MaxBytes+1), resp.ContentLength)
	if err != nil {
		return nil, fmt.Errorf("reading the peer's answer: %w", err)
	}
	if len(body) > wire.MaxBytes {
		return nil, &receiptError{err: fmt.Errorf("it has more than %d bytes", wire.MaxBytes)}
	}
	return body, nil
}

// over says over which paths a message goes: FLASH over all at once, any other over
// the next when the first is slow. The peer stores it once, by its id.
func over(ctx context.Context, precedence string) context.Context {
	if precedence == "FLASH" {
		return link.WithAllPaths(ctx)
	}
	return link.WithHedge(ctx)
}

// newClient is the one place that knows go-retryablehttp.
func newClient(c *http.Client) *retryablehttp.Client {
	return &retryablehttp.Client{
		HTTPClient:   c,
		RetryMax:     quickRetries,
		CheckRetry:   checkRetry,
		Backoff:      pause,
		ErrorHandler: retryablehttp.PassthroughErrorHandler,
	}
}

func pause(_, _ time.Duration, _ int, _ *http.Response) time.Duration {
	return quickPause + rand.N(quickPause/2)
}

// checkRetry repeats at once what may pass at once: messages are keyed by id, so
// repeating is always safe. A certificate does not mend itself in a moment.
func checkRetry(ctx context.Context, resp *http.Response, err error) (bool, error) {
	select {
	case <-ctx.Done(): // the error at hand says more than that the time is over
		return false, nil
	default:
	}
	if resp != nil {
		return resp.StatusCode == http.StatusServiceUnavailable, nil
	}
	unreachable, ok := errors.AsType[*link.Error](err)
	return ok && unreachable.Cause == report.CauseUnreachable, nil
}

// withoutURL takes off what http.Client puts around an error: people know whom
// the message is for.
func withoutURL(err error) error {
	if e, ok := errors.AsType[*url.Error](err); ok {
		return e.Err
	}
	return err
}

// readProblem returns the one line for people in an error of the peer.
func readProblem(resp *http.Response) string {
	var p problem.Details
	body, err := io.ReadAll(io.LimitReader(resp.Body, maxProblemBytes))
	if err != nil || json.NewDecoder(bytes.NewReader(body)).Decode(&p) != nil {
		return ""
	}
	return oneLine(p.Detail)
}
