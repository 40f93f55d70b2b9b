// SPDX-FileCopyrightText: The certlink authors
// SPDX-License-Identifier: Apache-2.0

package transit

import (
	"bytes"
	"context"
	"crypto/rand"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"time"
	"unicode"

	"github.com/certlink/certlink/relay/link"
	"github.com/certlink/certlink/relay/problem"
	"github.com/certlink/certlink/relay/seal"
)

const (
	// routeTime bounds a request of a few bytes through one peer: a drop shows after it.
	routeTime = 8 * time.Second
	// mostTime bounds any request, as the link does.
	mostTime = 30 * time.Second
	// slowest is how many bytes a second a way through a peer takes at least, in both of its
	// parts together: larger requests have more time.
	slowest = 64 << 10
)

// timeFor bounds a request with so many bytes.
func timeFor(n int) time.Duration {
	return min(mostTime, routeTime+time.Duration(n/slowest)*time.Second)
}

// carrierError: the peer in the middle answered in the place of the receiver. What it says
// is its word alone.
type carrierError struct {
	status int
	detail string
}

func (e *carrierError) Error() string {
	if e.detail == "" {
		return fmt.Sprintf("it answered %d %s", e.status, http.StatusText(e.status))
	}
	return fmt.Sprintf("it answered %d and says: %s", e.status, e.detail)
}

// through sends a request to a trust domain through another, and returns the answer of
// the receiver. Whatever is no such answer is an error.
func (e *Engine) through(ctx context.Context, to string, r *route, req *http.Request, body []byte) (*http.Response, error) {
	limit := timeFor(len(body))
	ctx, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	resp, err := e.exchange(ctx, to, r.peer.TrustDomain, req, body)
	if errors.Is(ctx.Err(), context.DeadlineExceeded) && err != nil {
		err = fmt.Errorf("no answer of %s came back within %d s: %s, the way behind it, or %s's relay is down, or it drops what we send", to, int(limit.Seconds()), r.peer.TrustDomain, to)
	}
	if errors.Is(ctx.Err(), context.Canceled) && err != nil {
		return nil, err // another way was faster, or nobody waits: it says nothing about this one
	}
	if said, ok := errors.AsType[*carrierError](err); ok && said.status == http.StatusTooManyRequests && len(body) > small {
		return nil, err // small ones still go this way, as the next try will show
	}
	result := "answered"
	if err != nil {
		result = "failed"
	}
	e.metrics.sent.WithLabelValues(to, r.peer.TrustDomain, result).Inc()
	if r.note(e.cfg.Now(), err) {
		e.cfg.Changed()
		e.cfg.Log.InfoContext(ctx, "transit", "peer", to, "via", r.peer.TrustDomain, "error", err)
	}
	return resp, err
}

// note keeps how an attempt went, and tells whether that is news.
func (r *route) note(now time.Time, err error) bool {
	text := ""
	if err != nil {
		text = err.Error()
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	news := r.proven != (err == nil) || r.err != text
	r.tried, r.proven, r.err = now, err == nil, text
	return news
}

// exchange seals a request, has it carried, and opens the answer.
func (e *Engine) exchange(ctx context.Context, to, via string, req *http.Request, body []byte) (*http.Response, error) {
	identity := e.cfg.Identity()
	key, err := e.cfg.Keys.Peer(ctx, to)
	if err != nil {
		return nil, err
	}
	once, err := seal.NewPrivateKey() // so that who gets our key later cannot read answers
	if err != nil {
		return nil, err
	}
	asked := request{
		Version: 1, ID: newID(), From: identity.TrustDomain(), To: to, Via: via, At: e.cfg.Now().UTC(),
		Method: req.Method, Path: req.URL.RequestURI(), Header: headerOf(req.Header), Body: digest(body), AnswerKey: once.Public().Bytes(),
	}
	if !fits(asked.Method, asked.Path, asked.Header) {
		return nil, errors.New("the head of the request is too large for transit")
	}
	packed, jws, err := pack(identity, TypeRequest, asked, body)
	if err != nil {
		return nil, err
	}
	sealed, err := seal.Seal(key, envelope(purposeRequest, asked.From, to), packed)
	if err != nil {
		return nil, err
	}
	back, err := e.carry(ctx, via, PathTo+to, sealed)
	if err != nil {
		return nil, err
	}
	opened, err := seal.Open([]seal.PrivateKey{once}, envelope(purposeAnswer, to, asked.From), back)
	if err != nil {
		return nil, fmt.Errorf("what came back is no answer of %s: %w", to, err)
	}
	a, content, err := openAnswer(identity, opened, jws, asked, e.cfg.Now())
	if err != nil {
		return nil, fmt.Errorf("what came back is no answer of %s: %w", to, err)
	}
	return &http.Response{
		StatusCode: a.Status, Status: fmt.Sprintf("%d %s", a.Status, http.StatusText(a.Status)), Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1,
		Header: toHeader(a.Header), Body: io.NopCloser(bytes.NewReader(content)), ContentLength: int64(len(content)), Request: req,
	}, nil
}

// carry posts sealed bytes to the relay of a peer, and returns the sealed bytes that it
// answers with. It goes over one path: a second copy would be refused as a repetition.
func (e *Engine) carry(ctx context.Context, peer, path string, sealed []byte) ([]byte, error) {
	target := url.URL{Scheme: "https", Host: peer, Path: path}
	req, err := http.NewRequestWithContext(link.OverOnePath(ctx), http.MethodPost, target.String(), bytes.NewReader(sealed))
	if err != nil {
		return nil, fmt.Errorf("addressing %s: %w", peer, err)
	}
	req.Header.Set("Content-Type", ContentType)
	req.Header.Set("Accept", ContentType+", "+problem.ContentType)
	resp, err := e.cfg.Direct(peer).Do(req)
	if err != nil {
		if wrapped, ok := errors.AsType[*url.Error](err); ok {
			err = wrapped.Err
		}
		return nil, err
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK || resp.Header.Get("Content-Type") != ContentType {
		var said problem.Details
		_ = json.NewDecoder(io.LimitReader(resp.Body, 4<<10)).Decode(&said) // without it the status must do
		return nil, &carrierError{status: resp.StatusCode, detail: printable(said.Detail)}
	}
	back, err := io.ReadAll(io.LimitReader(resp.Body, maxSealed+1))
	if err != nil {
		return nil, fmt.Errorf("reading the answer: %w", err)
	}
	if len(back) > maxSealed {
		return nil, fmt.Errorf("the answer has more than %d bytes", maxSealed)
	}
	return back, nil
}

func newID() string {
	var id [16]byte
	_, _ = rand.Read(id[:]) // never fails, see crypto/rand
	return hex.EncodeToString(id[:])
}

// printable cuts what a peer wrote for people down to something fit for a log.
func printable(text string) string {
	const most = 300
	text = strings.Map(func(r rune) rune {
		if !unicode.IsPrint(r) {
			return '?'
		}
		return r
	}, text)
	if runes := []rune(text); len(runes) > most {
		text = string(runes[:most-1]) + "…"
	}
	return text
}
