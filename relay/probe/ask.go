// SPDX-FileCopyrightText: The certlink authors
// SPDX-License-Identifier: Apache-2.0

package probe

import (
	"context"
	"fmt"
	"net/http"

	"github.com/certlink/certlink/relay/link"
	"github.com/certlink/certlink/relay/report"
)

// Ask sends one probe more to a peer over a connection of the caller and returns
// the answer, or an error as link has it. The peer sees a probe like all others;
// on our side it changes nothing.
func (p *Prober) Ask(ctx context.Context, client *http.Client, trustDomain string) (Answer, error) {
	p.mu.Lock()
	known := p.peers[trustDomain]
	if known == nil {
		p.mu.Unlock()
		return Answer{}, &link.Error{Cause: report.CauseNoEndpoints, Message: fmt.Sprintf("no peer of ours has the trust domain %q", trustDomain)}
	}
	l := lane{trustDomain: trustDomain, detection: known.cfg.Detection}
	p.mu.Unlock()
	req, ok := p.question(l)
	if !ok {
		return Answer{}, &link.Error{Cause: report.CauseNoEndpoints, Message: fmt.Sprintf("no peer of ours has the trust domain %q", trustDomain)}
	}
	answer, _, err := ask(ctx, client, trustDomain, req)
	return answer, err
}

// Explain says what a peer sees of its own direction when it is Down, in words
// of ours; "" when the peer sees nothing wrong.
func (v View) Explain() string {
	if v.Outbound != report.Down {
		return ""
	}
	return peerSays(v.Cause)
}
