// SPDX-FileCopyrightText: The certlink authors
// SPDX-License-Identifier: Apache-2.0

package sqlite

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"errors"
	"fmt"
	"net/url"
	"os"
	"path/filepath"
	"sync/atomic"
	"time"

	"github.com/certlink/certlink/relay/store"
)

const (
	// busyTimeout is how long a statement waits for another process that holds
	// the database: a backup, or an operator's shell.
	busyTimeout = 10 * time.Second
	// openPause is how long an attempt to open waits for the next.
	openPause = 20 * time.Millisecond
	// readers is the number of concurrent reads.
	readers = 8
	// readersCache is what each of them keeps, in KiB. All of it goes with the next commit, and what goes beyond
	// 4 MiB in all is given back to the system under the lock of SQLite's memory, which the writer waits for.
	readersCache = "cache_size(-256)"
)

// Config of a store.
type Config struct {
	// Path of the database file. It is made when absent; its directory must exist.
	Path string
	// Now is the clock. Nil means time.Now.
	Now func() time.Time
}

// Store is a store.Store in one SQLite file.
type Store struct {
	path  string
	now   func() time.Time
	turns *turns
	// leases are in memory: one relay uses the file.
	leases leases
	// write has exactly one connection, used by whoever has the turn.
	write *sql.DB
	// lines are what whoever has the turn knows of the hotlines without reading.
	lines lines
	// bound is room for the values of a statement of whoever has the turn.
	bound []driver.NamedValue
	// log is the write-ahead log, and flush syncs it.
	log    *os.File
	flush  *flusher
	length lengthener
	// carry has one connection that makes checkpoints, and nothing else.
	carry       *sql.DB
	checkpoints *checkpoints
	// exchanged is when a message or a receipt was last stored; nil if none was since the start.
	exchanged atomic.Pointer[time.Time]
	// known tells quickly that objects are new.
	known *known
	// ids does so of messages.
	ids ids
	// watches are deletions that must know what is decided meanwhile.
	watches watches
	// read has connections that cannot change anything.
	read *sql.DB
}

var _ store.Store = (*Store)(nil)

// Open opens the database and migrates its schema forward. The caller closes it.
func Open(ctx context.Context, cfg Config) (*Store, error) {
	if cfg.Now == nil {
		cfg.Now = time.Now
	}
	path, err := filepath.Abs(cfg.Path)
	if err != nil {
		return nil, fmt.Errorf("opening database %q: %w", cfg.Path, err)
	}
	s := &Store{path: path, now: cfg.Now, turns: newTurns(), checkpoints: newCheckpoints(path), known: newKnown(), ids: newIDs()}
	if err := s.openPatiently(ctx); err != nil {
		return nil, errors.Join(fmt.Errorf("opening database %q: %w", path, s.classify(err)), s.Close())
	}
	return s, nil
}

// openPatiently opens again while another process that opens the same file is in the way:
// SQLite does not wait where two of them turn a new file to its log at the same moment.
func (s *Store) openPatiently(ctx context.Context) error {
	return patiently(ctx, func(ctx context.Context) error {
		err := s.open(ctx)
		if isBusy(err) {
			for _, db := range []**sql.DB{&s.read, &s.carry, &s.write} {
				if *db != nil {
					err = errors.Join(err, (*db).Close())
					*db = nil
				}
			}
		}
		return err
	})
}

// patiently tries again while others are in the way, for busyTimeout at most. An attempt
// itself takes the time that it takes: a step of the schema may rewrite all that is stored.
func patiently(ctx context.Context, attempt func(context.Context) error) error {
	late := time.NewTimer(busyTimeout)
	defer late.Stop()
	pause := time.NewTicker(openPause)
	defer pause.Stop()
	for {
		err := attempt(ctx)
		if !isBusy(err) {
			return err
		}
		select {
		case <-pause.C:
		case <-late.C:
			return err
		case <-ctx.Done():
			return err
		}
	}
}

func (s *Store) open(ctx context.Context) error {
	registerKey()
	// Made here, so that it, its log and its index are ours alone to read.
	file, err := os.OpenFile(s.path, os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return err
	}
	if err := file.Close(); err != nil {
		return err
	}
	// What this release must leave alone is left as it is, with its log.
	if err := peek(s.path); err != nil {
		return err
	}
	// Before anybody reads, or carries, what a process before this one may not have brought to the disk.
	if err := renewLog(ctx, s.path); err != nil {
		return err
	}
	// The schema's version is looked at before anything is set that would change the file.
	if err := checkVersion(ctx, s.path); err != nil {
		return err
	}
	if err := registerLog(); err != nil {
		return err
	}
	if s.write, err = openDB(dsn(s.path, "immediate",
		"journal_mode(WAL)", "synchronous(NORMAL)", "cache_size(-65536)", "wal_autocheckpoint(32768)",
		"journal_size_limit(67108864)", "temp_store(MEMORY)") + "&vfs=" + logVFS); err != nil {
		return err
	}
	s.write.SetMaxOpenConns(1)
	if err := migrate(ctx, s.write); err != nil {
		return err
	}
	if s.carry, err = sql.Open("sqlite", dsn(s.path, "deferred", "synchronous(FULL)", "cache_size(-64)")); err != nil {
		return err
	}
	s.carry.SetMaxOpenConns(1)
	// It is never interrupted, so that database/sql never gives it up; and from its first read on
	// SQLite keeps the log for it: s.log stays the file that others write.
	var version int
	if err := s.carry.QueryRowContext(ctx, "PRAGMA user_version").Scan(&version); err != nil {
		return err
	}
	if s.read, err = openDB(dsn(s.path, "deferred", "query_only(1)", readersCache, "temp_store(MEMORY)")); err != nil {
		return err
	}
	s.read.SetMaxOpenConns(readers)
	s.read.SetMaxIdleConns(readers)
	if s.log, err = os.OpenFile(s.path+"-wal", os.O_RDWR, 0); err != nil {
		return err
	}
	s.flush = newFlusher(syncOf(s.log))
	// What the schema's steps and a process before this one wrote, then the entries of new files.
	if err := s.flush.sync(); err != nil {
		return fmt.Errorf("%w: %w", ErrUnflushed, err)
	}
	return syncDir(filepath.Dir(s.path))
}

