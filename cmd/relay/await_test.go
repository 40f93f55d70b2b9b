// SPDX-FileCopyrightText: The certlink authors
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5/pgconn"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"

	"github.com/certlink/certlink/internal/testbubble"
	"github.com/certlink/certlink/relay/config"
	"github.com/certlink/certlink/relay/store"
)

// waiter is a relay at its start, with a database that answers as a test wants.
type waiter struct {
	*live
	status   *health
	attempts []time.Time
	asked    []config.Store
	answer   func(attempt int) error
}

func newWaiter(t *testing.T, answer func(attempt int) error) *waiter {
	t.Helper()
	data, err := os.ReadFile(example)
	if err != nil {
		t.Fatal(err)
	}
	cfg, err := config.Decode(data)
	if err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(t.TempDir(), "relay.yaml")
	if err := os.WriteFile(file, data, 0o600); err != nil {
		t.Fatal(err)
	}
	return &waiter{
		live: newLive(file, cfg, config.Checksum(data)), answer: answer,
		status: newHealth(nil, prometheus.NewRegistry(), slog.New(slog.DiscardHandler)),
	}
}

func (w *waiter) open(_ context.Context, cfg config.Store) (store.Store, error) {
	w.attempts, w.asked = append(w.attempts, time.Now()), append(w.asked, cfg)
	if err := w.answer(len(w.attempts)); err != nil {
		return nil, fmt.Errorf("opening the PostgreSQL database: %w", err)
	}
	return struct{ store.Store }{}, nil
}

func (w *waiter) await(ctx context.Context) (store.Store, error) {
	return awaitStore(ctx, slog.New(slog.DiscardHandler), w.live, w.status, w.open)
}

func (w *waiter) readyz() (int, string) {
	recorder := httptest.NewRecorder()
	w.status.handler().ServeHTTP(recorder, httptest.NewRequest(http.MethodGet, "/readyz", nil))
	return recorder.Code, recorder.Body.String()
}

var errStarting = &pgconn.PgError{Severity: "FATAL", Code: "57P03", Message: "the database system is starting up"}

func TestARelayWaitsForADatabaseThatRefusesItAtTheStart(t *testing.T) {
	testbubble.Run(t, func(t *testing.T) {
		const refused = 20
		w := newWaiter(t, func(attempt int) error {
			if attempt <= refused {
				return errStarting
			}
			return nil
		})
		done := make(chan error, 1)
		go func() {
			db, err := w.await(t.Context())
			if err == nil && db == nil {
				err = errors.New("there is no store")
			}
			done <- err
		}()
		<-time.After(time.Minute)
		if code, text := w.readyz(); code != http.StatusServiceUnavailable || !strings.Contains(text, "waiting for the database since ") || !strings.Contains(text, "starting up") {
			t.Errorf("/readyz: %d %s", code, text)
		}
		if open := testutil.ToFloat64(w.status.open); open != 0 {
			t.Errorf("it says that the store is open: %v", open)
		}
		if err := <-done; err != nil {
			t.Fatal(err)
		}
		for i := 1; i < len(w.attempts); i++ {
			if pause := w.attempts[i].Sub(w.attempts[i-1]); pause < firstPause || pause > longestPause*5/4 || i > 6 && pause < longestPause {
				t.Errorf("pause %d is %v", i, pause)
			}
		}
		if n := testutil.ToFloat64(w.status.refusals); n != refused || testutil.ToFloat64(w.status.open) != 1 {
			t.Errorf("%v refusals are counted", n)
		}
		if code, text := w.readyz(); code != http.StatusServiceUnavailable || strings.Contains(text, "database") {
			t.Errorf("/readyz when the store is open and nothing runs yet: %d %s", code, text)
		}
		w.status.turn("")
		if code, _ := w.readyz(); code != http.StatusOK {
			t.Errorf("/readyz when it runs: %d", code)
		}
	})
}

