// SPDX-FileCopyrightText: The certlink authors
// SPDX-License-Identifier: Apache-2.0

package probe

import (
	"context"
	"sync"
	"time"

	"github.com/certlink/certlink/relay/config"
	"github.com/certlink/certlink/relay/link"
	"github.com/certlink/certlink/relay/report"
)

// idleTick is how often silence is judged while there is no path.
const idleTick = 100 * time.Millisecond

// Run keeps heartbeat connections and judges silence until the context ends; then
// it says goodbye to all peers. It is called once.
func (p *Prober) Run(ctx context.Context) error {
	dialing, cancel := context.WithCancel(ctx)
	var lanes sync.WaitGroup
	defer func() {
		cancel()
		p.stop()
		lanes.Wait()
		p.running.Wait()
	}()
	timer := time.NewTimer(0)
	defer timer.Stop()
	due := time.Now()
	for {
		early := false
		select {
		case <-ctx.Done():
			return nil
		case <-timer.C:
		case <-p.poke:
			early = true
		}
		p.start(dialing, &lanes)
		now := time.Now()
		if late := now.Sub(due); late > 0 {
			p.overslept(late, now)
		}
		tick := p.judge(now)
		if !early || due.After(now.Add(tick)) || due.Before(now) {
			due = now.Add(tick)
		}
		timer.Reset(max(time.Until(due), 0))
	}
}

// start begins to dial the paths that are new.
func (p *Prober) start(ctx context.Context, lanes *sync.WaitGroup) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, known := range p.peers {
		for _, pt := range known.paths {
			if pt.id.Accepted || pt.cancel != nil {
				continue
			}
			laneCtx, cancel := context.WithCancel(ctx)
			pt.cancel = cancel
			for slot := range connections {
				lanes.Go(func() { p.keep(laneCtx, known, pt, slot) })
			}
		}
	}
}

// stop says goodbye on all connections, and lets no new one begin.
func (p *Prober) stop() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.stopped = true
	for _, known := range p.peers {
		for _, pt := range known.paths {
			pt.end(EndStopping)
		}
	}
}

// overslept keeps the time for which our own process did not get to run from being
// held against the peers.
func (p *Prober) overslept(by time.Duration, now time.Time) {
	if by > tolerance {
		p.metrics.late.Add(by.Seconds())
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.late.note(by, now)
}

// news is what a judgement found, to be told without the lock.
type news struct {
	changed bool
	paths   []pathNews
	up      []config.Peer
	offers  [][2]string
	peers   []string // trust domains, in any order
}

type pathNews struct {
	peer      string
	id        link.Path
	from, to  report.State
	roundTrip time.Duration
	why       string
}

// judge looks for silence, tells what has changed, and returns when to look again.
func (p *Prober) judge(now time.Time) (tick time.Duration) {
	n, tick := p.decide(now)
	for _, pt := range n.paths {
		p.cfg.Links.SetPath(pt.id, pt.to, pt.roundTrip)
		p.log(pt)
	}
	if n.changed {
		p.cfg.Changed()
	}
	for _, cfg := range n.up {
		p.cfg.Log.Info("peer reached", "peer", cfg.Name)
		p.cfg.OnUp(cfg)
	}
	for _, o := range n.offers {
		p.cfg.OfferSeen(o[0], o[1])
	}
	p.refresh(n.peers)
	return tick
}

func (p *Prober) log(pt pathNews) {
	if pt.from == pt.to || pt.from == report.Suspect && pt.to == report.Up || pt.to == report.Suspect {
		return
	}
	attrs := []any{"peer", pt.peer, "address", pt.id.Address, "accepted", pt.id.Accepted, "from", pt.from, "to", pt.to}
	if pt.to == report.Down {
		p.cfg.Log.Warn("path", append(attrs, "why", pt.why)...)
		return
	}
	p.cfg.Log.Info("path", attrs...)
}

// decide judges all peers under the lock.
func (p *Prober) decide(now time.Time) (n news, tick time.Duration) {
	tick = idleTick
	clock := p.cfg.Clock()
	p.mu.Lock()
	defer p.mu.Unlock()
	for td, known := range p.peers {
		n.peers = append(n.peers, td)
		for _, pt := range known.paths {
			p.listen(pt, now)
			tick = min(tick, tickOf(pt.every()))
		}
		changed, cameUp := known.judge(now, clock)
		n.changed = n.changed || changed
		if cameUp {
			n.up = append(n.up, known.cfg)
		}
		if known.offerSeen != known.offerTold {
			known.offerTold = known.offerSeen
			n.offers = append(n.offers, [2]string{td, known.offerSeen})
		}
		n.paths = p.tell(known, n.paths)
		if changed {
			p.metrics.state(known)
		}
	}
	return n, tick
}

// listen takes what other connections of a path have heard, once our own have been
// silent for longer than they should, and ends those over which nothing ever came.
func (p *Prober) listen(pt *path, now time.Time) {
	silent := now.Sub(pt.heard) >= pt.every()
	if silent {
		pt.stir(p.cfg.Links.Heard(pt.id), now)
	}
	if silent || now.Sub(pt.felt) >= pt.every() {
		pt.feel(now)
	}
	for l := range pt.lines {
		if !l.proven && now.Sub(l.opened) >= max(firstBeat, pt.limits().down) && !l.ending {
			l.finish("")
			pt.fault = fault{report.CauseProtocol, pt.id.Address + ": the peer's relay accepts heartbeat connections and sends no heartbeats: ask the peer"}
		}
	}
}

// firstBeat is how long a new connection may take to its first beat.
const firstBeat = 5 * time.Second

// tell lists the paths of which the link knows another state, or round trip.
func (p *Prober) tell(known *peer, to []pathNews) []pathNews {
	for _, pt := range known.paths {
		if pt.state == pt.setState && pt.known == pt.setTrip {
			continue
		}
		was := pt.setState
		pt.setState, pt.setTrip = pt.state, pt.known
		if was == "" {
			was = report.Unknown
		}
		why := ""
		if was != pt.state {
			p.metrics.transition(known, pt)
			why = pt.explain().message
		}
		to = append(to, pathNews{peer: known.cfg.Name, id: pt.id, from: was, to: pt.state, roundTrip: pt.known, why: why})
	}
	return to
}

// refresh asks for the revisions of our offers, without the lock: who makes offers
// asks us for our view.
func (p *Prober) refresh(peers []string) {
	revisions := make([]string, len(peers))
	for i, td := range peers {
		revisions[i] = p.cfg.Offer(td)
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	for i, td := range peers {
		if known := p.peers[td]; known != nil && len(revisions[i]) <= maxWord {
			known.offer = revisions[i]
		}
	}
}
