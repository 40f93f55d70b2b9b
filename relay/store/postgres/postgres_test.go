// SPDX-FileCopyrightText: The certlink authors
// SPDX-License-Identifier: Apache-2.0

package postgres

import (
	"errors"
	"fmt"
	"os"
	"sync"
	"testing"

	"go.uber.org/goleak"

	"github.com/certlink/certlink/internal/testpostgres"
	"github.com/certlink/certlink/relay/store"
	"github.com/certlink/certlink/relay/store/storetest"
)

func TestMain(m *testing.M) {
	code := m.Run()
	if err := errors.Join(testpostgres.Stop(), goleak.Find()); err != nil {
		fmt.Fprintln(os.Stderr, err)
		code = max(code, 1)
	}
	os.Exit(code)
}

// places are the databases of tests: the same place is the same database.
var places = struct {
	sync.Mutex
	urls map[string]string
}{urls: map[string]string{}}

func place(t *testing.T, name string) string {
	t.Helper()
	places.Lock()
	defer places.Unlock()
	if places.urls[name] == "" {
		places.urls[name] = testpostgres.Shared(t).Fresh(t)
	}
	return places.urls[name]
}

func TestConformance(t *testing.T) {
	storetest.Run(t, func(t *testing.T, o storetest.Options) store.Store {
		t.Helper()
		uri := place(t, o.Place)
		s, err := Open(t.Context(), Config{URL: always(uri), Now: o.Now, MaxConnections: 8})
		if err != nil {
			t.Fatal(err)
		}
		return s
	})
}

// always is a connection URI that never changes.
func always(uri string) func() (string, error) {
	return func() (string, error) { return uri, nil }
}

// open opens a store on a new database.
func open(t testing.TB) *Store {
	t.Helper()
	return openAt(t, testpostgres.Shared(t).Fresh(t))
}

func openAt(t testing.TB, uri string) *Store {
	t.Helper()
	s, err := Open(t.Context(), Config{URL: always(uri)})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.Close() })
	return s
}
