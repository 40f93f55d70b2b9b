// SPDX-FileCopyrightText: The certlink authors
// SPDX-License-Identifier: Apache-2.0

package sqlite

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/certlink/certlink/relay/store"
)

// childVariable tells this test binary to be the process that is killed, or the
// one that has a small disk: "kill PATH" or "full DIR".
const childVariable = "CERTLINK_TEST_SQLITE_CHILD"

func runChild(what string) int {
	role, arg, _ := strings.Cut(what, " ")
	var err error
	switch role {
	case "kill":
		err = writeUntilKilled(arg)
	case "trust":
		err = trustUntilKilled(arg)
	case "attach":
		err = attachUntilKilled(arg)
	case "attachfull":
		err = attachOnSmallDisk(arg)
	case "full":
		err = fillSmallDisk(arg)
	case "reserve":
		err = useReserve(arg)
	case "delete":
		err = deleteOnFullDisk(arg)
	case "vacant":
		err = useVacantPages(arg)
	case "foreign":
		err = exchangeOnFullDisk(arg, besideNothing)
	case "foreignread":
		err = exchangeOnFullDisk(arg, besideReader)
	case "longread":
		err = writeBesideLongReader(arg)
	case "forget":
		err = forgetOnFullDisk(arg)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	return 0
}

func child(t *testing.T, what string) *exec.Cmd {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), os.Args[0])
	cmd.Env = append(os.Environ(), childVariable+"="+what)
	cmd.Stderr = os.Stderr
	return cmd
}

// done is what the child was told by the store, one line for each success.
type done struct {
	Object, Message int
}

// writeUntilKilled writes objects and messages and says which writes succeeded.
func writeUntilKilled(path string) error {
	ctx := context.Background()
	s, err := Open(ctx, Config{Path: path})
	if err != nil {
		return err
	}
	out := json.NewEncoder(os.Stdout)
	for i := 1; ; i++ {
		var batch []store.Object
		for j := range 10 {
			batch = append(batch, store.Object{ID: fmt.Sprintf("x--%d-%d", i, j), Type: "x", Raw: make([]byte, 2000)})
		}
		if _, err := s.PutObjects(ctx, "c", batch, fmt.Sprint(i)); err != nil {
			return err
		}
		if _, err := s.Enqueue(ctx, "bravo", func(int64) (store.Message, error) {
			return store.Message{ID: fmt.Sprint(i), Payload: []byte("p")}, nil
		}); err != nil {
			return err
		}
		if err := out.Encode(done{i, i}); err != nil {
			return err
		}
	}
}

func TestKill(t *testing.T) {
	path := filepath.Join(t.TempDir(), "relay.db")
	for round := range 5 {
		said := killAfter(t, "kill", path, 3+round*7)
		verifyAfterKill(t, path, said)
		if err := os.Remove(path); err != nil { // the next round starts anew
			t.Fatal(err)
		}
		for _, suffix := range []string{"-wal", "-shm"} {
			_ = os.Remove(path + suffix)
		}
	}
}

// killAfter kills the child after n successes and returns the last one it told of.
func killAfter(t *testing.T, role, path string, n int) int {
	t.Helper()
	cmd := child(t, role+" "+path)
	stdout, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	last := 0
	lines := bufio.NewScanner(stdout)
	for lines.Scan() {
		var d done
		if err := json.Unmarshal(lines.Bytes(), &d); err != nil {
			break // the line that was cut by the kill
		}
		if last = d.Object; last == n {
			if err := cmd.Process.Kill(); err != nil {
				t.Fatal(err)
			}
		}
	}
	var exit *exec.ExitError
	if err := cmd.Wait(); !errors.As(err, &exit) || exit.Sys().(syscall.WaitStatus).Signal() != syscall.SIGKILL {
		t.Fatalf("child ended by itself: %v", err)
	}
	return last
}

