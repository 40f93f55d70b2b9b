// SPDX-FileCopyrightText: The certlink authors
// SPDX-License-Identifier: Apache-2.0

package reports

import (
	"context"
	"maps"
	"reflect"
	"slices"
	"time"

	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/util/workqueue"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"
	"sigs.k8s.io/controller-runtime/pkg/source"

	"github.com/certlink/certlink/relay/report"
)

// Kind is a kind of object that reports are about.
type Kind string

// The kinds.
const (
	LocalCERTs     Kind = "LocalCERT"
	PeerCERTs      Kind = "PeerCERT"
	SharedFeeds    Kind = "SharedFeed"
	SharedServices Kind = "SharedService"
	Hotlines       Kind = "Hotline"
)

// All is the name that stands for every object of a kind in a namespace.
const All = "*"

// changes are the names of the objects that a change is about, by kind.
type changes map[Kind]map[string]struct{}

// everything is a change that is about all objects.
func everything() changes {
	all := map[string]struct{}{All: {}}
	return changes{LocalCERTs: all, PeerCERTs: all, SharedFeeds: all, SharedServices: all, Hotlines: all}
}

func (c changes) add(kind Kind, name string) {
	if c[kind] == nil {
		c[kind] = map[string]struct{}{}
	}
	c[kind][name] = struct{}{}
}

// compare tells what differs between two reports.
func compare(before, after *report.Report) changes {
	if before == nil || before.Config != after.Config || !before.StartedAt.Equal(after.StartedAt) {
		return everything()
	}
	c := changes{}
	if !reflect.DeepEqual(before.Identity, after.Identity) {
		c.add(LocalCERTs, All)
		c.add(PeerCERTs, All) // each says whether its peer accepts our CA certificates
	}
	comparePeers(c, before.Peers, after.Peers)
	compareNamed(c, SharedFeeds, before.Exports, after.Exports, func(e report.Export) string { return e.Name })
	compareNamed(c, SharedFeeds, before.Imports, after.Imports, func(i report.Import) string { return i.Name })
	compareNamed(c, SharedFeeds, byImport(before.Deliveries), byImport(after.Deliveries), func(d deliveries) string { return d.feed })
	compareNamed(c, SharedServices, before.Services, after.Services, func(s report.Service) string { return s.Name })
	compareNamed(c, Hotlines, before.Hotlines, after.Hotlines, func(l report.Hotline) string { return l.Name })
	return c
}

// comparePeers also names what depends on the link to a peer and on the peer's
// offer.
func comparePeers(c changes, before, after []report.Peer) {
	compareNamed(c, PeerCERTs, quiet(before, nil), quiet(after, before), func(p report.Peer) string { return p.Name })
	if !reflect.DeepEqual(acceptances(before), acceptances(after)) {
		c.add(LocalCERTs, All) // the rotation of our root depends on them
	}
	if len(c[PeerCERTs]) > 0 {
		c.add(Hotlines, All)
		c.add(SharedFeeds, All)
		c.add(SharedServices, All)
	}
}

// renewal is how far the time of an offer moves while offers come in time: they
// come every half minute, and the report tells the minute.
const renewal = 2 * time.Minute

// acceptance is what a peer says of our own roots.
type acceptance struct {
	accepted []string
	seen     string
}

// acceptances of our own roots, by peer.
func acceptances(peers []report.Peer) map[string]acceptance {
	out := make(map[string]acceptance, len(peers))
	for _, p := range peers {
		if p.Offer != nil {
			out[p.Name] = acceptance{accepted: p.Offer.AcceptedRoots, seen: p.Offer.SeenRoot}
		}
	}
	return out
}

// quiet takes out of peers what moves all the time: round trips, and the time of
// an offer that was merely renewed since the state before. One that comes after a
// gap is news.
func quiet(peers, before []report.Peer) []report.Peer {
	offered := make(map[string]time.Time, len(before))
	for _, p := range before {
		if p.Offer != nil {
			offered[p.Name] = p.Offer.ReceivedAt
		}
	}
	out := make([]report.Peer, len(peers))
	for i, p := range peers {
		paths := make([]report.PathState, len(p.Paths))
		for j, path := range p.Paths {
			path.RoundTripMilliseconds = 0
			paths[j] = path
		}
		p.Paths = paths
		if was, known := offered[p.Name]; known && p.Offer != nil && p.Offer.ReceivedAt.Sub(was).Abs() <= renewal {
			offer := *p.Offer
			offer.ReceivedAt = was
			p.Offer = &offer
		}
		out[i] = p
	}
	return out
}

func compareNamed[T any](c changes, kind Kind, before, after []T, name func(T) string) {
	old := make(map[string]T, len(before))
	for _, b := range before {
		old[name(b)] = b
	}
	for _, a := range after {
		b, there := old[name(a)]
		if !there || !reflect.DeepEqual(a, b) {
			c.add(kind, name(a))
		}
		delete(old, name(a))
	}
	for gone := range old {
		c.add(kind, gone)
	}
}

// wake calls the subscribers. It must not be called with mu held.
func (h *Hub) wake(namespace string, c changes) {
	h.mu.Lock()
	subscribers := h.subscribers
	h.mu.Unlock()
	for kind, names := range c {
		for _, notify := range subscribers[kind] {
			for name := range names {
				notify(namespace, name)
			}
		}
	}
}

// Source is a watch on what the hub learns about objects of one kind. The list
// function gives the names of all of them in a namespace.
func (h *Hub) Source(kind Kind, list func(ctx context.Context, namespace string) []string) source.Source {
	return source.Func(func(ctx context.Context, queue workqueue.TypedRateLimitingInterface[reconcile.Request]) error {
		add := func(namespace, name string) {
			queue.Add(reconcile.Request{NamespacedName: types.NamespacedName{Namespace: namespace, Name: name}})
		}
		h.mu.Lock()
		defer h.mu.Unlock()
		// Copied, because wake reads without the lock.
		next := maps.Clone(h.subscribers)
		next[kind] = append(slices.Clip(next[kind]), func(namespace, name string) {
			if name != All {
				add(namespace, name)
				return
			}
			for _, each := range list(ctx, namespace) {
				add(namespace, each)
			}
		})
		h.subscribers = next
		return nil
	})
}
