// SPDX-FileCopyrightText: The certlink authors
// SPDX-License-Identifier: Apache-2.0

package sqlite

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"time"

	"github.com/certlink/certlink/relay/store"
)

// leases of a store that one relay uses. They end with it, as the work does.
type leases struct {
	mu   sync.Mutex // guards what follows
	held map[string]lease
}

type lease struct {
	holder  string
	token   int64
	expires time.Time
	note    []byte
}

// Acquire implements store.Leases.
func (s *Store) Acquire(ctx context.Context, name, holder string, ttl time.Duration) (store.Lease, bool, error) {
	if name == "" || holder == "" || len(name) > store.MaxLeaseName || len(holder) > store.MaxLeaseName || ttl < time.Microsecond {
		return store.Lease{}, false, errors.New("taking a lease: its name, its holder or its time is not within bounds")
	}
	if err := ctx.Err(); err != nil {
		return store.Lease{}, false, fmt.Errorf("taking a lease: %w", err)
	}
	now := s.now()
	s.leases.mu.Lock()
	defer s.leases.mu.Unlock()
	l := s.leases.held[name]
	switch live := l.expires.After(now); {
	case live && l.holder != holder:
		return store.Lease{Name: name}, false, nil
	case !live:
		// Greater than any token of the process before this one.
		l.token = max(l.token+1, now.UnixMicro())
	}
	l.holder, l.expires = holder, now.Add(ttl)
	if s.leases.held == nil {
		s.leases.held = map[string]lease{}
	}
	s.leases.held[name] = l
	return store.Lease{Name: name, Token: l.token}, true, nil
}

// Release implements store.Leases.
func (s *Store) Release(_ context.Context, name, holder string) error {
	s.leases.mu.Lock()
	defer s.leases.mu.Unlock()
	if l, ok := s.leases.held[name]; ok && l.holder == holder {
		l.expires = time.Time{}
		s.leases.held[name] = l
	}
	return nil
}

// Note implements store.Leases.
func (s *Store) Note(_ context.Context, l store.Lease, note []byte) error {
	if len(note) == 0 || len(note) > store.MaxLeaseNote {
		return fmt.Errorf("leaving a note: %d bytes are not within 1 to %d", len(note), store.MaxLeaseNote)
	}
	s.leases.mu.Lock()
	defer s.leases.mu.Unlock()
	now, ok := s.leases.held[l.Name]
	if !ok || now.token != l.Token {
		return fmt.Errorf("leaving a note: %w", store.ErrFenced)
	}
	now.note = bytes.Clone(note)
	s.leases.held[l.Name] = now
	return nil
}

// Notes implements store.Leases.
func (s *Store) Notes(_ context.Context, prefix string) (map[string][]byte, error) {
	s.leases.mu.Lock()
	defer s.leases.mu.Unlock()
	notes := map[string][]byte{}
	for name, l := range s.leases.held {
		if strings.HasPrefix(name, prefix) && l.note != nil && len(notes) < store.MaxRecords {
			notes[name] = bytes.Clone(l.note)
		}
	}
	return notes, nil
}

// fenced refuses a change under a lease that went to another holder.
func (l *leases) fenced(ctx context.Context) error {
	under, ok := store.LeaseOf(ctx)
	if !ok {
		return nil
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.held[under.Name].token != under.Token {
		return store.ErrFenced
	}
	return nil
}

// Watch implements store.News: there is no other replica.
func (s *Store) Watch(ctx context.Context, changed func(topic string)) error {
	changed("")
	select {
	case <-ctx.Done():
		return nil
	case <-s.flush.broken:
		return s.flush.state()
	}
}