func verifyAfterKill(t *testing.T, path string, said int) {
	t.Helper()
	s := open(t, path)
	defer func() { _ = s.Close() }()
	page, err := s.ListObjects(t.Context(), "c", store.Query{Limit: store.MaxRecords})
	if err != nil {
		t.Fatal(err)
	}
	cursor, err := s.Cursor(t.Context(), "c")
	if err != nil {
		t.Fatal(err)
	}
	// The cursor and its page are there together; at most one write was under way.
	batches := len(page.Records) / 10
	if len(page.Records)%10 != 0 || cursor != fmt.Sprint(batches) || batches < said || batches > said+1 {
		t.Errorf("%d objects and cursor %q after success %d", len(page.Records), cursor, said)
	}
	counted, err := s.CountObjects(t.Context(), "c")
	if err != nil || int(counted) != len(page.Records) {
		t.Errorf("count is %d, %v; want %d", counted, err, len(page.Records))
	}
	pending, err := s.Pending(t.Context(), "bravo", store.MaxMessages)
	if err != nil || len(pending) < said || len(pending) > said+1 {
		t.Errorf("%d messages, %v, after success %d", len(pending), err, said)
	}
	for i, m := range pending {
		if m.Serial != int64(i+1) {
			t.Errorf("message %d has serial %d", i, m.Serial)
		}
	}
	var integrity string
	if err := s.write.QueryRowContext(t.Context(), "PRAGMA integrity_check").Scan(&integrity); err != nil || integrity != "ok" {
		t.Errorf("integrity check: %s %v", integrity, err)
	}
}

func TestFullDisk(t *testing.T) { onSmallDisk(t, "full") }

// onSmallDisk runs a child with a mount namespace of its own, where a small
// file system is mounted: nothing is left behind, however the test ends.
func onSmallDisk(t *testing.T, role string) {
	t.Helper()
	cmd := child(t, role+" "+t.TempDir())
	cmd.SysProcAttr = &syscall.SysProcAttr{Cloneflags: syscall.CLONE_NEWNS}
	if os.Getuid() != 0 {
		cmd.SysProcAttr.Cloneflags |= syscall.CLONE_NEWUSER
		cmd.SysProcAttr.UidMappings = []syscall.SysProcIDMap{{ContainerID: 0, HostID: os.Getuid(), Size: 1}}
		cmd.SysProcAttr.GidMappings = []syscall.SysProcIDMap{{ContainerID: 0, HostID: os.Getgid(), Size: 1}}
	}
	if err := cmd.Run(); err != nil {
		t.Fatalf("child: %v", err)
	}
}

// openOnSmallDisk opens a store on 4 MiB.
func openOnSmallDisk(ctx context.Context, dir string) (*Store, error) {
	if err := unix.Mount("", "/", "", unix.MS_REC|unix.MS_PRIVATE, ""); err != nil {
		return nil, fmt.Errorf("making mounts private: %w", err)
	}
	if err := unix.Mount("tmpfs", dir, "tmpfs", 0, "size=4m"); err != nil {
		return nil, fmt.Errorf("mounting tmpfs: %w", err)
	}
	return Open(ctx, Config{Path: filepath.Join(dir, "relay.db")})
}

func fillSmallDisk(dir string) error {
	ctx := context.Background()
	s, err := openOnSmallDisk(ctx, dir)
	if err != nil {
		return err
	}
	f := filler{ctx: ctx, s: s, dir: dir}
	for round := range 3 {
		if err := f.round(round); err != nil {
			return fmt.Errorf("round %d: %w", round, err)
		}
	}
	return s.Close()
}

// fill writes a file until the disk is full, to the last byte.
func fill(path string) error {
	f, err := os.Create(path)
	if err != nil {
		return err
	}
	for size := 64 << 10; size > 0; {
		if _, err := f.Write(make([]byte, size)); err != nil {
			size /= 2
		}
	}
	return f.Close()
}

func TestFullBudget(t *testing.T) {
	s := open(t, filepath.Join(t.TempDir(), "relay.db"))
	var pages int
	if err := s.write.QueryRowContext(t.Context(), "PRAGMA page_count").Scan(&pages); err != nil {
		t.Fatal(err)
	}
	limit := func(n int) {
		t.Helper()
		if _, err := s.write.ExecContext(t.Context(), fmt.Sprintf("PRAGMA max_page_count = %d", n)); err != nil {
			t.Fatal(err)
		}
	}
	limit(pages + 2)
	large := store.Message{ID: "m", Peer: "bravo", Serial: 1, Payload: make([]byte, 100<<10), Receipt: []byte("r")}
	if _, _, err := s.Accept(t.Context(), large); !errors.Is(err, store.ErrFull) {
		t.Fatalf("Accept: %v, want ErrFull", err)
	}
	if _, err := s.GetMessage(t.Context(), store.In, "bravo", "m"); !errors.Is(err, store.ErrNotFound) {
		t.Errorf("GetMessage: %v, want ErrNotFound", err)
	}
	limit(1 << 20)
	if _, duplicate, err := s.Accept(t.Context(), large); err != nil || duplicate {
		t.Errorf("Accept after room was made: duplicate %v, error %v", duplicate, err)
	}
}
