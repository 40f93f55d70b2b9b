// SPDX-FileCopyrightText: The certlink authors
// SPDX-License-Identifier: Apache-2.0

package keyring

import (
	"context"
	"errors"
	"log/slog"
	"path/filepath"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/goleak"

	"github.com/certlink/certlink/internal/testbubble"
	"github.com/certlink/certlink/relay/seal"
	"github.com/certlink/certlink/relay/store"
	"github.com/certlink/certlink/relay/store/sqlite"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const bravo = "bravo.example"

// vouchers plays signed offers: a statement is the name of who signed and the key.
type vouchers struct{ distrusted bool }

var errDistrusted = errors.New("certificate not trusted")

func (v *vouchers) open(statement []byte, _ time.Time) (trustDomain string, public []byte, err error) {
	if v.distrusted {
		return "", nil, errDistrusted
	}
	return string(statement[:len(bravo)]), statement[len(bravo):], nil
}

func open(t *testing.T, path string) *sqlite.Store {
	t.Helper()
	s, err := sqlite.Open(t.Context(), sqlite.Config{Path: path})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.Close() })
	return s
}

func ring(t *testing.T, s store.Sealing, v *vouchers, changed func()) *Ring {
	t.Helper()
	r, err := New(t.Context(), Config{Store: s, Vouched: v.open, Log: slog.New(slog.DiscardHandler), Changed: changed})
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func newPublic(t *testing.T) []byte {
	t.Helper()
	k, err := seal.NewPrivateKey()
	if err != nil {
		t.Fatal(err)
	}
	return k.Public().Bytes()
}

func TestAKeyIsMadeOnceAndRenewedAndTheOldOnesOpenForLong(t *testing.T) {
	testbubble.Run(t, func(t *testing.T) {
		path := filepath.Join(t.TempDir(), "relay.db")
		var changes atomic.Int32
		stored := open(t, path)
		r := ring(t, stored, &vouchers{}, func() { changes.Add(1) })
		first := r.Public()
		if string(ring(t, stored, &vouchers{}, nil).Public()) != string(first) {
			t.Error("another start makes another key")
		}
		key, err := seal.ParsePublicKey(first)
		if err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan error)
		go func() { done <- r.Run(ctx) }()
		<-time.After(Lifetime - time.Hour)
		synctest.Wait()
		if string(r.Public()) != string(first) || changes.Load() != 0 {
			t.Error("the key was renewed too early")
		}
		<-time.After(2 * time.Hour)
		synctest.Wait()
		if string(r.Public()) == string(first) || changes.Load() != 1 {
			t.Error("the key was not renewed")
		}
		has := func() bool {
			for _, k := range r.Private(t.Context(), key.ID()) {
				if k.Public().ID() == key.ID() {
					return true
				}
			}
			return false
		}
		if !has() {
			t.Error("the old key does not open any more")
		}
		<-time.After(Kept - Lifetime + time.Hour)
		synctest.Wait()
		if has() {
			t.Error("the old key is kept for ever")
		}
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
		if err := stored.Close(); err != nil {
			t.Error(err)
		}
	})
}

func TestAPeersKeyIsKeptAndCountsWhileItsVoucherIsTrusted(t *testing.T) {
	path := filepath.Join(t.TempDir(), "relay.db")
	v := &vouchers{}
	stored := open(t, path)
	r := ring(t, stored, v, nil)
	if _, err := r.Peer(t.Context(), bravo); !errors.Is(err, ErrUnknownKey) {
		t.Errorf("error is %v", err)
	}
	public := newPublic(t)
	if err := r.Learn(t.Context(), bravo, public, append([]byte(bravo), public...), time.Now()); err != nil {
		t.Fatal(err)
	}
	if err := r.Learn(t.Context(), bravo, []byte("no key"), []byte("x"), time.Now()); err == nil {
		t.Error("what is no key was learned")
	}
	if err := stored.Close(); err != nil {
		t.Fatal(err)
	}
	r = ring(t, open(t, path), v, nil)
	if k, err := r.Peer(t.Context(), bravo); err != nil || string(k.Bytes()) != string(public) {
		t.Errorf("after a restart: %v", err)
	}
	v.distrusted = true
	if _, err := r.Peer(t.Context(), bravo); !errors.Is(err, ErrUnknownKey) || !errors.Is(err, errDistrusted) {
		t.Errorf("error is %v", err)
	}
}

func TestAStatementOfAnotherVouchesForNothing(t *testing.T) {
	r := ring(t, open(t, filepath.Join(t.TempDir(), "relay.db")), &vouchers{}, nil)
	public, other := newPublic(t), newPublic(t)
	for name, statement := range map[string][]byte{
		"of another nation": append([]byte("delta.example"), public...),
		"about another key": append([]byte(bravo), other...),
	} {
		if err := r.Learn(t.Context(), bravo, public, statement, time.Now()); err != nil {
			t.Fatal(err)
		}
		if _, err := r.Peer(t.Context(), bravo); !errors.Is(err, ErrUnknownKey) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestAKeyThatAnotherReplicaMadeIsFound(t *testing.T) {
	testbubble.Run(t, func(t *testing.T) {
		stored := open(t, filepath.Join(t.TempDir(), "relay.db"))
		one, two := ring(t, stored, &vouchers{}, nil), ring(t, stored, &vouchers{}, nil)
		<-time.After(Lifetime)
		if err := one.turn(t.Context()); err != nil {
			t.Fatal(err)
		}
		key, err := seal.ParsePublicKey(one.Public())
		if err != nil {
			t.Fatal(err)
		}
		if keys := two.Private(t.Context(), key.ID()); len(keys) != 2 || keys[0].Public().ID() != key.ID() {
			t.Errorf("the other has %d keys", len(keys))
		}
		public := newPublic(t)
		if err := one.Learn(t.Context(), bravo, public, append([]byte(bravo), public...), time.Now()); err != nil {
			t.Fatal(err)
		}
		<-time.After(rereadGap)
		if _, err := two.Peer(t.Context(), bravo); err != nil {
			t.Errorf("what one learned the other does not know: %v", err)
		}
		if err := stored.Close(); err != nil {
			t.Error(err)
		}
	})
}
