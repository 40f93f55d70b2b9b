// SPDX-FileCopyrightText: The certlink authors
// SPDX-License-Identifier: Apache-2.0

package territory

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"slices"
	"time"

	"github.com/certlink/certlink/relay/config"
	"github.com/certlink/certlink/relay/remote"
	"github.com/certlink/certlink/relay/territory/warninglist"
)

const (
	// fetchTimeout bounds one fetch.
	fetchTimeout = 10 * time.Minute
	// retryFirst is how long after a failed fetch the next one is made; it doubles up
	// to retryMost.
	retryFirst = time.Minute
	retryMost  = time.Hour
	// staleAfter is the number of refresh intervals without a successful fetch after
	// which a data set is stale.
	staleAfter = 3
)

// source is one data set or list of the configuration. The Keeper's lock guards its
// state; its goroutine alone reads.
type source struct {
	conf    config.Dataset
	archive archive
	log     *slog.Logger
	client  *remote.Client // nil for a file

	restored bool
	// What is known: the oldest snapshot first.
	snapshots []*snapshot
	list      *warninglist.List
	sum       string
	// fetched is when it was last found to be current; zero when never.
	fetched time.Time
	// next is when it is fetched next, failures how many there were in a row.
	next     time.Time
	failures int
	err      error
	known    remote.Validators
	seen     fs.FileInfo // of a file that was read; nil when there was none
}

// found is what one reading brought.
type found struct {
	content
	// unchanged: the server says that there is nothing new.
	unchanged bool
	known     remote.Validators
	seen      fs.FileInfo
	err       error
}

func newSource(conf config.Dataset, directory string, log *slog.Logger) *source {
	s := &source{conf: conf, archive: archive{directory, conf.Name}, log: log}
	if conf.Remote != nil {
		s.client, s.err = remote.New(*conf.Remote, remote.Options{Log: log})
	}
	return s
}

func (s *source) close() {
	if s.client != nil {
		s.client.Close()
	}
}

// restore reads the file, and what was kept earlier, with a history of at most so many
// bytes of memory.
func (s *source) restore(now time.Time, history int) {
	s.restored = true
	ctx := context.Background() // it is local work, and bounded
	if s.archive.directory != "" {
		kept, last, err := s.archive.load(ctx, s.conf, history)
		for _, c := range kept {
			s.install(c)
		}
		s.fetched, s.err = last, errors.Join(s.err, err)
	}
	if s.conf.Remote == nil {
		s.take(s.readFile(ctx), now)
		return
	}
	s.next = now
	if len(s.snapshots) > 0 || s.list != nil {
		s.next = s.fetched.Add(s.interval())
	}
}

// forget drops the oldest snapshots until the others but the newest take at most so
// many bytes.
func (s *source) forget(most int) {
	size := 0
	for i := len(s.snapshots) - 2; i >= 0; i-- {
		if size += s.snapshots[i].bytes(); size > most {
			s.snapshots = slices.Clone(s.snapshots[i+1:])
			return
		}
	}
}

func (s *source) interval() time.Duration { return time.Duration(s.conf.RefreshHours) * time.Hour }

// due tells whether there is something to read.
func (s *source) due(now time.Time) bool {
	if s.conf.Remote == nil {
		return s.changed()
	}
	return s.client != nil && !now.Before(s.next)
}

// changed tells whether the file may be another one than that which was read. A
// ConfigMap's file changes by a link.
func (s *source) changed() bool {
	path, err := onlyFile(s.conf.File)
	if err != nil {
		return s.seen != nil
	}
	now, err := os.Stat(path)
	if err != nil || s.seen == nil {
		return (err == nil) != (s.seen != nil)
	}
	return !os.SameFile(now, s.seen) || !now.ModTime().Equal(s.seen.ModTime()) || now.Size() != s.seen.Size()
}

func (s *source) read(ctx context.Context, clock func() time.Time) found {
	if s.conf.Remote == nil {
		return s.readFile(ctx)
	}
	return s.fetch(ctx, clock)
}

