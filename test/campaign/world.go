// SPDX-FileCopyrightText: The certlink authors
// SPDX-License-Identifier: Apache-2.0

//go:build linux

package campaign

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net/netip"
	"os"
	"path/filepath"
	"strconv"
	"sync"
	"syscall"
	"time"

	"github.com/certlink/certlink/internal/relayclient"
	"github.com/certlink/certlink/internal/testca"
	"github.com/certlink/certlink/relay/config"
	"github.com/certlink/certlink/test/bench/relays"
	"github.com/certlink/certlink/test/wan"
)

const (
	linkPort = ":8443"
	// paths to each relay.
	paths = 2
	// roomy is the size of a store's file system.
	roomy = "size=16g"
)

// side is one nation with its relay.
type side struct {
	*relays.Nation
	host *wan.Host
	// data is where the store's file system is mounted.
	data string
	// peer is the trust domain of the other side.
	peer string
}

// world is both, and the network between them.
type world struct {
	net    *wan.Network
	binary string
	sides  [2]*side
	// ofProcesses is held while a relay is started or ended.
	ofProcesses sync.Mutex
}

func found(ctx context.Context, dir, binary string, seed uint64) (w *world, err error) {
	w = &world{binary: binary}
	defer func() {
		if err != nil {
			err = errors.Join(err, w.close())
		}
	}()
	names := []string{"alfa", "bravo"}
	if w.net, err = (wan.Config{Names: names, Addresses: paths + 1, Seed: seed}).New(ctx); err != nil {
		return nil, err
	}
	for i, name := range names {
		if w.sides[i], err = newSide(ctx, dir, name, w.net.Host(name)); err != nil {
			return nil, err
		}
	}
	for i, s := range w.sides {
		other := w.sides[1-i]
		s.peer = other.CA.TrustDomain
		peer := other.Peer()
		peer.Detection = config.Detection{IntervalMilliseconds: 200, Misses: 2}
		peer.Endpoints = nil
		for _, a := range other.dialled() {
			peer.Endpoints = append(peer.Endpoints, config.Endpoint{Address: a.String() + linkPort})
		}
		s.Config.Peers = []config.Peer{peer}
		s.Config.Hotlines = []config.Hotline{{Name: other.Name, Peer: other.Name}}
	}
	return w, errors.Join(w.sides[0].Start(ctx, binary), w.sides[1].Start(ctx, binary))
}

func newSide(ctx context.Context, dir, name string, host *wan.Host) (*side, error) {
	n, err := relays.New(ctx, dir, name)
	if err != nil {
		return nil, err
	}
	s := &side{Nation: n, host: host, data: filepath.Join(dir, name, "data")}
	// Certificates that stay good when a clock goes back by a day.
	if s.CA, err = testca.Make(name+".example", testca.Options{NotBefore: longAgo()}); err != nil {
		return nil, err
	}
	for _, path := range testca.Paths {
		if err := s.issue(path); err != nil {
			return nil, err
		}
	}
	if err := os.MkdirAll(s.data, 0o700); err != nil {
		return nil, fmt.Errorf("making a directory: %w", err)
	}
	if err := syscall.Mount("tmpfs", s.data, "tmpfs", 0, roomy); err != nil {
		return nil, fmt.Errorf("mounting a disk (this needs root): %w", err)
	}
	s.Host = host
	s.Config.Listen.Link = linkPort
	s.Config.Store.SQLite.Path = filepath.Join(s.data, "relay.db")
	return s, nil
}

func longAgo() time.Time { return time.Now().AddDate(0, 0, -30) }

// issue makes a new certificate where the relay looks for it.
func (s *side) issue(path string) error {
	p, err := s.CA.Issue(testca.Leaf{Path: path, NotBefore: longAgo()})
	if err != nil {
		return fmt.Errorf("issuing %s: %w", path, err)
	}
	return p.Write(s.TLS(path))
}

// dialled are the addresses that the other side dials.
func (s *side) dialled() []netip.Addr { return s.host.Addresses()[1:] }

// moveClock sets by how much the relay's clock is wrong.
func (s *side) moveClock(d time.Duration) error {
	file := filepath.Join(filepath.Dir(s.LogFile()), clockFile)
	if err := os.WriteFile(file+".new", []byte(strconv.FormatInt(int64(d/time.Second), 10)), 0o600); err != nil {
		return fmt.Errorf("moving the clock of %s: %w", s.Name, err)
	}
	return os.Rename(file+".new", file)
}

