// SPDX-FileCopyrightText: The certlink authors
// SPDX-License-Identifier: Apache-2.0

package postgres

import (
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5"

	"github.com/certlink/certlink/internal/testpostgres"
	"github.com/certlink/certlink/relay/store"
)

// A full disk in the middle of a chunk, see TestAFullDiskIsToldAndLeavesNothing.
func TestAttachmentsOnAFullDisk(t *testing.T) {
	uri := testpostgres.Shared(t).Fresh(t)
	s := openAt(t, uri)
	content := bytes.Repeat([]byte("certlink"), 2*store.MinChunk/8)
	k := store.AttachmentKey{Direction: store.In, Peer: "bravo", SHA256: sha256.Sum256(content)}
	add := func(at int) error {
		_, err := s.AppendAttachment(t.Context(), k, int64(len(content)), int64(at), content[at:at+store.MinChunk], store.AttachmentLimits{Bytes: 1 << 30, Count: 9})
		return err
	}
	script := func(text string) {
		t.Helper()
		conn, err := pgx.Connect(t.Context(), uri)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := conn.PgConn().Exec(t.Context(), text).ReadAll(); err != nil {
			t.Fatal(err)
		}
		if err := conn.Close(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	const noRoom = `CREATE OR REPLACE FUNCTION full_disk() RETURNS trigger LANGUAGE plpgsql AS
		'BEGIN RAISE EXCEPTION ''could not extend file: No space left on device'' USING ERRCODE = ''disk_full''; END';
		CREATE TRIGGER no_room BEFORE INSERT ON attachment_chunks FOR EACH ROW EXECUTE FUNCTION full_disk()`
	script(noRoom)
	if err := add(0); !errors.Is(err, store.ErrFull) {
		t.Errorf("the first chunk: %v", err)
	}
	if _, err := s.GetAttachment(t.Context(), k); !errors.Is(err, store.ErrNotFound) {
		t.Errorf("an attachment has begun on a full disk: %v", err)
	}
	script("DROP TRIGGER no_room ON attachment_chunks")
	if err := add(0); err != nil {
		t.Fatal(err)
	}
	script(noRoom)
	if err := add(store.MinChunk); !errors.Is(err, store.ErrFull) {
		t.Errorf("the second chunk: %v", err)
	}
	if a, err := s.GetAttachment(t.Context(), k); err != nil || a.Stored != store.MinChunk {
		t.Errorf("after a failure %d bytes are stored, %v", a.Stored, err)
	}
	script("DROP TRIGGER no_room ON attachment_chunks")
	if err := add(store.MinChunk); err != nil {
		t.Fatal(err)
	}
	if a, err := s.CompleteAttachment(t.Context(), k); err != nil || !a.Complete {
		t.Errorf("%+v, %v", a, err)
	}
}

func TestPlansOfAttachments(t *testing.T) {
	s := open(t)
	err := s.look(t.Context(), s.bulk, "explaining", func(ctx context.Context, tx pgx.Tx) error {
		for name, c := range map[string]struct {
			query string
			args  []any
		}{
			"queued": {queuedAttachments, []any{"b", 9}},
			"loose":  {"SELECT count(*), coalesce(sum(size), 0) FROM attachments WHERE direction = 'in' AND peer = 'b' AND held = 0", nil},
			"old":    {"SELECT id FROM attachments WHERE held = 0 AND changed_at < 7 ORDER BY changed_at LIMIT 1 FOR UPDATE", nil},
			"chunk":  {"SELECT first, content FROM attachment_chunks WHERE attachment = 1 AND first <= 7 ORDER BY first DESC LIMIT 1", nil},
		} {
			plan, err := explainPlan(ctx, tx, c.query, c.args...)
			if err != nil {
				return err
			}
			if strings.Contains(plan, "Seq Scan") || strings.Contains(plan, "Sort") {
				t.Errorf("%s:\n%s", name, plan)
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
}
