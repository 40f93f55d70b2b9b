// SPDX-FileCopyrightText: The certlink authors
// SPDX-License-Identifier: Apache-2.0

package faults

import (
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"

	"github.com/certlink/certlink/relay/desk"
	"github.com/certlink/certlink/relay/report"
)

// smallDisk puts a tmpfs of 4 MiB under the nation's store. It needs root.
func (n *nation) smallDisk(t *testing.T) {
	t.Helper()
	dir := filepath.Dir(n.cfg.Store.SQLite.Path)
	if err := syscall.Mount("tmpfs", dir, "tmpfs", 0, "size=4m"); err != nil {
		t.Fatalf("mounting a small disk (this test needs root): %v", err)
	}
	t.Cleanup(func() {
		n.kill(t) // before what it uses goes away
		if err := syscall.Unmount(dir, syscall.MNT_DETACH); err != nil {
			t.Error(err)
		}
	})
}

func (n *nation) filler() string {
	return filepath.Join(filepath.Dir(n.cfg.Store.SQLite.Path), "filler")
}

// fill leaves no room on the nation's disk.
func (n *nation) fill(t *testing.T) {
	t.Helper()
	f, err := os.OpenFile(n.filler(), os.O_CREATE|os.O_WRONLY, 0o600)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if _, err := io.Copy(f, zeros{}); !errors.Is(err, syscall.ENOSPC) {
		t.Fatalf("filling the disk ended with %v", err)
	}
}

func (n *nation) makeRoom(t *testing.T) {
	t.Helper()
	if err := os.Remove(n.filler()); err != nil {
		t.Fatal(err)
	}
}

type zeros struct{}

func (zeros) Read(b []byte) (int, error) { clear(b); return len(b), nil }

// long is a message of its own that needs room.
func long(i int) desk.SendRequest {
	return desk.SendRequest{
		ID: ulid(), Hotline: "bravo", Subject: fmt.Sprintf("message %d", i), Officer: "Duty",
		Text: strings.Repeat("0123456789abcde\n", 3000),
	}
}

// enough messages fill what a database file may still hold in itself.
const enough = 100

func TestAFullDiskAtTheSender(t *testing.T) {
	alfa, bravo := newNation(t, "alfa"), newNation(t, "bravo")
	alfa.join(bravo)
	bravo.join(alfa)
	alfa.smallDisk(t)
	alfa.start(t)
	bravo.start(t)
	alfa.connected(t)

	alfa.fill(t)
	stored := map[string]bool{}
	var refused desk.SendRequest
	for i := range enough {
		req := long(i)
		status, data, err := alfa.send(t.Context(), t, req)
		if err != nil {
			t.Fatal(err)
		}
		if status == http.StatusInsufficientStorage {
			if !strings.Contains(string(data), "storage is full") {
				t.Errorf("the sender is told %s", data)
			}
			refused = req
			break
		}
		if status != http.StatusCreated {
			t.Fatalf("status %d: %s", status, data)
		}
		stored[req.ID] = true
	}
	if refused.ID == "" {
		t.Fatalf("%d messages were stored on a full disk", enough)
	}
	out, err := alfa.messages(t, "out")
	if err != nil {
		t.Fatal(err)
	}
	for _, m := range out {
		if !stored[m.ID] {
			t.Errorf("message %s was refused and is stored", m.ID)
		}
	}
	if len(out) != len(stored) {
		t.Errorf("%d messages are stored, %d were accepted", len(out), len(stored))
	}

	alfa.makeRoom(t)
	if status, data, err := alfa.send(t.Context(), t, refused); err != nil || status != http.StatusCreated {
		t.Fatalf("after room was made: %d %s %v", status, data, err)
	}
	arrived(t, alfa, bravo, len(stored)+1)
}

func TestAFullDiskAtTheReceiver(t *testing.T) {
	alfa, bravo := newNation(t, "alfa"), newNation(t, "bravo")
	alfa.join(bravo)
	bravo.join(alfa)
	bravo.smallDisk(t)
	alfa.start(t)
	bravo.start(t)
	alfa.connected(t)

	bravo.fill(t)
	sent := 0
	for told := false; !told && sent < enough; sent++ {
		if status, data, err := alfa.send(t.Context(), t, long(sent)); err != nil || status != http.StatusCreated {
			t.Fatalf("send: %d %s %v", status, data, err)
		}
		alfa.until(t, "has a receipt or says why not", func(r report.Report) bool {
			h := r.Hotlines[0]
			told = strings.Contains(h.Error, "full")
			return told || h.Queued == 0
		})
	}
	r := alfa.until(t, "keeps the message queued", func(r report.Report) bool {
		return r.Hotlines[0].Queued > 0 && strings.Contains(r.Hotlines[0].Error, "full")
	})
	t.Logf("after %d messages the sender is told: %s", sent, r.Hotlines[0].Error)
	out, err := alfa.messages(t, "out")
	if err != nil {
		t.Fatal(err)
	}
	queued := 0
	for _, m := range out {
		if m.State == "Queued" {
			queued++
		}
	}
	in, err := bravo.messages(t, "in")
	if err != nil {
		t.Fatal(err)
	}
	if queued == 0 || len(in) != sent-queued {
		t.Errorf("%d of %d messages are stored at the receiver while %d are queued", len(in), sent, queued)
	}

	status, data, err := bravo.push(t, "alfa", object(1))
	if err != nil || status/100 == 2 {
		t.Logf("a small push still fits: %d %s %v", status, data, err)
	}
	bravo.makeRoom(t)
	arrived(t, alfa, bravo, sent)
}

// arrived waits until all messages are delivered, each once.
func arrived(t *testing.T, alfa, bravo *nation, want int) {
	t.Helper()
	eventually(t, "every message has a receipt", func() bool {
		out, err := alfa.messages(t, "out")
		return err == nil && len(out) == want && !slices.ContainsFunc(out, func(m desk.Message) bool { return m.State != "Stored" })
	})
	alfa.until(t, "is content", func(r report.Report) bool { return r.Hotlines[0].Queued == 0 && r.Hotlines[0].Error == "" })
	in, err := bravo.messages(t, "in")
	if err != nil {
		t.Fatal(err)
	}
	subjects := map[string]bool{}
	for _, m := range in {
		subjects[m.Subject] = true
	}
	if len(in) != want || len(subjects) != want {
		t.Errorf("%d messages arrived, %d different, want %d", len(in), len(subjects), want)
	}
}
