// SPDX-FileCopyrightText: The certlink authors
// SPDX-License-Identifier: Apache-2.0

package postgres

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math"
	"math/rand/v2"
	"net"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"

	"github.com/certlink/certlink/internal/testpostgres"
	"github.com/certlink/certlink/relay/store"
)

// writer writes objects and messages, and counts what it was told is stored.
type writer struct {
	s            *Store
	put, tried   int
	sent, failed int
}

func (w *writer) write(ctx context.Context) {
	if w.put == w.tried {
		w.tried++
	}
	var batch []store.Object
	for j := range 10 {
		batch = append(batch, store.Object{ID: fmt.Sprintf("x--%d-%d", w.tried, j), Type: "x", Raw: make([]byte, 2000)})
	}
	// A batch that failed, or may have failed, is repeated.
	if _, err := w.s.PutObjects(ctx, "c", batch, fmt.Sprint(w.tried)); err == nil {
		w.put = w.tried
	} else {
		w.failed++
	}
	if _, err := w.s.Enqueue(ctx, "bravo", func(serial int64) (store.Message, error) {
		return store.Message{ID: fmt.Sprint(serial), Payload: []byte("p")}, nil
	}); err == nil {
		w.sent++
	} else {
		w.failed++
	}
}

// verify wants all that was acknowledged, and nothing half.
func (w *writer) verify(t *testing.T, s *Store) {
	t.Helper()
	page, err := s.ListObjects(t.Context(), "c", store.Query{Limit: store.MaxRecords})
	if err != nil {
		t.Fatal(err)
	}
	cursor, err := s.Cursor(t.Context(), "c")
	if err != nil {
		t.Fatal(err)
	}
	batches := len(page.Records) / 10
	if len(page.Records)%10 != 0 || cursor != fmt.Sprint(batches) || batches < w.put || batches > w.tried {
		t.Errorf("%d objects and cursor %q; %d batches were acknowledged, %d tried", len(page.Records), cursor, w.put, w.tried)
	}
	if n, err := s.CountObjects(t.Context(), "c"); err != nil || int(n) != len(page.Records) {
		t.Errorf("count is %d, %v; want %d", n, err, len(page.Records))
	}
	pending, err := s.Pending(t.Context(), "bravo", store.MaxMessages)
	if err != nil || len(pending) < w.sent {
		t.Errorf("%d messages, %v; %d were acknowledged", len(pending), err, w.sent)
	}
	for i, m := range pending {
		if m.Serial != int64(i+1) {
			t.Errorf("message %d has serial %d", i, m.Serial)
		}
	}
}

func TestAKilledServerLosesNothingThatWasAcknowledged(t *testing.T) {
	server, err := testpostgres.New()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := server.Close(); err != nil {
			t.Error(err)
		}
	})
	s := openAt(t, server.Fresh(t))
	w := &writer{s: s}
	for round := range 3 {
		ctx, stop := context.WithCancel(t.Context())
		var writing sync.WaitGroup
		enough := make(chan struct{})
		target := w.put + 3 + round*5
		writing.Go(func() {
			for told := false; ctx.Err() == nil; {
				w.write(ctx)
				if w.put >= target && !told {
					told = true
					close(enough)
				}
			}
		})
		<-enough
		if err := server.Kill(); err != nil {
			t.Fatal(err)
		}
		// The same store goes on when the server is there again.
		if err := server.Start(); err != nil {
			t.Fatal(err)
		}
		stop()
		writing.Wait()
		w.verify(t, s)
		before := w.put
		for w.put == before {
			w.write(t.Context())
		}
		w.verify(t, s)
	}
	t.Logf("%d batches and %d messages acknowledged, %d calls failed", w.put, w.sent, w.failed)
}

// proxy stands between a store and its server, on a socket of its own. While it
// cuts, each connection breaks after some bytes from the client, wherever in a
// transaction that is.
type proxy struct {
	dir  string
	l    net.Listener
	cuts atomic.Bool
	done sync.WaitGroup
}

func newProxy(t *testing.T) *proxy {
	t.Helper()
	server := testpostgres.Shared(t)
	p := &proxy{dir: t.TempDir()}
	var err error
	p.l, err = (&net.ListenConfig{}).Listen(t.Context(), "unix", filepath.Join(p.dir, testpostgres.Socket))
	if err != nil {
		t.Fatal(err)
	}
	p.done.Go(func() {
		for {
			c, err := p.l.Accept()
			if err != nil {
				return
			}
			up, err := (&net.Dialer{}).DialContext(context.WithoutCancel(t.Context()), "unix", filepath.Join(server.Dir(), testpostgres.Socket))
			if err != nil {
				_ = c.Close()
				continue
			}
			budget := int64(math.MaxInt64)
			if p.cuts.Load() {
				budget = 1000 + rand.Int64N(200_000)
			}
			p.join(c, up, budget)
			p.join(up, c, math.MaxInt64)
		}
	})
	t.Cleanup(func() {
		_ = p.l.Close()
		p.done.Wait()
	})
	return p
}

func (p *proxy) join(from, to net.Conn, budget int64) {
	p.done.Go(func() {
		_, _ = io.CopyN(to, from, budget)
		_, _ = to.Close(), from.Close()
	})
}

