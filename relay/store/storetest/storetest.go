// SPDX-FileCopyrightText: The certlink authors
// SPDX-License-Identifier: Apache-2.0

// Package storetest is the exercise that every engine of package store must
// pass: each sentence of the contract, over the public interface alone.
//
// What only one engine can show (a full disk, a killed process, a newer schema)
// is tested beside that engine.
package storetest

import (
	"testing"
	"time"

	"github.com/certlink/certlink/relay/store"
)

// Options say which store is opened.
type Options struct {
	// Place is a name made for one test. The same place holds the same data.
	Place string
	// Now is the store's clock; nil means time.Now.
	Now func() time.Time
}

// Opener opens a store. It fails the test if it cannot. The caller closes it.
type Opener func(t *testing.T, o Options) store.Store

// Run runs the exercise.
func Run(t *testing.T, open Opener) {
	for _, part := range []struct {
		name  string
		tests map[string]func(t *testing.T, e env)
	}{
		{"objects", objectTests},
		{"views", viewTests},
		{"outgoing", outgoingTests},
		{"versions", versionTests},
		{"deletion", deletionTests},
		{"deliveries", deliveryTests},
		{"types", typesTests},
		{"quarantine", quarantineTests},
		{"messages", messageTests},
		{"marks", markTests},
		{"lines", lineTests},
		{"escalations", escalationTests},
		{"linechecks", lineCheckTests},
		{"attachments", attachmentTests},
		{"drafts", draftTests},
		{"ended", endedTests},
		{"trust", trustTests},
		{"sealing", sealingTests},
		{"leases", leaseTests},
		{"concurrency", concurrencyTests},
	} {
		t.Run(part.name, func(t *testing.T) {
			for name, test := range part.tests {
				t.Run(name, func(t *testing.T) {
					e := env{open: open, place: t.TempDir()}
					e.Store = e.reopen(t, Options{})
					test(t, e)
				})
			}
		})
	}
}

// env is a fresh store, and the way to open it again.
type env struct {
	store.Store
	open  Opener
	place string
}

// reopen opens the same data once more. The store is closed with the test, if
// the test has not done so.
func (e env) reopen(t *testing.T, o Options) store.Store {
	t.Helper()
	o.Place = e.place
	s := e.open(t, o)
	t.Cleanup(func() { _ = s.Close() })
	return s
}
