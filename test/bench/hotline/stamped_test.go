// SPDX-FileCopyrightText: The certlink authors
// SPDX-License-Identifier: Apache-2.0

//go:build linux

package main

import (
	"context"
	"errors"
	"path/filepath"
	"testing"
	"time"

	"github.com/certlink/certlink/relay/store"
	"github.com/certlink/certlink/relay/store/sqlite"
)

func TestAStampIsOfAChangeThatStoredTheMessageAndReturned(t *testing.T) {
	inner, err := sqlite.Open(t.Context(), sqlite.Config{Path: filepath.Join(t.TempDir(), "relay.db")})
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = inner.Close() }()
	s, no := &stamped{Store: inner}, errors.New("no")
	accept := func(id string, serial int64, end error) func(tx store.LineTx) error {
		return func(tx store.LineTx) error {
			_, _, err := tx.Accept(store.Message{ID: id, Serial: serial, Payload: []byte(id), Receipt: []byte("r")})
			return errors.Join(err, end)
		}
	}
	w := s.watch("m")
	for name, c := range map[string]struct {
		change func(tx store.LineTx) error
		result error
	}{
		"that is undone":         {accept("m", 1, no), no},
		"of another message":     {accept("other", 2, nil), nil},
		"that stores no message": {func(store.LineTx) error { return nil }, nil},
	} {
		if err := s.ChangeLine(t.Context(), "bravo", c.change); !errors.Is(err, c.result) {
			t.Fatal(err)
		}
		if len(w.at) != 0 {
			t.Errorf("a change %s is noted", name)
		}
	}
	if err := s.ChangeLine(t.Context(), "bravo", accept("m", 1, nil)); err != nil || len(w.at) != 1 {
		t.Fatalf("%d changes that store the message are noted, %v", len(w.at), err)
	}
	// A stamp counts if what it is of is there: this one is not of a receipt.
	soon, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	if _, err := s.stored(soon, w, store.Out, "bravo"); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("a receipt that is not there is stored: %v", err)
	}
	if _, err := s.Enqueue(t.Context(), "bravo", func(int64) (store.Message, error) { return store.Message{ID: "m", Payload: []byte("m")}, nil }); err != nil {
		t.Fatal(err)
	}
	before := time.Now()
	if err := s.ChangeLine(t.Context(), "bravo", func(tx store.LineTx) error {
		return tx.PutReceipts(store.Receipt{ID: "m", Body: []byte("r"), At: before})
	}); err != nil {
		t.Fatal(err)
	}
	after := time.Now()
	if at, err := s.stored(t.Context(), w, store.Out, "bravo"); err != nil || at.Before(before) || at.After(after) {
		t.Errorf("stored at %v, %v; want within %v and %v", at, err, before, after)
	}
}
