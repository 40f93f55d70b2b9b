// SPDX-FileCopyrightText: The certlink authors
// SPDX-License-Identifier: Apache-2.0

package testpostgres

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/jackc/pgx/v5"
)

func TestAKilledServerComesBackWithWhatWasCommitted(t *testing.T) {
	s, err := New()
	if err != nil {
		t.Fatal(err)
	}
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
	if err := s.Close(); err != nil {
		t.Error(err)
	}
	if left, err := filepath.Glob(s.Dir()); err != nil || len(left) > 0 {
		t.Errorf("it leaves %v, %v", left, err)
	}
	if _, err := os.Stat(s.Dir()); !os.IsNotExist(err) {
		t.Error(err)
	}
}
