// SPDX-FileCopyrightText: The certlink authors
// SPDX-License-Identifier: Apache-2.0

package probe

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"sync"
	"time"

	"github.com/certlink/certlink/relay/link"
	"github.com/certlink/certlink/relay/report"
)

// drive probes one path until the context ends. A probe does not wait for the one
// before; their number is bounded by the time that each may take.
func (p *Prober) drive(ctx context.Context, l lane) {
	client := p.cfg.Client(l.trustDomain, l.address)
	var probes sync.WaitGroup
	defer probes.Wait()
	tick := time.NewTicker(interval(l.detection))
	defer tick.Stop()
	for {
		probes.Go(func() { p.probe(ctx, client, l) })
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
	}
}

// probe asks once and notes the result.
func (p *Prober) probe(ctx context.Context, client *http.Client, l lane) {
	req, ok := p.question(l)
	if !ok {
		return
	}
	ctx, cancel := context.WithTimeout(ctx, timeout(l.detection))
	defer cancel()
	answer, facts, err := ask(ctx, client, l.trustDomain, req)
	if errors.Is(ctx.Err(), context.Canceled) {
		return // the path is not probed any more: this says nothing about it
	}
	p.note(l, result{answer: answer, facts: facts, err: err, asked: req.SentAt, took: p.cfg.Clock().Sub(req.SentAt)})
}

// question makes the next probe of a peer; false when there is no such peer now.
func (p *Prober) question(l lane) (Request, bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	known := p.peers[l.trustDomain]
	if known == nil {
		return Request{}, false
	}
	known.seq++
	return Request{
		Seq: known.seq, SentAt: p.cfg.Clock(), View: known.view(),
		IntervalMilliseconds: l.detection.IntervalMilliseconds, Misses: l.detection.Misses,
	}, true
}

// result of one probe.
type result struct {
	answer Answer
	facts  report.TLS
	err    error
	asked  time.Time
	took   time.Duration
}

// note brings the path up to date.
func (p *Prober) note(l lane, r result) {
	p.mu.Lock()
	known := p.peers[l.trustDomain]
	if known == nil {
		p.mu.Unlock()
		return
	}
	before, ours := known.tracks[l.address]
	if !ours {
		p.mu.Unlock()
		return // the address was taken out meanwhile
	}
	var after track
	changed := false
	if r.err == nil {
		after = before.answered(r.took)
		changed = known.proven(r.facts)
		known.in.view = r.answer.View
		p.metrics.answered(known.cfg.Name, r)
	} else {
		after = before.lost(faultOf(l.address, r.err), l.detection.Misses)
		p.metrics.lost(known.cfg.Name)
	}
	known.tracks[l.address] = after
	p.mu.Unlock()

	if after.state != before.state {
		p.cfg.Path(l.trustDomain, l.address, after.state == report.Up)
		changed = true
	}
	if changed {
		p.cfg.Changed()
	}
	p.judge()
}

// faultOf reads the cause from the error of a probe.
func faultOf(address string, err error) fault {
	if e, ok := errors.AsType[*link.Error](err); ok {
		return fault{e.Cause, e.Message}
	}
	if errors.Is(err, context.DeadlineExceeded) {
		return fault{report.CauseUnreachable, address + ": no answer in time: check address, route and firewall; if they are right, the peer's relay is down"}
	}
	return fault{report.CauseProtocol, fmt.Sprintf("%s: %v", address, err)}
}

// ask sends one probe and reads the answer.
func ask(ctx context.Context, client *http.Client, trustDomain string, probe Request) (Answer, report.TLS, error) {
	body, err := json.Marshal(probe)
	if err != nil {
		return Answer{}, report.TLS{}, fmt.Errorf("encoding a probe: %w", err)
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, "https://"+trustDomain+link.PathProbe, bytes.NewReader(body))
	if err != nil {
		return Answer{}, report.TLS{}, fmt.Errorf("building a probe: %w", err)
	}
	req.Header.Set("Content-Type", "application/json")
	resp, err := client.Do(req)
	if err != nil {
		return Answer{}, report.TLS{}, err
	}
	defer resp.Body.Close()
	data, err := io.ReadAll(io.LimitReader(resp.Body, maxBody))
	if err != nil {
		return Answer{}, report.TLS{}, fmt.Errorf("reading the answer to a probe: %w", err)
	}
	if resp.StatusCode == http.StatusForbidden {
		return Answer{}, report.TLS{}, &link.Error{Cause: report.CauseRefused,
			Message: "the peer's relay does not accept us any more: ask the peer whether it has revoked us"}
	}
	var answer Answer
	if resp.StatusCode != http.StatusOK || json.Unmarshal(data, &answer) != nil || answer.Seq != probe.Seq {
		return Answer{}, report.TLS{}, &link.Error{Cause: report.CauseProtocol, Message: fmt.Sprintf(
			"the peer's relay answers a probe with HTTP status %d, not as this protocol has it: one of the two sides must be upgraded", resp.StatusCode)}
	}
	return answer, link.TLSFacts(resp), nil
}