// Close waits until what was committed is on stable storage, and closes the database. No call
// may begin after it.
func (s *Store) Close() error {
	s.length.close()
	if s.flush != nil {
		_ = s.flush.wait(s.flush.visible()) // whoever committed is told
	}
	s.checkpoints.running.Wait()
	s.known.close()
	s.ids.close()
	var errs []error
	for _, db := range []*sql.DB{s.read, s.carry, s.write} {
		if db != nil {
			errs = append(errs, db.Close())
		}
	}
	if s.log != nil {
		errs = append(errs, s.log.Close())
	}
	return errors.Join(errs...)
}

func dsn(path, lock string, pragmas ...string) string {
	q := url.Values{"_txlock": {lock}}
	q.Add("_pragma", fmt.Sprintf("busy_timeout(%d)", busyTimeout.Milliseconds()))
	for _, p := range pragmas {
		q.Add("_pragma", p)
	}
	u := url.URL{Scheme: "file", Path: path, RawQuery: q.Encode()}
	return u.String()
}

func syncDir(dir string) error {
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}

// change runs f in the one write transaction, when it is its turn. What f did is
// on stable storage when change returns nil, and undone when it does not, unless the error
// is ErrUnflushed. The turn is over when it is written: see flusher.
func (s *Store) change(ctx context.Context, l lane, doing string, f func(tx *transaction) error) error {
	return s.changeThen(ctx, l, doing, f, func() {})
}

// changeThen is change that calls written as soon as others can see what f did, while it is
// on its way to stable storage.
func (s *Store) changeThen(ctx context.Context, l lane, doing string, f func(tx *transaction) error, written func()) error {
	s.relieve(false)
	commit, err := s.transact(ctx, l, doing, f)
	if err != nil {
		if errors.Is(err, store.ErrFull) {
			s.relieve(true) // f may not be repeatable: the next change has room
		}
		return err
	}
	written()
	if err := s.flush.wait(commit); err != nil {
		return fmt.Errorf("%s: %w", doing, err)
	}
	s.checkpoints.wrote(usualWrite)
	s.checkpoint(l)
	if commit >= lengthenAfter {
		s.length.begin(s)
	}
	return nil
}

// transact is change up to the end of the turn; it returns what to wait for.
func (s *Store) transact(ctx context.Context, l lane, doing string, f func(tx *transaction) error) (commit uint64, err error) {
	leave, err := s.turns.take(ctx, l)
	if err != nil {
		return 0, fmt.Errorf("%s: %w", doing, err)
	}
	defer leave()
	defer func() { s.lines.ended(l, err) }()
	if err := s.flush.state(); err != nil {
		return 0, fmt.Errorf("%s: %w", doing, err)
	}
	tx, err := begin(context.WithoutCancel(ctx), s.write, sqlBeginWriting)
	if err != nil {
		return 0, fmt.Errorf("%s: %w", doing, s.classify(err))
	}
	defer tx.end() // also when f panics
	if err = s.leases.fenced(ctx); err == nil {
		err = f(tx)
	}
	if err == nil {
		s.flush.begin()
		err = tx.commit()
		commit = s.flush.end(err == nil)
	}
	if err != nil {
		return 0, fmt.Errorf("%s: %w", doing, s.classify(err))
	}
	return commit, nil
}

// look runs f over one unchanging state of the database, all of which is on stable storage
// when it returns: what a reader learns from it is true after a power loss as well.
func (s *Store) look(ctx context.Context, doing string, f func(tx *transaction) error) error {
	if err := s.glance(ctx, doing, f); err != nil {
		return err
	}
	if err := s.flush.wait(s.flush.visible()); err != nil {
		return fmt.Errorf("%s: %w", doing, err)
	}
	return nil
}

// glance is look for Pending and GlanceLine: it shows what is committed, while it may be on
// its way to stable storage; see store.Lines.
func (s *Store) glance(ctx context.Context, doing string, f func(tx *transaction) error) error {
	tx, err := begin(ctx, s.read, sqlBeginReading)
	if err != nil {
		return fmt.Errorf("%s: %w", doing, s.classify(err))
	}
	defer tx.end() // nothing was changed
	if err = f(tx); err != nil {
		return fmt.Errorf("%s: %w", doing, s.classify(err))
	}
	return nil
}
