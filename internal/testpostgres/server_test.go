// SPDX-FileCopyrightText: The certlink authors
// SPDX-License-Identifier: Apache-2.0

package testpostgres

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5"
)

func TestAKilledServerComesBackWithWhatWasCommitted(t *testing.T) {
	s, err := New()
	if err != nil {
		t.Fatal(err)
	}
	segment := s.segment(t)
	database := s.URL("postgres")
	s.Exec(t, "postgres", "CREATE TABLE t (n int)", "INSERT INTO t VALUES (1), (2)")
	if err := s.Kill(); err != nil {
		t.Fatal(err)
	}
	if _, err := pgx.Connect(t.Context(), database); err == nil {
		t.Error("a killed server answers")
	}
	if err := s.Start(); err != nil {
		t.Fatal(err)
	}
	conn, err := pgx.Connect(t.Context(), database)
	if err != nil {
		t.Fatal(err)
	}
	var n int
	var fsync string
	if err := conn.QueryRow(t.Context(), "SELECT count(*), current_setting('fsync') FROM t").Scan(&n, &fsync); err != nil || n != 2 || fsync != "on" {
		t.Errorf("%d rows, fsync %s, %v", n, fsync, err)
	}
	if err := conn.Close(t.Context()); err != nil {
		t.Error(err)
	}
	if used, err := s.CPU(); err != nil || used == 0 {
		t.Errorf("processor time %v, %v", used, err)
	}
	again := s.segment(t)
	if err := s.Close(); err != nil {
		t.Error(err)
	}
	for _, id := range []string{segment, again} {
		if slices.Contains(segments(t), id) {
			t.Errorf("it leaves the shared memory %s", id)
		}
	}
	if left, err := filepath.Glob(s.Dir()); err != nil || len(left) > 0 {
		t.Errorf("it leaves %v, %v", left, err)
	}
	if _, err := os.Stat(s.Dir()); !os.IsNotExist(err) {
		t.Error(err)
	}
}

// segment is the number of the memory that the server's processes share, from the seventh
// line of its lock file: "key number".
func (s *Server) segment(t *testing.T) string {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(s.data(), "postmaster.pid"))
	if err != nil {
		t.Fatal(err)
	}
	lines := strings.Split(string(text), "\n")
	if len(lines) < 7 || len(strings.Fields(lines[6])) != 2 {
		t.Fatalf("no shared memory in %q", text)
	}
	id := strings.Fields(lines[6])[1]
	if !slices.Contains(segments(t), id) {
		t.Fatalf("shared memory %s is not there", id)
	}
	return id
}

// segments are the numbers of all shared memory of this machine.
func segments(t *testing.T) (ids []string) {
	t.Helper()
	text, err := os.ReadFile("/proc/sysvipc/shm")
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(string(text)) {
		if fields := strings.Fields(line); len(fields) > 1 {
			ids = append(ids, fields[1])
		}
	}
	return ids
}