func (s *source) readFile(ctx context.Context) found {
	path, err := onlyFile(s.conf.File)
	var raw []byte
	var info fs.FileInfo
	if err == nil {
		raw, info, err = readFile(path)
	}
	f := found{seen: info}
	if err != nil {
		if path, ok := errors.AsType[*fs.PathError](err); ok {
			err = path.Err
		}
		f.err = fmt.Errorf("reading %q: %w", s.conf.File, err)
		return f
	}
	if f.content, err = load(ctx, s.conf, raw); err != nil {
		f.err = fmt.Errorf("reading %q: %w", s.conf.File, err)
		return f
	}
	f.err = s.keep(raw, f.content, time.Time{})
	return f
}

// fetch asks the server, and keeps what is new before anybody sees it.
func (s *source) fetch(ctx context.Context, clock func() time.Time) found {
	ctx, cancel := context.WithTimeout(ctx, fetchTimeout)
	defer cancel()
	answer, err := s.client.Get(ctx, "", maxFile, s.known)
	if err != nil {
		return found{err: errors.New(remote.Explain(err))}
	}
	if answer.NotModified() {
		_ = answer.Body.Close()
		s.archive.touch(clock())
		return found{unchanged: true, known: s.known}
	}
	f := found{known: remote.ValidatorsOf(answer)}
	raw, err := remote.ReadAll(answer)
	if err != nil {
		return found{err: errors.New(remote.Explain(err))}
	}
	if f.content, err = load(ctx, s.conf, raw); err != nil {
		return found{err: fmt.Errorf("reading the answer of %s: the data set %w", s.client.Host(), err)}
	}
	f.err = s.keep(raw, f.content, clock())
	return f
}

// keep stores what was read, if it is to be kept. A list is kept as of the beginning
// of time, so that there is one of it.
func (s *source) keep(raw []byte, c content, now time.Time) error {
	if s.archive.directory == "" || s.conf.Remote == nil && c.snapshot == nil {
		return nil
	}
	date := time.Unix(0, 0)
	if c.snapshot != nil {
		date = c.snapshot.date
		if !now.IsZero() && date.After(now.Add(48*time.Hour)) {
			return fmt.Errorf("reading the data set: its date %s is in the future", date.Format(time.DateOnly))
		}
	}
	if err := s.archive.keep(raw, date); err != nil {
		return fmt.Errorf("keeping the data set: %w", err)
	}
	return nil
}

// take takes what one reading brought, and tells whether the atlas changes. What
// cannot be kept is not used either: after a start, it would be gone.
func (s *source) take(f found, now time.Time) bool {
	s.seen, s.err = f.seen, f.err
	if f.err != nil {
		s.failures++
		s.next = now.Add(min(retryFirst<<min(s.failures-1, 10), retryMost))
		s.log.Warn("a data set of territory cannot be used, the last good one counts", "dataset", s.conf.Name, "error", f.err)
		return false
	}
	s.failures, s.fetched, s.known = 0, now, f.known
	s.next = now.Add(s.interval())
	if f.unchanged {
		return false
	}
	return s.install(f.content)
}

// install puts what was read among what is known, by its date. One of the same date
// replaces the other.
func (s *source) install(c content) bool {
	if c.snapshot == nil {
		changed := s.list == nil || s.sum != c.sum
		s.list, s.sum = c.list, c.sum
		return changed
	}
	i, same := slices.BinarySearchFunc(s.snapshots, c.snapshot, func(a, b *snapshot) int { return a.date.Compare(b.date) })
	if same && s.snapshots[i].sum == c.sum {
		return false
	}
	// The atlas in force shares the slice: it is made anew.
	now := slices.Clone(s.snapshots)
	if same {
		now[i] = c.snapshot
	} else {
		now = slices.Insert(now, i, c.snapshot)
	}
	for len(now) > maxSnapshots {
		i := superfluous(len(now), func(i int) time.Time { return now[i].date })
		now = slices.Delete(now, i, i+1)
	}
	s.snapshots = now
	return true
}
