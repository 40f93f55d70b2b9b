// SPDX-FileCopyrightText: The certlink authors
// SPDX-License-Identifier: Apache-2.0

package probe

import (
	"cmp"
	"slices"
	"time"

	"github.com/certlink/certlink/relay/config"
	"github.com/certlink/certlink/relay/link"
	"github.com/certlink/certlink/relay/report"
)

// peer is what we know of the link to one peer. The prober's lock guards it.
type peer struct {
	cfg     config.Peer
	late    *lateness
	since   time.Time // when we began to listen, monotonic
	paths   []*path   // those that we dial as configured, then accepted ones by address
	refused refusal
	tls     *report.TLS
	offer   string

	offerSeen, offerTold string // revisions of the peer's offer

	// as last told
	out, inb report.Direction
	usable   bool
	woken    time.Time // when what waits for the peer was woken last
}

func newPeer(cfg config.Peer, late *lateness, now time.Time) *peer {
	return &peer{cfg: cfg, late: late, since: now}
}

// configure takes a new configuration and keeps what is known of paths that stay.
func (p *peer) configure(cfg config.Peer, now time.Time) {
	if p.cfg.State == config.Revoked && cfg.State != config.Revoked {
		p.since = now // begin anew
	}
	p.cfg = cfg
	before := p.paths
	p.paths = nil
	revoked := cfg.State == config.Revoked
	for _, e := range cfg.Endpoints {
		id := link.Path{TrustDomain: cfg.TrustDomain, Address: e.Address}
		i := slices.IndexFunc(before, func(pt *path) bool { return pt.id == id })
		switch {
		case revoked || p.find(id) != nil:
		case i >= 0:
			p.paths = append(p.paths, before[i])
		default:
			p.paths = append(p.paths, newPath(id, cfg.Detection, p.late, now))
		}
	}
	for _, pt := range before {
		switch {
		case p.has(pt):
		case pt.id.Accepted && !revoked:
			p.paths = append(p.paths, pt)
		case revoked:
			pt.end("")
		default:
			pt.end(EndRemoved)
		}
	}
	for _, pt := range p.paths {
		if pt.ours != cfg.Detection {
			pt.ours = cfg.Detection
			pt.hurry()
		}
	}
}

// end takes a path out.
func (p *path) end(goodbye string) {
	if p.cancel != nil {
		p.cancel()
		p.cancel = nil
	}
	for l := range p.lines {
		l.finish(goodbye)
	}
}

func (p *peer) find(id link.Path) *path {
	for _, pt := range p.paths {
		if pt.id == id {
			return pt
		}
	}
	return nil
}

func (p *peer) has(pt *path) bool { return slices.Contains(p.paths, pt) }

// room makes room for one accepted path more, if need be by forgetting one that is
// down.
func (p *peer) room() bool {
	accepted := 0
	var dead *path
	for _, pt := range p.paths {
		if !pt.id.Accepted {
			continue
		}
		accepted++
		if pt.state == report.Down && (dead == nil || pt.in.since.Before(dead.in.since)) {
			dead = pt
		}
	}
	if accepted < maxAccepted {
		return true
	}
	if dead != nil {
		p.forget(dead)
	}
	return dead != nil
}

func (p *peer) add(pt *path) {
	p.paths = append(p.paths, pt)
	dialled := slices.IndexFunc(p.paths, func(pt *path) bool { return pt.id.Accepted })
	slices.SortFunc(p.paths[dialled:], func(a, b *path) int { return cmp.Compare(a.id.Address, b.id.Address) })
}

func (p *peer) forget(pt *path) {
	pt.end("")
	p.paths = slices.DeleteFunc(p.paths, func(other *path) bool { return other == pt })
}

// heardBeat takes what a beat says of the link as a whole.
func (p *peer) heardBeat(b Beat) {
	p.refused = refusal{}
	if b.Offer != "" {
		p.offerSeen = b.Offer
	}
}

// view is what we tell the peer about our side.
func (p *peer) view() View {
	return View{Outbound: p.out.State, Inbound: p.inb.State, Cause: p.out.Cause}
}