func TestACutConnectionLosesNothingAndTheStoreGoesOn(t *testing.T) {
	p := newProxy(t)
	direct := testpostgres.Shared(t).Fresh(t)
	cfg, err := pgx.ParseConfig(direct)
	if err != nil {
		t.Fatal(err)
	}
	s := openAt(t, testpostgres.Through(p.dir, "postgres")+"&search_path="+cfg.RuntimeParams["search_path"])
	w := &writer{s: s}
	p.cuts.Store(true)
	s.bulk.Reset()
	s.urgent.Reset()
	for w.failed < 15 || w.put < 15 {
		w.write(t.Context())
	}
	p.cuts.Store(false)
	s.bulk.Reset()
	s.urgent.Reset()
	before := w.put
	for w.put == before {
		w.write(t.Context())
	}
	w.verify(t, s)
	t.Logf("%d batches and %d messages acknowledged, %d calls failed", w.put, w.sent, w.failed)
	_ = s.Close() // before the proxy waits for its connections
}

// A full disk needs a file system of its own; the server's word for it does not. The
// statement fails as it would then, in the middle of a transaction.
func TestAFullDiskIsToldAndLeavesNothing(t *testing.T) {
	uri := testpostgres.Shared(t).Fresh(t)
	s := openAt(t, uri)
	full := func(on bool) {
		t.Helper()
		conn, err := pgx.Connect(t.Context(), uri)
		if err != nil {
			t.Fatal(err)
		}
		script := "DROP TRIGGER no_room ON collections; DROP TRIGGER no_room ON messages"
		if on {
			script = `CREATE OR REPLACE FUNCTION full_disk() RETURNS trigger LANGUAGE plpgsql AS
				'BEGIN RAISE EXCEPTION ''could not extend file: No space left on device'' USING ERRCODE = ''disk_full''; END';
				CREATE TRIGGER no_room BEFORE INSERT OR UPDATE ON collections FOR EACH ROW EXECUTE FUNCTION full_disk();
				CREATE TRIGGER no_room BEFORE INSERT OR UPDATE ON messages FOR EACH ROW EXECUTE FUNCTION full_disk()`
		}
		if _, err := conn.PgConn().Exec(t.Context(), script).ReadAll(); err != nil {
			t.Fatal(err)
		}
		if err := conn.Close(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	w := &writer{s: s}
	w.write(t.Context())
	full(true)
	if _, err := s.PutObjects(t.Context(), "c", []store.Object{{ID: "y", Type: "y", Raw: []byte("y")}}, "y"); !errors.Is(err, store.ErrFull) {
		t.Errorf("PutObjects: %v, want ErrFull", err)
	}
	if _, err := s.Enqueue(t.Context(), "bravo", func(int64) (store.Message, error) { return store.Message{ID: "y"}, nil }); !errors.Is(err, store.ErrFull) {
		t.Errorf("Enqueue: %v, want ErrFull", err)
	}
	w.verify(t, s)
	full(false)
	w.write(t.Context())
	w.verify(t, s)
	if w.put != 2 || w.sent != 2 {
		t.Errorf("%d batches, %d messages", w.put, w.sent)
	}
}

func TestErrorsOfTheServerAreClassified(t *testing.T) {
	for code, want := range map[string]error{"53100": store.ErrFull, "40P01": nil} {
		err := classify(fmt.Errorf("writing: %w", &pgconn.PgError{Code: code, Message: "m"}))
		if want != nil && !errors.Is(err, want) || want == nil && errors.Is(err, store.ErrFull) {
			t.Errorf("%s is %v", code, err)
		}
	}
	for code, want := range map[string]bool{"57P01": true, "57P03": true, "53300": true, "28P01": false, "42P01": false} {
		if got := away(&pgconn.PgError{Code: code}); got != want {
			t.Errorf("%s is away: %v", code, got)
		}
	}
}

func TestWhatOnlySomebodyMendsHasARemedyAndIsWaitedForNevertheless(t *testing.T) {
	for code, wants := range map[string]string{
		"28P01": "a password", "28000": "pg_hba.conf", "3D000": "make the database", "3F000": "make the schema",
		"42501": "the owner", "42P07": "refuses a statement", "0A000": "refuses a statement", "23505": "refuses a statement",
		"57P03": "", "53300": "", "53100": "", "25006": "", "40001": "", "55P03": "",
	} {
		said := &pgconn.PgError{Severity: "ERROR", Code: code, Message: "m"}
		for how, err := range map[string]error{
			"in a statement":          fmt.Errorf("opening: %w", classify(fmt.Errorf("migrating: %w", said))),
			"when it is connected to": fmt.Errorf("opening: %w", explainConnect(fmt.Errorf("connecting: %w", said))),
		} {
			if !Passes(err) {
				t.Errorf("%s %s ends the relay", code, how)
			}
			if got := Remedy(err); (got == "") != (wants == "") || !strings.Contains(got, wants) {
				t.Errorf("%s %s: %q, want %q", code, how, got, wants)
			}
		}
	}
	if err := error(&unreachableError{reason: "connection refused"}); Remedy(err) != "" || Remedy(nil) != "" {
		t.Error("what may pass has a remedy")
	}
}
