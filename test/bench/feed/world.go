// SPDX-FileCopyrightText: The certlink authors
// SPDX-License-Identifier: Apache-2.0

//go:build linux

package main

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"github.com/certlink/certlink/internal/testpostgres"
	"github.com/certlink/certlink/relay/config"
	"github.com/certlink/certlink/relay/report"
	"github.com/certlink/certlink/test/bench/relays"
)

const (
	feedName = "threats"
	// pushAtOnce is the number of objects in one POST.
	pushAtOnce = 4000
	// longest is how long a push, a decision run or an import may take.
	longest = 20 * time.Minute
)

// world is two nations: alfa exports, bravo imports.
type world struct {
	alfa, bravo *relays.Nation
	// databases of alfa and of bravo, if they have servers.
	databases [2]*testpostgres.Server
}

// found makes the two and starts them, connected, with nothing to share yet.
// Prepare, if not nil, changes their configurations before that.
func found(ctx context.Context, dir, binary string, prepare func(*relays.Nation) error) (w *world, err error) {
	w = &world{}
	if w.alfa, err = relays.New(ctx, dir, "alfa"); err != nil {
		return nil, err
	}
	if w.bravo, err = relays.New(ctx, dir, "bravo"); err != nil {
		return nil, err
	}
	w.alfa.Config.Peers, w.bravo.Config.Peers = []config.Peer{w.bravo.Peer()}, []config.Peer{w.alfa.Peer()}
	w.alfa.Config.Hotlines = []config.Hotline{{Name: "bravo", Peer: "bravo"}}
	w.bravo.Config.Hotlines = []config.Hotline{{Name: "alfa", Peer: "alfa"}}
	w.alfa.Config.Exports = []config.Export{{
		Name: feedName, Peers: []string{"bravo"}, Sources: []config.Source{{Name: "tool", UnmarkedAs: "CLEAR"}}, Rule: config.Rule{MaxTLP: "AMBER"},
	}}
	for _, n := range w.both() {
		if prepare != nil {
			if err := prepare(n); err != nil {
				return nil, err
			}
		}
		if err := n.Start(ctx, binary); err != nil {
			w.stop()
			return nil, err
		}
	}
	if err := errors.Join(w.alfa.Connected(ctx), w.bravo.Connected(ctx)); err != nil {
		w.stop()
		return nil, err
	}
	return w, nil
}

func (w *world) both() []*relays.Nation { return []*relays.Nation{w.alfa, w.bravo} }

func (w *world) stop() {
	for _, n := range w.both() {
		n.Stop()
	}
}

// push gives alfa objects and waits until all are decided.
func (w *world) push(ctx context.Context, set dataSet, objects int) error {
	ctx, cancel := context.WithTimeout(ctx, longest)
	defer cancel()
	for first := 0; first < objects; first += pushAtOnce {
		batch := make([]json.RawMessage, 0, pushAtOnce)
		for n := first; n < min(first+pushAtOnce, objects); n++ {
			batch = append(batch, set.object(n))
		}
		status, err := w.alfa.Desk().Push(ctx, feedName+".tool", batch)
		if err != nil {
			return err
		}
		if status, err = w.alfa.Desk().AwaitPush(ctx, status); err != nil {
			return err
		}
		if status.FailureCount > 0 {
			return fmt.Errorf("pushing objects: %d were refused, the first because %s", status.FailureCount, status.Failures[0].Message)
		}
	}
	return await(ctx, w.alfa, "has decided", func(r report.Report) bool {
		return len(r.Exports) == 1 && r.Exports[0].Stored == int64(objects) && r.Exports[0].Undecided == 0 &&
			len(r.Exports[0].Peers) == 1 && r.Exports[0].Peers[0].Shared == int64(objects)
	})
}

// pull makes bravo import everything under a name, and returns when it is stored.
func (w *world) pull(ctx context.Context, name string, objects int) error {
	ctx, cancel := context.WithTimeout(ctx, longest)
	defer cancel()
	w.bravo.Config.Imports = []config.Import{{Name: name, Peer: "alfa", Collection: feedName, MaxObjects: 2_000_000}}
	if err := w.bravo.Write(); err != nil {
		return err
	}
	return await(ctx, w.bravo, "has imported", func(r report.Report) bool {
		return len(r.Imports) == 1 && r.Imports[0].Name == name && r.Imports[0].Stored == int64(objects) && !r.Imports[0].LastSuccess.IsZero()
	})
}

// await asks twice a second, so that asking costs the relays little.
func await(ctx context.Context, n *relays.Nation, what string, condition func(report.Report) bool) error {
	tick := time.NewTicker(500 * time.Millisecond)
	defer tick.Stop()
	var last report.Report
	for {
		r, err := n.Report(ctx)
		if err == nil && condition(r) {
			return nil
		}
		if err == nil {
			last = r
		}
		select {
		case <-ctx.Done():
			state, _ := json.Marshal(map[string]any{"exports": last.Exports, "imports": last.Imports})
			return fmt.Errorf("waiting until %s %s: %w; it says %s", n.Name, what, errors.Join(ctx.Err(), err), state)
		case <-tick.C:
		}
	}
}

// peak is the most memory that a process has had resident since it began, in MB.
func peak(pid int) (float64, error) {
	file, err := os.Open(filepath.Join("/proc", strconv.Itoa(pid), "status"))
	if err != nil {
		return 0, fmt.Errorf("reading the memory of a process: %w", err)
	}
	defer file.Close()
	lines := bufio.NewScanner(file)
	for lines.Scan() {
		if rest, ok := strings.CutPrefix(lines.Text(), "VmHWM:"); ok {
			kib, err := strconv.ParseFloat(strings.TrimSpace(strings.TrimSuffix(strings.TrimSpace(rest), "kB")), 64)
			if err != nil {
				return 0, fmt.Errorf("reading the memory of a process: %w", err)
			}
			return kib * 1024 / 1e6, nil
		}
	}
	return 0, fmt.Errorf("reading the memory of process %d: no VmHWM in it", pid)
}