// judge brings paths and directions up to date. changed tells whether anything is
// different that a person would act on, cameUp whether the peer can be reached again.
func (p *peer) judge(now, clock time.Time) (changed, cameUp bool) {
	was := p.usable
	p.usable = false
	for _, pt := range slices.Clone(p.paths) {
		pt.judge(now)
		p.usable = p.usable || usable(pt.state)
		if shown := shows(pt.state, pathSince(pt), now); shown != pt.shown {
			pt.shown, pt.since, changed = shown, clock, true
		}
		if pt.id.Accepted && pt.state == report.Down && len(pt.lines) == 0 && now.Sub(pathSince(pt)) >= forgotten {
			p.forget(pt)
			changed = true
		}
	}
	cameUp = p.usable && !was && now.Sub(p.woken) >= wakeEvery
	if cameUp {
		p.woken = now
	}
	return p.sum(now, clock) || changed, cameUp
}

// wakeEvery is the shortest time between two wakings of what waits for a peer: its
// first beats after a cut may come with a gap.
const wakeEvery = time.Second

// sum brings the directions up to date from the paths.
func (p *peer) sum(now, clock time.Time) (changed bool) {
	changed = settle(&p.out, p.judgeOutbound(), clock)
	return settle(&p.inb, p.judgeInbound(now), clock) || changed
}

// pathSince is when the state of a path was entered.
func pathSince(pt *path) time.Time {
	if pt.in.state == pt.state && (pt.out.state != pt.state || pt.in.since.Before(pt.out.since)) {
		return pt.in.since
	}
	return pt.out.since
}

// settle puts a direction in place of the last one; Since moves with the state.
func settle(last *report.Direction, next report.Direction, clock time.Time) bool {
	next.Since = last.Since
	if next.State != last.State {
		next.Since = clock
	}
	changed := next != *last
	*last = next
	return changed
}

// best sums up one direction over the paths. A suspect is innocent.
func (p *peer) best(direction func(*path) report.State) report.State {
	best := report.Down
	if len(p.paths) == 0 {
		best = report.Unknown
	}
	for _, pt := range p.paths {
		if pt.id.Accepted && len(pt.lines) == 0 && pt.state == report.Down && len(p.cfg.Endpoints) > 0 {
			continue // a memory: what we see when we dial says more
		}
		if s := direction(pt); badness(s) < badness(best) {
			best = s
		}
	}
	switch best {
	case "":
		return report.Unknown
	case report.Suspect:
		return report.Up
	}
	return best
}

// proven notes the TLS session over which something was proven.
func (p *peer) proven(facts report.TLS) (changed bool) {
	changed = p.tls == nil || *p.tls != facts
	p.tls = &facts
	return changed
}

// pathsUp is the number of paths that are proven in both directions.
func (p *peer) pathsUp() (n int32) {
	for _, pt := range p.paths {
		if pt.state == report.Up || pt.state == report.Suspect {
			n++
		}
	}
	return n
}

// report describes the peer.
func (p *peer) report(now time.Time) report.Peer {
	r := report.Peer{Name: p.cfg.Name, State: string(p.cfg.State), Outbound: p.out, Inbound: p.inb}
	if p.tls != nil {
		copied := *p.tls
		r.TLS = &copied
	}
	worst := limitsOf(p.cfg.Detection, 0).worst(0, interval(p.cfg.Detection))
	for _, pt := range p.paths {
		worst = max(worst, limitsOf(pt.ours, pt.known).worst(pt.known, pt.every()))
		r.Paths = append(r.Paths, pt.report(now))
	}
	if p.cfg.State == config.Revoked {
		for _, e := range p.cfg.Endpoints {
			r.Paths = append(r.Paths, report.PathState{Address: e.Address, State: report.Unknown})
		}
		return r
	}
	r.DetectionMilliseconds = worst.Milliseconds()
	return r
}

func (p *path) report(now time.Time) report.PathState {
	state := report.PathState{
		Address: p.id.Address, Accepted: p.id.Accepted, State: p.shown, Since: p.since,
		Outbound: shows(p.out.state, p.out.since, now), Inbound: shows(p.in.state, p.in.since, now),
		RoundTripMilliseconds: milliseconds(p.known),
	}
	if p.shown == report.Down {
		state.Message = p.explain().message
	}
	return state
}

// milliseconds with microseconds as the finest grain.
func milliseconds(d time.Duration) float64 { return float64(d.Microseconds()) / 1000 }
