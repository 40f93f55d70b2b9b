// SPDX-FileCopyrightText: The certlink authors
// SPDX-License-Identifier: Apache-2.0

package probe

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net/http"
	"time"

	"github.com/certlink/certlink/relay/access"
	"github.com/certlink/certlink/relay/link"
	"github.com/certlink/certlink/relay/problem"
	"github.com/certlink/certlink/relay/report"
)

// Answer is what a peer says to a single beat.
type Answer struct {
	// ReceivedAt is the peer's clock.
	ReceivedAt time.Time
	// View is how the peer sees the link.
	View View
}

// Ask sends a single beat to a peer, POST link.PathProbe over a connection of
// the caller, and returns the answer, or an error as link has it. It changes
// nothing on either side.
func (p *Prober) Ask(ctx context.Context, client *http.Client, trustDomain string) (Answer, error) {
	beat, ok := p.single(trustDomain, 0)
	if !ok {
		return Answer{}, &link.Error{Cause: report.CauseNoEndpoints, Message: fmt.Sprintf("no peer of ours has the trust domain %q", trustDomain)}
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, "https://"+trustDomain+link.PathProbe, bytes.NewReader(beat.append(nil)))
	if err != nil {
		return Answer{}, fmt.Errorf("building a heartbeat: %w", err)
	}
	req.Header.Set("Content-Type", "application/json")
	resp, err := client.Do(req)
	if err != nil {
		return Answer{}, err
	}
	defer resp.Body.Close()
	data, err := io.ReadAll(io.LimitReader(resp.Body, MaxBeat+1))
	if err != nil {
		return Answer{}, fmt.Errorf("reading the answer to a heartbeat: %w", err)
	}
	if resp.StatusCode == http.StatusForbidden {
		return Answer{}, &link.Error{Cause: report.CauseRefused,
			Message: "the peer's relay does not accept us any more: ask the peer whether it has revoked us"}
	}
	answer, err := parse(data)
	if resp.StatusCode != http.StatusOK || err != nil || answer.Seen != beat.Seq {
		return Answer{}, &link.Error{Cause: report.CauseProtocol, Message: fmt.Sprintf(
			"the peer's relay answers a heartbeat with HTTP status %d, not as this protocol has it: one of the two sides must be upgraded", resp.StatusCode)}
	}
	return Answer{ReceivedAt: answer.SentAt, View: answer.View}, nil
}

// single makes a beat of no path; false when there is no such peer now.
func (p *Prober) single(trustDomain string, seen uint64) (Beat, bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	known := p.peers[trustDomain]
	if known == nil {
		return Beat{}, false
	}
	return Beat{
		Seq: 1, SentAt: p.cfg.Clock(), Instance: p.instance, Seen: seen,
		IntervalMilliseconds: known.cfg.Detection.IntervalMilliseconds, Misses: known.cfg.Detection.Misses,
		View: known.view(), Offer: known.offer,
	}, true
}

// ServeHTTP answers single beats of peers on the link port.
func (p *Prober) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	from, ok := access.PeerFrom(r.Context())
	if !ok {
		problem.Write(w, http.StatusForbidden, "only a peer may send heartbeats")
		return
	}
	if r.URL.Path != link.PathProbe {
		problem.Write(w, http.StatusNotFound, "single heartbeats go to "+link.PathProbe)
		return
	}
	if r.Method != http.MethodPost {
		w.Header().Set("Allow", http.MethodPost)
		problem.Write(w, http.StatusMethodNotAllowed, "a single heartbeat is a POST")
		return
	}
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, MaxBeat))
	if err != nil {
		problem.Write(w, http.StatusRequestEntityTooLarge, "a heartbeat has at most 1 KiB")
		return
	}
	beat, err := parse(bytes.TrimSpace(body))
	if err != nil {
		problem.Write(w, http.StatusBadRequest, "the body is not a heartbeat")
		return
	}
	answer, ok := p.single(from.TrustDomain, beat.Seq)
	if !ok {
		problem.Write(w, http.StatusForbidden, "no peer of ours any more")
		return
	}
	w.Header().Set("Content-Type", "application/json")
	// An error here means that the peer is gone, which its heartbeats will show.
	_, _ = w.Write(answer.append(nil))
}
