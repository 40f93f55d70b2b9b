// SPDX-FileCopyrightText: The certlink authors
// SPDX-License-Identifier: Apache-2.0

package probe

import (
	"encoding/json"
	"io"
	"net/http"

	"github.com/certlink/certlink/relay/access"
	"github.com/certlink/certlink/relay/link"
	"github.com/certlink/certlink/relay/problem"
)

// ServeHTTP answers the probes of peers on the link port.
func (p *Prober) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	from, ok := access.PeerFrom(r.Context())
	if !ok {
		problem.Write(w, http.StatusForbidden, "only a peer may probe")
		return
	}
	if r.URL.Path != link.PathProbe {
		problem.Write(w, http.StatusNotFound, "probes go to "+link.PathProbe)
		return
	}
	if r.Method != http.MethodPost {
		w.Header().Set("Allow", http.MethodPost)
		problem.Write(w, http.StatusMethodNotAllowed, "a probe is a POST")
		return
	}
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxBody))
	if err != nil {
		problem.Write(w, http.StatusRequestEntityTooLarge, "a probe has at most 4 KiB")
		return
	}
	var req Request
	if err := json.Unmarshal(body, &req); err != nil || req.Seq == 0 {
		problem.Write(w, http.StatusBadRequest, "the body is not a probe")
		return
	}
	answer, ok := p.answer(r, from.TrustDomain, req)
	if !ok {
		problem.Write(w, http.StatusForbidden, "no peer of ours any more")
		return
	}
	w.Header().Set("Content-Type", "application/json")
	// An error here means that the peer is gone, which its next probe will show.
	_ = json.NewEncoder(w).Encode(answer)
}

// answer notes a probe and answers it.
func (p *Prober) answer(r *http.Request, trustDomain string, req Request) (Answer, bool) {
	now := p.cfg.Clock()
	facts, proven := link.Session(r.Context())
	p.mu.Lock()
	known := p.peers[trustDomain]
	if known == nil {
		p.mu.Unlock()
		return Answer{}, false
	}
	known.heard(req, now)
	changed := proven && known.tls == nil && known.proven(facts)
	changed = changed || known.inb.State != known.in.state(now, known.cfg.Detection)
	answer := Answer{Seq: req.Seq, ReceivedAt: now, View: known.view()}
	p.mu.Unlock()
	if changed {
		p.cfg.Changed()
		p.judge()
	}
	return answer, true
}
