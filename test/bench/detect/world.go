// SPDX-FileCopyrightText: The certlink authors
// SPDX-License-Identifier: Apache-2.0

//go:build linux

package main

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"time"

	"github.com/certlink/certlink/relay/config"
	"github.com/certlink/certlink/test/bench/relays"
	"github.com/certlink/certlink/test/wan"
)

// world is a network with a relay on each host.
type world struct {
	quality quality
	net     *wan.Network
	nations []*relays.Nation
	journal []*journal  // by nation
	told    map[int]int // turns of which the user knows, by nation
}

// found makes a network of relays. Each dials those that come after it, at so many of their addresses.
func (b *bench) found(ctx context.Context, q quality, paths int, names ...string) (w *world, err error) {
	w = &world{quality: q, told: map[int]int{}}
	if w.net, err = (wan.Config{Names: names, Addresses: paths + 1, Seed: uint64(time.Now().UnixNano())}).New(ctx); err != nil {
		return nil, err
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, w.close())
		}
	}()
	dir := filepath.Join(b.dir, fmt.Sprintf("%s-%d", q.name, time.Now().UnixNano()))
	for _, name := range names {
		n, err := relays.New(ctx, dir, name)
		if err != nil {
			return nil, err
		}
		n.Host = w.net.Host(name)
		n.Config.Listen.Link = ":8443"
		w.nations = append(w.nations, n)
	}
	w.introduce(paths)
	for i, n := range w.nations {
		for _, m := range w.nations[i+1:] {
			if err := w.bend(w.net.Host(n.Name), w.net.Host(m.Name)); err != nil {
				return nil, err
			}
		}
	}
	for _, n := range w.nations {
		if err := n.Start(ctx, b.binary); err != nil {
			return nil, err
		}
		w.journal = append(w.journal, &journal{file: n.LogFile()})
	}
	for _, n := range w.nations {
		if err := n.Connected(ctx); err != nil {
			return nil, err
		}
	}
	return w, nil
}

// introduce makes every relay a peer of every other, with a hotline to it.
func (w *world) introduce(paths int) {
	for i, n := range w.nations {
		for j, m := range w.nations {
			if i == j {
				continue
			}
			peer := m.Peer()
			peer.Endpoints = nil
			for k := range paths {
				if i < j {
					peer.Endpoints = append(peer.Endpoints, config.Endpoint{Address: w.address(m.Name, k), Priority: int32(k)}) //nolint:gosec // small
				}
			}
			n.Config.Peers = append(n.Config.Peers, peer)
			n.Config.Hotlines = append(n.Config.Hotlines, config.Hotline{Name: m.Name, Peer: m.Name})
		}
	}
}

// address of a path.
func (w *world) address(name string, path int) string {
	return w.net.Host(name).Address(path).String() + ":8443"
}

// bend makes the ways between two hosts, or to some addresses of the second, as bad as the quality says.
func (w *world) bend(a, b *wan.Host, paths ...int) error {
	ways := w.between(a, b, paths...)
	return errors.Join(w.net.Restore(ways...), w.net.Delay(w.quality.delay, ways...), w.net.Loss(w.quality.loss, ways...))
}

func (w *world) between(a, b *wan.Host, paths ...int) []wan.Way {
	addresses := b.Addresses()
	if len(paths) > 0 {
		addresses = nil
		for _, p := range paths {
			addresses = append(addresses, b.Address(p))
		}
	}
	return wan.Between(a, b, addresses...)
}

func (w *world) close() error {
	for _, n := range w.nations {
		n.Stop()
	}
	return w.net.Close()
}
