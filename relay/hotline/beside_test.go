// SPDX-FileCopyrightText: The certlink authors
// SPDX-License-Identifier: Apache-2.0

package hotline

import (
	"bytes"
	"context"
	"errors"
	"net/http"
	"net/http/httptest"
	"sync/atomic"
	"testing"
	"testing/synctest"

	"github.com/certlink/certlink/relay/access"
	"github.com/certlink/certlink/relay/hotline/wire"
	"github.com/certlink/certlink/relay/store"
)

var errOnItsWay = errors.New("what is shown may not be on the disk yet")

// syncingStore shows what happens between a change that is written and its sync.
type syncingStore struct {
	Store
	// sync is what comes of it. refuses: until then nobody may see it.
	sync    error
	refuses bool
	syncing atomic.Bool
}

func (s *syncingStore) ChangeLine(ctx context.Context, peer string, change func(store.LineTx) error) error {
	defer s.syncing.Store(false)
	if err := s.Store.ChangeLine(ctx, peer, func(tx store.LineTx) error { return change(syncingTx{tx, s}) }); err != nil {
		return err
	}
	synctest.Wait()
	return s.sync
}

type syncingTx struct {
	store.LineTx
	s *syncingStore
}

func (t syncingTx) Written(f func()) {
	t.LineTx.Written(func() {
		t.s.syncing.Store(true)
		f()
	})
}

func (s *syncingStore) GlanceLine(ctx context.Context, peer string, read func(store.LineReader) error) error {
	if s.syncing.Load() && s.refuses {
		return errOnItsWay
	}
	return s.Store.GlanceLine(ctx, peer, read)
}

// brought is what comes of a batch of alfa that is brought to an engine of bravo.
func brought(t *testing.T, to *Engine, body []byte) *httptest.ResponseRecorder {
	t.Helper()
	r := httptest.NewRequestWithContext(access.WithPeer(t.Context(), alfaRelay), http.MethodPost, Path, bytes.NewReader(body))
	r.Header.Set("Content-Type", ContentType)
	recorder := httptest.NewRecorder()
	to.Handler().ServeHTTP(recorder, r)
	return recorder
}

func TestAnAnswerIsMadeWhileTheDiskSyncs(t *testing.T) {
	for name, tt := range map[string]struct {
		sync    error
		refuses bool
		// made: it was made before the end of the sync.
		made   bool
		status int
	}{
		"and_leaves_after_that":                               {made: true, status: http.StatusOK},
		"and_never_leaves_if_that_fails":                      {sync: errors.New("a page is lost"), made: true, status: http.StatusInternalServerError},
		"or_after_it_where_what_it_needs_may_not_be_read_yet": {refuses: true, made: true, status: http.StatusOK},
	} {
		bubble(t, name, func(t *testing.T, w *world) {
			w.faults(cut)
			at := w.bravo.replica()
			s := &syncingStore{Store: at.cfg.Store, refuses: tt.refuses, sync: tt.sync}
			var made atomic.Bool
			identity := at.cfg.Identity
			at.cfg.Store, at.cfg.Identity = s, func() Identity {
				if s.syncing.Load() {
					made.Store(true)
				}
				return identity()
			}
			f := w.forges()
			recorder := brought(t, at, f.batch(t, 0, f.talk(t, 0)))
			if recorder.Code != tt.status || made.Load() != tt.made {
				t.Errorf("%d, made before: %t", recorder.Code, made.Load())
			}
			if recorder.Code != http.StatusOK {
				return
			}
			if o := opened(t, w, recorder); o.State != wire.Continues || len(o.Entries) != 1 || o.Held.Tree() != f.tree {
				t.Errorf("%+v", o.Batch)
			}
		})
	}
}
