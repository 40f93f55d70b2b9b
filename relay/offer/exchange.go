// SPDX-FileCopyrightText: The certlink authors
// SPDX-License-Identifier: Apache-2.0

package offer

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

	"github.com/certlink/certlink/relay/problem"
)

// The pace of exchanges.
const (
	// every is the time between two exchanges when nothing happens, jitter by how much
	// of it each one is earlier or later.
	every  = 30 * time.Second
	jitter = 0.2
	// shortestGap is the shortest time between the beginnings of two exchanges.
	shortestGap = 250 * time.Millisecond
	// firstPause after a failure doubles up to every.
	firstPause = time.Second
	// exchangeTimeout bounds one exchange.
	exchangeTimeout = 20 * time.Second
)

// drive exchanges offers until the context ends. The first exchange is at once.
func (p *peer) drive(ctx context.Context) {
	failures := 0
	for {
		began := time.Now()
		again, err := p.exchange(ctx)
		if err != nil {
			failures++
		} else {
			failures = 0
		}
		next := pace(failures, again && err == nil, rand.Float64())
		woken, alive := p.pause(ctx, next)
		if woken {
			failures = 0
		}
		if !alive || !sleep(ctx, shortestGap-time.Since(began)) {
			return
		}
	}
}

// pace is the time to the next exchange after so many failures in a row; random is
// within 0 and 1. Again means that there is something new already.
func pace(failures int, again bool, random float64) time.Duration {
	d := every
	switch {
	case again:
		return 0
	case failures > 0 && failures <= 5:
		d = min(firstPause<<(failures-1), every)
	}
	return time.Duration(float64(d) * (1 - jitter + 2*jitter*random))
}

// pause waits for a while, or until it is woken. Alive is false when the context ended.
func (p *peer) pause(ctx context.Context, d time.Duration) (woken, alive bool) {
	t := time.NewTimer(d)
	defer t.Stop()
	for {
		select {
		case <-ctx.Done():
			return false, false
		case <-p.wake:
			return true, true
		case <-p.nudged:
			if p.outdated() {
				return true, true
			}
		case <-t.C:
			return false, true
		}
	}
}

func sleep(ctx context.Context, d time.Duration) bool {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-ctx.Done():
		return false
	case <-t.C:
		return true
	}
}

// exchange sends our offer and takes the peer's in the answer. Again tells that ours
// has changed meanwhile, by what the peer said for example.
func (p *peer) exchange(ctx context.Context) (again bool, err error) {
	ctx, cancel := context.WithTimeout(ctx, exchangeTimeout)
	defer cancel()
	jws, revision, err := p.sign()
	if err == nil {
		err = p.post(ctx, jws)
	}
	p.sent(ctx, revision, err)
	return err == nil && (p.draft().Revision != revision || p.behind()), err
}

// sent notes how our last exchange went.
func (p *peer) sent(ctx context.Context, revision string, err error) {
	if err != nil && errors.Is(context.Cause(ctx), context.Canceled) {
		return // we are stopping
	}
	result := "exchanged"
	if err != nil {
		result = "failed"
	}
	p.engine.metrics.sent.WithLabelValues(p.trustDomain, result).Inc()
	p.mu.Lock()
	news := (p.sendErr == nil) != (err == nil) || err != nil && p.sendErr.Error() != err.Error()
	if p.sendErr = err; err == nil {
		p.told = revision
	}
	p.mu.Unlock()
	if news {
		p.engine.cfg.Changed()
		p.engine.cfg.Log.Debug("exchange of offers", "peer", p.trustDomain, "error", err)
	}
}

// answerError: the peer answered, but with no offer.
type answerError struct {
	status int
	detail string
}

func (e *answerError) Error() string {
	switch {
	case e.status == http.StatusNotFound:
		return "the peer's relay knows no offers: it is of an older release, or no relay of certlink"
	case e.detail == "":
		return fmt.Sprintf("the peer answered our offer with %d %s", e.status, http.StatusText(e.status))
	}
	return fmt.Sprintf("the peer answered our offer with %d; its relay says: %s", e.status, e.detail)
}

func (p *peer) post(ctx context.Context, jws []byte) error {
	target := url.URL{Scheme: "https", Host: p.trustDomain, Path: Path}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, target.String(), bytes.NewReader(jws))
	if err != nil {
		return fmt.Errorf("addressing an offer: %w", err)
	}
	req.Header.Set("Content-Type", ContentType)
	req.Header.Set("Accept", ContentType+", "+problem.ContentType)
	resp, err := p.engine.cfg.Client(p.trustDomain).Do(req)
	if err != nil {
		if wrapped, ok := errors.AsType[*url.Error](err); ok {
			err = wrapped.Err
		}
		return err
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		return &answerError{status: resp.StatusCode, detail: readProblem(resp.Body)}
	}
	answer, err := io.ReadAll(io.LimitReader(resp.Body, MaxBytes+1))
	if err != nil {
		return fmt.Errorf("reading the peer's offer: %w", err)
	}
	return p.take(ctx, answer)
}

// readProblem returns the line for people in an error of the peer.
func readProblem(body io.Reader) string {
	var said problem.Details
	if json.NewDecoder(io.LimitReader(body, 4<<10)).Decode(&said) != nil {
		return ""
	}
	return printable(said.Detail, 200)
}
