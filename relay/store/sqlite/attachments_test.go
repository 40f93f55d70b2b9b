// SPDX-FileCopyrightText: The certlink authors
// SPDX-License-Identifier: Apache-2.0

package sqlite

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/certlink/certlink/relay/store"
)

var generous = store.AttachmentLimits{Bytes: 1 << 40, Count: 1 << 20}

// numbered makes the n-th file, of three chunks.
func numbered(n int) ([]byte, store.AttachmentKey) {
	content := bytes.Repeat(fmt.Appendf(nil, "file %9d,", n), 3*store.MinChunk/15+1)[:3*store.MinChunk-7]
	return content, store.AttachmentKey{Direction: store.In, Peer: "bravo", SHA256: sha256.Sum256(content)}
}

// addChunk stores the i-th chunk of a file, and completes it after the last.
func addChunk(ctx context.Context, s *Store, n, i int) error {
	content, k := numbered(n)
	at := i * store.MinChunk
	_, err := s.AppendAttachment(ctx, k, int64(len(content)), int64(at), content[at:min(at+store.MinChunk, len(content))], generous)
	if err == nil && i == 2 {
		_, err = s.CompleteAttachment(ctx, k)
	}
	return err
}

// attachUntilKilled stores chunks of one file after the other and says which succeeded.
func attachUntilKilled(path string) error {
	ctx := context.Background()
	s, err := Open(ctx, Config{Path: path})
	if err != nil {
		return err
	}
	out := json.NewEncoder(os.Stdout)
	for i := 0; ; i++ {
		if err := addChunk(ctx, s, i/3, i%3); err != nil {
			return err
		}
		if err := out.Encode(done{Object: i + 1}); err != nil {
			return err
		}
	}
}

func TestAKilledProcessLeavesAPrefixOfAnAttachment(t *testing.T) {
	path := filepath.Join(t.TempDir(), "relay.db")
	for round := range 4 {
		said := killAfter(t, "attach", path, 2+round*3)
		s := open(t, path)
		// What was told is there; at most one chunk, or one comparison, was under way.
		for n := range said/3 + 1 {
			content, k := numbered(n)
			a, err := s.GetAttachment(t.Context(), k)
			if err != nil && (!errors.Is(err, store.ErrNotFound) || said > 3*n) {
				t.Fatalf("file %d after success %d: %v", n, said, err)
			}
			if want := int64(min(max(said-3*n, 0)*store.MinChunk, len(content))); a.Stored < want || a.Complete != (a.Stored == a.Size) && said >= 3*n+3 {
				t.Errorf("file %d after success %d: %+v, want %d bytes", n, said, a, want)
			}
			var got []byte
			for int64(len(got)) < a.Stored {
				part, err := s.ReadAttachment(t.Context(), k, int64(len(got)))
				if err != nil || len(part) == 0 {
					t.Fatalf("reading file %d at %d: %v", n, len(got), err)
				}
				got = append(got, part...)
			}
			if !bytes.Equal(got, content[:a.Stored]) {
				t.Errorf("file %d holds other content", n)
			}
			for i := int(a.Stored / store.MinChunk); !a.Complete && i < 3; i++ { // it goes on
				if err := addChunk(t.Context(), s, n, i); err != nil {
					t.Fatalf("going on with file %d at chunk %d: %v", n, i, err)
				}
			}
		}
		if err := s.Close(); err != nil {
			t.Fatal(err)
		}
		for _, suffix := range []string{"", "-wal", "-shm"} {
			_ = os.Remove(path + suffix)
		}
	}
}

func TestAttachmentsOnAFullDisk(t *testing.T) { onSmallDisk(t, "attachfull") }

// attachOnSmallDisk fills a small disk with files: what is stored stays as it is, messages
// have room left, and the file goes on once there is room again.
func attachOnSmallDisk(dir string) error {
	ctx := context.Background()
	s, err := openOnSmallDisk(ctx, dir)
	if err != nil {
		return err
	}
	chunks := 0
	for ; err == nil; chunks++ {
		err = addChunk(ctx, s, chunks/3, chunks%3)
	}
	chunks-- // the last one failed
	if !errors.Is(err, store.ErrFull) || chunks < 3 {
		return fmt.Errorf("after %d chunks: %w, want ErrFull", chunks, err)
	}
	if _, err := s.Enqueue(ctx, "bravo", func(int64) (store.Message, error) {
		return store.Message{ID: "m", Payload: make([]byte, 60<<10)}, nil
	}); err != nil {
		return fmt.Errorf("a message of ours on a disk that files have filled: %w", err)
	}
	_, k := numbered(chunks / 3)
	a, err := s.GetAttachment(ctx, k)
	if want := int64(chunks % 3 * store.MinChunk); a.Stored != want || err != nil && (want > 0 || !errors.Is(err, store.ErrNotFound)) {
		return fmt.Errorf("%d bytes of the last file are stored, want %d: %w", a.Stored, want, err)
	}
	n, err := s.SweepAttachments(ctx, s.now().AddDate(0, 0, 1), 2)
	if err != nil || n != 2 {
		return fmt.Errorf("%d files deleted to make room: %w", n, err)
	}
	if err := addChunk(ctx, s, chunks/3, chunks%3); err != nil && !errors.Is(err, store.ErrFull) && !errors.Is(err, store.ErrHole) {
		return fmt.Errorf("after room was made: %w", err)
	}
	return s.Close()
}

// TestPlansOfAttachments keeps the promise that no statement looks at more than it needs.
func TestPlansOfAttachments(t *testing.T) {
	s := open(t, filepath.Join(t.TempDir(), "relay.db"))
	for name, c := range map[string]struct {
		query string
		args  []any
	}{
		"queued": {queuedAttachments, []any{"b", 9}},
		"loose":  {"SELECT count(*), coalesce(sum(size), 0) FROM attachments INDEXED BY attachments_loose WHERE direction = 'in' AND peer = 'b' AND held = 0", nil},
		"old":    {"SELECT id FROM attachments INDEXED BY attachments_old WHERE held = 0 AND changed_at < 7 ORDER BY changed_at LIMIT 1", nil},
		"chunk":  {"SELECT first, content FROM attachment_chunks WHERE attachment = 1 AND first <= 7 ORDER BY first DESC LIMIT 1", nil},
	} {
		if plan := explain(t, s, c.query, c.args...); strings.Contains(plan, "SCAN") || strings.Contains(plan, "TEMP B-TREE") {
			t.Errorf("%s: %s", name, plan)
		}
	}
}