// fill leaves no room on the disk of the store.
func (s *side) fill() error {
	var fs syscall.Statfs_t
	if err := syscall.Statfs(s.data, &fs); err != nil {
		return fmt.Errorf("looking at the disk of %s: %w", s.Name, err)
	}
	// Meanwhile the relay may have written more than that: then the disk stays as it is.
	// A size of 0 would mean no limit.
	used := max(1, fs.Blocks-fs.Bfree) * uint64(fs.Bsize) //nolint:gosec // a size
	if err := s.resize("size=" + strconv.FormatUint(used, 10)); err != nil && !errors.Is(err, syscall.EINVAL) {
		return err
	}
	return nil
}

func (s *side) makeRoom() error { return s.resize(roomy) }

func (s *side) resize(size string) error {
	if err := syscall.Mount("tmpfs", s.data, "tmpfs", syscall.MS_REMOUNT, size); err != nil {
		return fmt.Errorf("resizing the disk of %s: %w", s.Name, err)
	}
	return nil
}

// ways between the two, in both directions, whoever dialled.
func (w *world) ways() []wan.Way {
	a, b := w.sides[0], w.sides[1]
	return append(wan.Between(a.host, b.host, b.dialled()...), wan.Between(b.host, a.host, a.dialled()...)...)
}

// from are the ways that packets of one side take.
func (w *world) from(s *side) (ways []wan.Way) {
	for _, way := range w.ways() {
		for _, a := range s.host.Addresses() {
			if way.From == a {
				ways = append(ways, way)
			}
		}
	}
	return ways
}

// kill ends a relay as a power cut would; start starts one that does not run.
func (w *world) kill(s *side) {
	w.ofProcesses.Lock()
	defer w.ofProcesses.Unlock()
	s.Kill()
}

func (w *world) stop(s *side) {
	w.ofProcesses.Lock()
	defer w.ofProcesses.Unlock()
	s.Stop()
}

func (w *world) start(ctx context.Context, s *side) error {
	w.ofProcesses.Lock()
	defer w.ofProcesses.Unlock()
	if s.Running() {
		return nil
	}
	s.Kill() // what is left of it
	return s.Start(ctx, w.binary)
}

// drained waits until neither side has anything queued. The report says when to look: it
// may be some seconds old, so that the messages themselves have the last word.
func (w *world) drained(ctx context.Context, patience time.Duration) error {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	for _, s := range w.sides {
		for {
			err := s.hasNothingQueued(ctx)
			if err == nil {
				break
			}
			if !pause(ctx, 50*time.Millisecond) {
				return fmt.Errorf("waiting until %s has nothing queued: %w", s.Name, errors.Join(ctx.Err(), err))
			}
		}
	}
	return nil
}

func (s *side) hasNothingQueued(ctx context.Context) error {
	r, err := s.Report(ctx)
	if err != nil {
		return err
	}
	if len(r.Hotlines) != 1 || r.Hotlines[0].Queued > 0 {
		return fmt.Errorf("its hotlines: %+v", r.Hotlines)
	}
	out, err := rows(ctx, s.Desk(), relayclient.Out)
	if err != nil {
		return err
	}
	for _, m := range out {
		if !m.receipted {
			return fmt.Errorf("message %d has no receipt", m.serial)
		}
	}
	return nil
}

func (w *world) close() (err error) {
	for _, s := range w.sides {
		if s == nil {
			continue
		}
		s.Kill()
		if e := syscall.Unmount(s.data, syscall.MNT_DETACH); e != nil && !errors.Is(e, syscall.EINVAL) {
			err = errors.Join(err, fmt.Errorf("unmounting the disk of %s: %w", s.Name, e))
		}
	}
	if w.net != nil {
		err = errors.Join(err, w.net.Close())
	}
	return err
}

// pause lets time pass; false if ctx ended.
func pause(ctx context.Context, d time.Duration) bool {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-ctx.Done():
		return false
	}
}

// between draws a duration.
func between(random *rand.Rand, least, most time.Duration) time.Duration {
	return least + time.Duration(random.Int64N(int64(most-least)))
}