func TestARelayThatOnlySomebodyCanHelpSaysWhatIsToBeDone(t *testing.T) {
	testbubble.Run(t, func(t *testing.T) {
		var w *waiter
		told := func() (remedy bool, metric float64) {
			_, text := w.readyz()
			return strings.Contains(text, "waiting alone does not mend this: make the user of the connection URI the owner"), testutil.ToFloat64(w.status.mend)
		}
		w = newWaiter(t, func(attempt int) error {
			remedy, metric := attempt == 2 || attempt == 3, 0.0
			if remedy {
				metric = 1
			}
			if said, n := told(); said != remedy || n != metric {
				t.Errorf("before attempt %d: a remedy is told: %v, and the metric is %v", attempt, said, n)
			}
			switch attempt {
			case 1, 2:
				return &pgconn.PgError{Severity: "ERROR", Code: "42501", Message: "permission denied for schema public"}
			case 3:
				return errStarting
			}
			return nil
		})
		var log bytes.Buffer
		if _, err := awaitStore(t.Context(), slog.New(slog.NewTextHandler(&log, nil)), w.live, w.status, w.open); err != nil {
			t.Fatal(err)
		}
		if n := strings.Count(log.String(), "level=ERROR"); n != 2 || !strings.Contains(log.String(), "remedy=") {
			t.Errorf("it logged %d errors: %s", n, log.String())
		}
		if said, n := told(); said || n != 0 {
			t.Error("a remedy is told when the store is open")
		}
	})
}

func TestARelayThatWaitsTellsOfAConfigurationThatCannotBeUsed(t *testing.T) {
	testbubble.Run(t, func(t *testing.T) {
		var w *waiter
		var good []byte
		write := func(data []byte) {
			if err := os.WriteFile(w.file, data, 0o600); err != nil {
				t.Error(err)
			}
		}
		w = newWaiter(t, func(attempt int) error {
			_, text := w.readyz()
			if got, want := strings.Contains(text, "the configuration file is not used") && strings.Contains(text, "colour"), attempt == 2 || attempt == 3; got != want {
				t.Errorf("before attempt %d it is told: %v, want %v: %s", attempt, got, want, text)
			}
			switch attempt {
			case 1:
				write(append(bytes.Clone(good), "\ncolour: red\n"...))
			case 3:
				write(good)
			case 5:
				return nil
			}
			return errStarting
		})
		var err error
		if good, err = os.ReadFile(w.file); err != nil {
			t.Fatal(err)
		}
		var log bytes.Buffer
		if _, err := awaitStore(t.Context(), slog.New(slog.NewTextHandler(&log, nil)), w.live, w.status, w.open); err != nil {
			t.Fatal(err)
		}
		if n := strings.Count(log.String(), "configuration refused"); n != 1 {
			t.Errorf("it is logged %d times, want once", n)
		}
	})
}

func TestWhatWaitingDoesNotMendEndsTheRelay(t *testing.T) {
	testbubble.Run(t, func(t *testing.T) {
		for name, err := range map[string]error{
			"a newer schema":           store.ErrNewerSchema,
			"a file that is not there": &os.PathError{Op: "open", Path: "/nowhere", Err: os.ErrNotExist},
			"another program's data":   errors.New("it is the database of another program"),
		} {
			w := newWaiter(t, func(int) error { return err })
			if _, got := w.await(t.Context()); !errors.Is(got, err) || len(w.attempts) != 1 {
				t.Errorf("%s: %v after %d attempts", name, got, len(w.attempts))
			}
		}
	})
}

func TestARelayThatIsStoppedWhileItWaitsEnds(t *testing.T) {
	testbubble.Run(t, func(t *testing.T) {
		w := newWaiter(t, func(int) error { return errStarting })
		ctx, stop := context.WithTimeout(t.Context(), time.Minute)
		defer stop()
		begun := time.Now()
		if _, err := w.await(ctx); !errors.Is(err, context.DeadlineExceeded) || time.Since(begun) != time.Minute {
			t.Errorf("%v after %v", err, time.Since(begun))
		}
	})
}

func TestARelayThatWaitsReadsWhichDatabaseItIsToWaitFor(t *testing.T) {
	testbubble.Run(t, func(t *testing.T) {
		var w *waiter
		change := func(old, text string) {
			data, err := os.ReadFile(w.file)
			if err == nil {
				err = os.WriteFile(w.file, []byte(strings.Replace(string(data), old, text, 1)), 0o600)
			}
			if err != nil {
				t.Error(err)
			}
		}
		w = newWaiter(t, func(attempt int) error {
			switch attempt {
			case 1:
				change("relay.db", "other.db")
			case 2:
				change("other.db", "third.db\ncolour: red")
			case 3:
				return nil
			}
			return errStarting
		})
		if _, err := w.await(t.Context()); err != nil {
			t.Fatal(err)
		}
		for i, want := range []string{"relay.db", "other.db", "other.db"} {
			if got := w.asked[i].SQLite.Path; !strings.HasSuffix(got, want) {
				t.Errorf("attempt %d is for %s", i+1, got)
			}
		}
	})
}
