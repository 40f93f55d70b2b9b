// SPDX-FileCopyrightText: The certlink authors
// SPDX-License-Identifier: Apache-2.0

package testpostgres

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"sync"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
)

const (
	// owner of the cluster; password is what the server asks of it.
	owner    = "relay"
	password = "open-sesame-4711"
	// startTimeout bounds a start, with recovery after a kill.
	startTimeout = 60 * time.Second
)

// Server is a running PostgreSQL.
type Server struct {
	bin string
	dir string
	as  *account

	mu      sync.Mutex // guards what follows
	process *process
	made    int // schemas
}

var shared = struct {
	sync.Mutex
	server *Server
	err    error
}{}

// Shared returns the server of this test binary. It fails the test if there is
// none.
func Shared(tb testing.TB) *Server {
	tb.Helper()
	shared.Lock()
	defer shared.Unlock()
	if shared.server == nil && shared.err == nil {
		shared.server, shared.err = New()
	}
	if shared.err != nil {
		tb.Fatal(shared.err)
	}
	return shared.server
}

// Stop ends the shared server, if there is one, and removes what it kept.
func Stop() error {
	shared.Lock()
	defer shared.Unlock()
	if shared.server == nil {
		return nil
	}
	err := shared.server.Close()
	shared.server, shared.err = nil, errors.New("the server of the tests is stopped")
	return err
}

// New makes a cluster and starts a server on it. The caller closes it.
func New() (*Server, error) {
	bin, err := programs()
	if err != nil {
		return nil, err
	}
	as, err := unprivileged()
	if err != nil {
		return nil, err
	}
	// Not below the directory of a test: the path of a socket is short, and another user must reach it.
	dir, err := os.MkdirTemp("", "certlink-pg-")
	if err != nil {
		return nil, err
	}
	s := &Server{bin: bin, dir: dir, as: as}
	if err := s.make(); err != nil {
		return nil, errors.Join(err, os.RemoveAll(dir))
	}
	if err := s.Start(); err != nil {
		return nil, errors.Join(err, s.Close())
	}
	return s, nil
}

// programs finds the directory with initdb and postgres.
func programs() (string, error) {
	found, err := filepath.Glob("/usr/lib/postgresql/*/bin/postgres")
	if err != nil {
		return "", err
	}
	newest := func(a, b string) int { return release(b) - release(a) }
	slices.SortFunc(found, newest)
	if len(found) > 0 {
		return filepath.Dir(found[0]), nil
	}
	path, err := exec.LookPath("postgres")
	if err != nil {
		return "", fmt.Errorf("these tests need a PostgreSQL server: install it with hack/postgres.sh (Debian), or put postgres and initdb into PATH: %w", err)
	}
	return filepath.Dir(path), nil
}

// release is the number in /usr/lib/postgresql/15/bin/postgres.
func release(path string) int {
	n, err := strconv.Atoi(filepath.Base(filepath.Dir(filepath.Dir(path))))
	if err != nil {
		return 0
	}
	return n
}

func (s *Server) data() string { return filepath.Join(s.dir, "data") }

// make runs initdb. It needs no fsync: a cluster that is half there is not used.
func (s *Server) make() error {
	if err := s.as.own(s.dir); err != nil {
		return err
	}
	secret := filepath.Join(s.dir, "password")
	if err := os.WriteFile(secret, []byte(password), 0o600); err != nil {
		return err
	}
	if err := s.as.own(secret); err != nil {
		return err
	}
	cmd := exec.Command(filepath.Join(s.bin, "initdb"), "--no-sync", "--encoding=UTF8", "--locale=C", //nolint:noctx // it is short and local
		"--auth=scram-sha-256", "--username="+owner, "--pwfile="+secret, s.data())
	cmd.Dir, cmd.SysProcAttr = s.dir, s.as.attributes()
	if text, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("making a database cluster: %w\n%s", err, text)
	}
	return nil
}

// Start starts the server after Kill, and waits until it answers.
func (s *Server) Start() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.process != nil {
		return nil
	}
	p, err := s.spawn()
	if err != nil {
		return err
	}
	s.process = p
	return s.await(p)
}

// await polls until the server takes connections.
func (s *Server) await(p *process) error {
	ctx, cancel := context.WithTimeout(context.Background(), startTimeout)
	defer cancel()
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for {
		conn, err := pgx.Connect(ctx, s.URL("postgres"))
		if err == nil {
			return conn.Close(ctx)
		}
		select {
		case <-p.ended:
			return fmt.Errorf("starting PostgreSQL: it ended: %w\n%s", p.err, p.log())
		case <-ctx.Done():
			return fmt.Errorf("starting PostgreSQL: %w\n%s", err, p.log())
		case <-tick.C:
		}
	}
}

// Kill ends the server at once, as kill -9 of every process of it does: what was
// not synced to disk by then may be lost.
func (s *Server) Kill() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.process == nil {
		return nil
	}
	err := s.process.kill()
	s.process = nil
	return err
}

// Close stops the server and removes its data. The server has the time to give back the
// memory that its processes share: what kill -9 leaves of it, nobody removes.
func (s *Server) Close() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	var err error
	if s.process != nil {
		err = s.process.quit()
		s.process = nil
	}
	return errors.Join(err, os.RemoveAll(s.dir))
}

// Dir has the server's socket.
func (s *Server) Dir() string { return s.dir }

// URL is the connection URI of a database, with the password.
func (s *Server) URL(database string) string { return Through(s.dir, database) }

// Through is the URI of a database by way of another directory with a socket.
func Through(dir, database string) string {
	u := url.URL{
		Scheme: "postgres", User: url.UserPassword(owner, password), Path: "/" + database,
		RawQuery: url.Values{"host": {dir}}.Encode(),
	}
	return u.String()
}

// Socket is the name of the server's socket in its directory.
const Socket = ".s.PGSQL.5432"

// Fresh makes an empty schema and returns the URI that leads to it: for a program
// it is a database of its own, made in a moment. It is gone with the server.
func (s *Server) Fresh(tb testing.TB) string {
	tb.Helper()
	s.mu.Lock()
	s.made++
	name := fmt.Sprint("test", s.made)
	s.mu.Unlock()
	s.Exec(tb, "postgres", "CREATE SCHEMA "+name)
	return s.URL("postgres") + "&search_path=" + name
}

// Exec runs statements as the owner of the cluster, each by itself.
func (s *Server) Exec(tb testing.TB, database string, statements ...string) {
	tb.Helper()
	conn, err := pgx.Connect(tb.Context(), s.URL(database))
	if err != nil {
		tb.Fatal(err)
	}
	for _, statement := range statements {
		if _, err := conn.Exec(tb.Context(), statement); err != nil {
			tb.Errorf("%s: %v", statement, err)
		}
	}
	if err := conn.Close(tb.Context()); err != nil {
		tb.Fatal(err)
	}
}

// CPU is the processor time that the server and its children have used so far.
func (s *Server) CPU() (time.Duration, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.process == nil {
		return 0, errors.New("the server does not run")
	}
	return s.process.cpu(), nil
}
