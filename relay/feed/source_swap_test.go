// SPDX-FileCopyrightText: The certlink authors
// SPDX-License-Identifier: Apache-2.0

package feed

import (
	"context"
	"net/http"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/certlink/certlink/internal/testca"
	"github.com/certlink/certlink/relay/config"
	"github.com/certlink/certlink/relay/store"
)

// swapping replaces a volume in the middle of a pull, and counts what is deleted then.
type swapping struct {
	Store
	swap    func()
	deleted atomic.Int64
}

func (s *swapping) PutObjects(ctx context.Context, c string, o []store.Object, cursor string) ([]store.Outcome, error) {
	if c == sourceName("threats", "attack") {
		s.swap()
	}
	return s.Store.PutObjects(ctx, c, o, cursor)
}

func (s *swapping) DeleteObjects(ctx context.Context, c string, q store.Query, d ...store.Dependents) (int, error) {
	n, err := s.Store.DeleteObjects(ctx, c, q, d...)
	s.deleted.Add(int64(n))
	return n, err
}

// TestAVolumeThatIsReplacedWhileItIsReadTakesNothingBack: an object that moves from one
// file to another stands in neither, if the first was read before and the second after.
func TestAVolumeThatIsReplacedWhileItIsReadTakesNothingBack(t *testing.T) {
	long := make([]string, 12)
	for i := range long {
		long[i] = strings.Replace(indicator(100+i, clearID), `"name"`, `"description":"`+strings.Repeat("x", 900_000)+`","name"`, 1)
	}
	moves := indicator(1, clearID)
	for name, names := range map[string]func(dir string) []string{
		"as_a_directory": func(dir string) []string { return []string{dir + "/"} },
		"as_files": func(dir string) []string {
			return []string{filepath.Join(dir, "a.json"), filepath.Join(dir, "b.json")}
		},
	} {
		t.Run(name, func(t *testing.T) {
			dir := filepath.Join(t.TempDir(), "bundles")
			write := func(a, b []string) {
				if err := testca.WriteVolume(dir, map[string][]byte{"a.json": envelope(a...), "b.json": envelope(b...)}); err != nil {
					t.Error(err)
				}
			}
			write([]string{long[0]}, []string{moves})
			s := &swapping{swap: func() {}}
			path := filepath.Join(t.TempDir(), "alfa.db")
			wrap := func(inner Store) Store { s.Store = inner; return s }
			pull := config.PulledSource{Files: names(dir), IntervalSeconds: 86_400}
			alfa := sideOn(t, path, http.DefaultTransport, wrap)
			alfa.Apply(fetching(pull))
			fetched(t, alfa, 2)
			alfa.end()

			write(long, []string{moves})
			swap := sync.OnceFunc(func() { write(append([]string{moves}, long...), []string{indicator(2, clearID)}) })
			s = &swapping{swap: swap}
			alfa = sideOn(t, path, http.DefaultTransport, wrap)
			alfa.Apply(fetching(pull))
			fetched(t, alfa, int64(len(long)+2))
			if n := s.deleted.Load(); n > 0 {
				t.Errorf("%d objects were taken back", n)
			}
			if got := collected(t, alfa, "threats.attack"); !cmp.Equal(got[:2], []string{long[0], moves}) && !cmp.Equal(got[:2], []string{moves, long[0]}) {
				t.Errorf("the first two are no longer the first")
			}
		})
	}
}
