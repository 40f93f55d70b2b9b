// SPDX-FileCopyrightText: The certlink authors
// SPDX-License-Identifier: Apache-2.0

package link

import (
	"context"
	"slices"
	"time"

	"github.com/certlink/certlink/relay/config"
	"github.com/certlink/certlink/relay/report"
	"github.com/certlink/certlink/relay/route"
)

// acceptedPriority is that of the paths that a peer dials while we have addresses
// of its own: the order that our side has configured comes first.
const acceptedPriority = 100

// peer is what the pool knows of one peer. Pool.mu guards it.
type peer struct {
	cfg   config.Peer
	paths map[Path]*path
	// order is that of the last ranking.
	order []*path
	// held counts the connections of each class, and those being dialled.
	held map[Class]int
	// waiting are those who want a connection, the longest first.
	waiting map[Class][]*waiter
	// came is when a connection that it dialled last let us try its addresses again.
	came time.Time
}

// id names the path for the ranking.
func (p Path) id() string {
	if p.Accepted {
		return "from " + p.Address
	}
	return "to " + p.Address
}

// path is what the pool knows of one path. Pool.mu guards it.
type path struct {
	Path
	peer *peer
	// priority as configured.
	priority int32
	// wanted: the configuration names it. Accepted paths are never wanted.
	wanted bool
	// life is that of a wanted path: what is being dialled ends with it, by end.
	life context.Context
	end  context.CancelFunc
	// state and round trip as the heartbeats have them; "" when they say nothing.
	state     report.State
	roundTrip time.Duration
	// usual are the times of answers to hedged requests, by their size.
	usual [sizes]usual
	// worked is when a response last came over it.
	worked time.Time
	// failures of dialling in a row; retryAt is when connections are next kept ready.
	failures int
	retryAt  time.Time
	retry    *time.Timer
	// last failure, nil after a success.
	last  *Error
	lanes map[Class]*lane
	conns map[*conn]struct{}
	// heard is when a byte last arrived on a connection that has ended since.
	heard int64
	// emptied is when the last connection of an accepted path ended.
	emptied time.Time
	// refreshed is when a heartbeat connection was last ended to be opened anew.
	refreshed time.Time
}

// lane is the connections of one class on a path. Pool.mu guards it.
type lane struct {
	parked []*conn // the one that parked last is taken first
	// opening is how many are being dialled to be parked.
	opening int
	// demand is how many parked connections recent requests would have liked, and
	// lacked is when one was last missing.
	demand int
	lacked time.Time
	// tried is when a connection was last dialled for one who waits.
	tried time.Time
}

func newPeer(cfg config.Peer) *peer {
	return &peer{cfg: cfg, paths: map[Path]*path{}, held: map[Class]int{}, waiting: map[Class][]*waiter{}}
}

// path returns a path of the peer, a new one if there is none.
func (pr *peer) path(at Path) *path {
	pt := pr.paths[at]
	if pt == nil {
		pt = &path{Path: at, peer: pr, lanes: map[Class]*lane{}, conns: map[*conn]struct{}{}}
		for _, class := range framed {
			pt.lanes[class] = &lane{}
		}
		pr.paths[at] = pt
		pr.order = append(pr.order, pt)
	}
	return pt
}

// drop forgets a path without connections.
func (pr *peer) drop(pt *path) {
	if pt.retry != nil {
		pt.retry.Stop()
	}
	delete(pr.paths, pt.Path)
	pr.order = slices.DeleteFunc(pr.order, func(x *path) bool { return x == pt })
}

// accepted returns the path that the peer dials; nil if there would be too many.
func (pr *peer) accepted(at Path, now time.Time) *path {
	if pt := pr.paths[at]; pt != nil {
		return pt
	}
	var oldest *path
	count := 0
	for _, pt := range pr.paths {
		if !pt.Accepted {
			continue
		}
		count++
		if len(pt.conns) == 0 && (oldest == nil || pt.emptied.Before(oldest.emptied)) {
			oldest = pt
		}
	}
	if count >= maxAccepted {
		if oldest == nil {
			return nil
		}
		pr.drop(oldest)
	}
	pt := pr.path(at)
	pt.emptied = now
	return pt
}

// view is what route ranks.
func (pt *path) view(dialled bool) route.Path {
	v := route.Path{ID: pt.id(), Priority: pt.priority, State: pt.state, RoundTrip: pt.roundTrip, LastWorked: pt.worked}
	if pt.Accepted && dialled {
		v.Priority = acceptedPriority
	}
	if v.State == "" {
		v.State = report.Unknown
		if pt.failures > 0 {
			v.State = report.Down
		}
	}
	return v
}

// views returns the paths that can be used, in the order of the last ranking.
func (pr *peer) views() []route.Path {
	dialled := len(pr.cfg.Endpoints) > 0
	views := make([]route.Path, 0, len(pr.order))
	for _, pt := range pr.order {
		if pt.usable() {
			views = append(views, pt.view(dialled))
		}
	}
	return views
}

// usable tells whether requests may go over the path.
func (pt *path) usable() bool { return pt.wanted || pt.Accepted && len(pt.conns) > 0 }

// ranked returns the paths in the order in which to try them.
func (pr *peer) ranked() []*path {
	ids := route.Rank(pr.views())
	byID := make(map[string]*path, len(pr.paths))
	for _, pt := range pr.paths {
		byID[pt.id()] = pt
	}
	ranked := make([]*path, 0, len(ids))
	for _, id := range ids {
		ranked = append(ranked, byID[id])
		delete(byID, id)
	}
	order := slices.Clone(ranked)
	for _, pt := range pr.order {
		if byID[pt.id()] != nil {
			order = append(order, pt) // not to be used now, but kept
		}
	}
	pr.order = order
	return ranked
}

// asGood tells whether a request may as well go over a path as over the best: they
// are of one state and priority, or the peer dials it and it is not slower.
func (pt *path) asGood(best *path) bool {
	a, b := pt.view(false), best.view(false)
	switch {
	case pt == best:
		return true
	case a.State != b.State:
		return false
	case a.Priority == b.Priority && !pt.Accepted:
		return true
	}
	return pt.Accepted && (a.RoundTrip == 0 || b.RoundTrip == 0 || a.RoundTrip <= b.RoundTrip+b.RoundTrip/4+5*time.Millisecond)
}

// keeps is how many parked connections to keep ready on the path.
func (pt *path) keeps(class Class) int {
	return min(maxSpare, max(spare(pt.peer.cfg, class), pt.lanes[class].demand))
}

// low is the number of parked connections below which others are dialled. It is half
// of those that we keep: one that was taken comes back, and what was dialled in
// its place would be one too many.
func (pt *path) low(class Class) int {
	return max(spare(pt.peer.cfg, class), pt.keeps(class)/2)
}

// remove takes a connection out of the list of parked ones.
func (l *lane) remove(c *conn) {
	if !c.listed {
		return
	}
	c.listed = false
	l.parked = slices.DeleteFunc(l.parked, func(x *conn) bool { return x == c })
}

// add puts a connection into the list of parked ones.
func (l *lane) add(c *conn) {
	if c.listed {
		return
	}
	c.listed = true
	l.parked = append(l.parked, c)
}
