// SPDX-FileCopyrightText: The certlink authors
// SPDX-License-Identifier: Apache-2.0

//go:build linux

package nations

import (
	"context"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"
	"golang.org/x/sys/unix"

	"github.com/certlink/certlink/test/nations/internal/binaries"
	"github.com/certlink/certlink/test/nations/internal/layout"
)

// upLimit is how long Up may take once the programs are there.
const upLimit = 5 * time.Minute

// Options say which nations Up raises, and how.
type Options struct {
	// N is how many nations, from 1 to 3; 0 means 2. Nations beyond the N-th are left as they are.
	N int
	// Names overrides N.
	Names []string
	// Fresh takes the nations down first, with everything in them.
	Fresh bool
	// KubeconfigDir is where NAME.kubeconfig is left; empty means .nations in the repository, or in the working directory
	// outside of it.
	KubeconfigDir string
	// Output receives a line for each step; nil means standard error.
	Output io.Writer
}

func (o Options) fill() (Options, error) {
	if o.Output == nil {
		o.Output = os.Stderr
	}
	if o.N == 0 {
		o.N = 2
	}
	if len(o.Names) == 0 {
		if o.N < 1 || o.N > len(layout.Names) {
			return o, fmt.Errorf("%d nations: there can be 1 to %d", o.N, len(layout.Names))
		}
		o.Names = layout.Names[:o.N]
	}
	var err error
	o.KubeconfigDir, err = kubeconfigDir(o.KubeconfigDir)
	return o, err
}

// Up raises nations and returns when they work: node ready, cluster DNS and cert-manager running. What runs already is
// kept, what is missing or dead is made or started again, and an API server that was stopped is started. A nation whose
// first process has died comes back with what it held, as after a power cut. Paths between nations stay as they are.
func Up(ctx context.Context, options Options) ([]*Nation, error) {
	o, err := options.fill()
	if err != nil {
		return nil, err
	}
	if err := Preflight(); err != nil {
		return nil, err
	}
	if err := ensurePrograms(ctx, o.Output); err != nil {
		return nil, err
	}
	set, err := binaries.Ensure(ctx, o.Output)
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeout(ctx, upLimit)
	defer cancel()
	unlock, err := lock()
	if err != nil {
		return nil, err
	}
	defer unlock()
	r := &raiser{options: o, set: set, out: &steps{out: o.Output, started: time.Now()}}
	return r.all(ctx)
}

func (r *raiser) all(ctx context.Context) ([]*Nation, error) {
	var err error
	if r.state, err = layout.RunState(); err != nil {
		return nil, err
	}
	if err := os.MkdirAll(string(r.state), 0o700); err != nil {
		return nil, fmt.Errorf("making the state directory: %w", err)
	}
	if err := os.MkdirAll(r.options.KubeconfigDir, 0o755); err != nil {
		return nil, fmt.Errorf("making the kubeconfigs' directory: %w", err)
	}
	if r.helper, err = helper(ctx); err != nil {
		return nil, err
	}
	if err := ensureHub(ctx, r.state, r.helper); err != nil {
		return nil, err
	}
	all := make([]*Nation, len(r.options.Names))
	group, ctx := errgroup.WithContext(ctx)
	for i, name := range r.options.Names {
		n, err := Get(name)
		if err != nil {
			return nil, err
		}
		n.kubeconfig = filepath.Join(r.options.KubeconfigDir, name+".kubeconfig")
		all[i] = n
		group.Go(func() error {
			if err := r.raise(ctx, n); err != nil {
				return fmt.Errorf("raising %s (logs in %s; up --fresh starts over): %w", n.Name, n.dirs.Path("log"), err)
			}
			return nil
		})
	}
	return all, group.Wait()
}

// lock keeps two Ups or Downs from each other. The file is never removed, so that all lock the same one.
func lock() (unlock func(), err error) {
	cache, err := layout.Cache()
	if err != nil {
		return nil, err
	}
	if err := os.MkdirAll(cache, 0o700); err != nil {
		return nil, fmt.Errorf("making the cache directory: %w", err)
	}
	file, err := os.OpenFile(filepath.Join(cache, "lock"), os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return nil, fmt.Errorf("opening the lock: %w", err)
	}
	if err := unix.Flock(int(file.Fd()), unix.LOCK_EX); err != nil {
		_ = file.Close()
		return nil, fmt.Errorf("waiting for the lock: %w", err)
	}
	return func() { _ = file.Close() }, nil
}

// steps writes what was reached, and when.
type steps struct {
	mu      sync.Mutex
	out     io.Writer
	started time.Time
}

func (s *steps) done(name, what string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	fmt.Fprintf(s.out, "%6.1fs  %-8s %s\n", time.Since(s.started).Seconds(), name, what)
}
