// SPDX-FileCopyrightText: The certlink authors
// SPDX-License-Identifier: Apache-2.0

package probe

import (
	"fmt"
	"time"

	"github.com/certlink/certlink/relay/config"
	"github.com/certlink/certlink/relay/report"
)

// peer is what we know of the link to one peer. The prober's lock guards it.
type peer struct {
	cfg     config.Peer
	tracks  map[string]track // by address
	in      inbound
	refused refusal
	seq     uint64
	tls     *report.TLS

	// as last told
	out, inb report.Direction
}

func newPeer(cfg config.Peer, now time.Time) *peer {
	return &peer{cfg: cfg, tracks: map[string]track{}, in: inbound{since: now}}
}

// configure takes a new configuration and keeps what is known about paths that stay.
func (p *peer) configure(cfg config.Peer, now time.Time) {
	if p.cfg.State == config.Revoked && cfg.State != config.Revoked {
		p.in = inbound{since: now} // begin anew
	}
	p.cfg = cfg
	kept := make(map[string]track, len(cfg.Endpoints))
	for _, e := range cfg.Endpoints {
		kept[e.Address] = p.tracks[e.Address]
	}
	p.tracks = kept
}

// judge brings both directions up to date and tells whether anything is different
// that a person would act on, and whether the outbound direction came up.
func (p *peer) judge(now time.Time) (changed, cameUp bool) {
	out, inb := p.judgeOutbound(), p.judgeInbound(now)
	cameUp = out.State == report.Up && p.out.State != report.Up
	changed = settle(&p.out, out, now)
	return settle(&p.inb, inb, now) || changed, cameUp
}

// settle puts a direction in place of the last one; Since moves with the state.
func settle(last *report.Direction, next report.Direction, now time.Time) bool {
	next.Since = last.Since
	if next.State != last.State {
		next.Since = now
	}
	changed := next != *last
	*last = next
	return changed
}

func (p *peer) judgeOutbound() report.Direction {
	if p.cfg.State == config.Revoked {
		return report.Direction{State: report.Down, Message: "the peer is Revoked by our side: nothing is sent"}
	}
	if len(p.cfg.Endpoints) == 0 {
		return report.Direction{State: report.Unknown, Cause: report.CauseNoEndpoints,
			Message: fmt.Sprintf("we have no address of %q: it dials us", p.cfg.TrustDomain)}
	}
	tracks := make([]track, len(p.cfg.Endpoints))
	for i, e := range p.cfg.Endpoints {
		tracks[i] = p.tracks[e.Address]
	}
	state, f := outbound(tracks)
	return report.Direction{State: state, Cause: f.cause, Message: f.message}
}

func (p *peer) judgeInbound(now time.Time) report.Direction {
	if p.cfg.State == config.Revoked {
		return report.Direction{State: report.Down, Message: "the peer is Revoked by our side: nothing is accepted"}
	}
	d := report.Direction{State: p.in.state(now, p.cfg.Detection)}
	if d.State == report.Down {
		f := explainSilence(p.cfg, p.out.State, p.in, p.refused, now)
		d.Cause, d.Message = f.cause, f.message
	}
	return d
}

// view is what we tell the peer about our side.
func (p *peer) view() View {
	return View{Outbound: p.out.State, Cause: p.out.Cause, Seen: p.in.seen}
}

// heard notes a probe of the peer.
func (p *peer) heard(req Request, now time.Time) {
	p.in.last = now
	p.in.budget = clamp(config.Detection{IntervalMilliseconds: req.IntervalMilliseconds, Misses: req.Misses})
	p.in.view = req.View
	p.in.seen = req.Seq // a peer that restarted begins at 1 again
	p.refused = refusal{}
}

// proven notes the TLS session over which something was proven.
func (p *peer) proven(facts report.TLS) (changed bool) {
	changed = p.tls == nil || *p.tls != facts
	p.tls = &facts
	return changed
}

// report describes the peer.
func (p *peer) report() report.Peer {
	r := report.Peer{Name: p.cfg.Name, State: string(p.cfg.State), Outbound: p.out, Inbound: p.inb}
	if p.tls != nil {
		copied := *p.tls
		r.TLS = &copied
	}
	for _, e := range p.cfg.Endpoints {
		t := p.tracks[e.Address]
		state := report.PathState{Address: e.Address, State: t.state, RoundTripMilliseconds: milliseconds(t.roundTrip)}
		if t.state == "" || p.cfg.State == config.Revoked {
			state.State = report.Unknown
		}
		if t.state == report.Down {
			state.Message = t.fault.message
		}
		r.Paths = append(r.Paths, state)
	}
	return r
}

// milliseconds with microseconds as the finest grain.
func milliseconds(d time.Duration) float64 { return float64(d.Microseconds()) / 1000 }
