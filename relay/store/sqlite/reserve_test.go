// SPDX-FileCopyrightText: The certlink authors
// SPDX-License-Identifier: Apache-2.0

package sqlite

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"testing"

	"github.com/certlink/certlink/relay/store"
)

func TestReserve(t *testing.T) { onSmallDisk(t, "reserve") }

// useReserve fills a disk of 4 MiB, whose reserve is 256 KiB, and looks who may
// still write.
func useReserve(dir string) error {
	ctx := context.Background()
	s, err := openOnSmallDisk(ctx, dir)
	if err != nil {
		return err
	}
	f := filler{ctx: ctx, s: s, dir: dir}
	received := int64(0)
	accept := func() error {
		received++
		_, _, err := s.Accept(ctx, store.Message{Peer: "bravo", ID: fmt.Sprint(received), Serial: received, Payload: []byte("p"), Receipt: []byte("r")})
		return err
	}
	refer := func() error {
		return s.PutReferences(ctx, "c", []store.Reference{{Kind: "victim", From: "x--once", To: fmt.Sprint("x--", received)}})
	}
	for _, step := range []struct {
		free                    uint64
		objects, received, ours error
	}{
		{512 << 10, nil, nil, nil},
		{220 << 10, store.ErrFull, nil, nil},
		{100 << 10, store.ErrFull, store.ErrFull, nil},
	} {
		if err := leave(dir, step.free); err != nil {
			return err
		}
		for what, c := range map[string]struct{ got, want error }{
			"objects":             {f.putBatch(), step.objects},
			"a message of a peer": {accept(), step.received},
			"a message of ours":   {f.send(), step.ours},
			"a reference":         {refer(), step.received},
		} {
			if !errors.Is(c.got, c.want) {
				return fmt.Errorf("with %d bytes free, %s: %w, want %w", step.free, what, c.got, c.want)
			}
		}
	}
	return s.Close()
}

// leave takes room on the disk until that much is free.
func leave(dir string, free uint64) error {
	now, _, err := room(dir)
	if err != nil || now <= free {
		return err
	}
	return os.WriteFile(filepath.Join(dir, fmt.Sprint("ballast", free)), make([]byte, now-free), 0o600)
}

func TestDeletionsOnAFullDisk(t *testing.T) { onSmallDisk(t, "delete") }

// deleteOnFullDisk fills a disk but for 200 KiB, once what is stored has its place in the database, and deletes
// all of it piece by piece: what this writes is more than the log has room for.
func deleteOnFullDisk(dir string) error {
	ctx := context.Background()
	s, err := openOnSmallDisk(ctx, dir)
	if err != nil {
		return err
	}
	f := filler{ctx: ctx, s: s, dir: dir}
	for f.put < 8 {
		if err := f.putBatch(); err != nil {
			return err
		}
	}
	if err := decideAll(ctx, s); err != nil {
		return err
	}
	for i := range 3 {
		if err := addChunk(ctx, s, 0, i); err != nil {
			return err
		}
	}
	if _, err := s.carry.ExecContext(ctx, "PRAGMA wal_checkpoint(TRUNCATE)"); err != nil {
		return err
	}
	if err := leave(dir, 200<<10); err != nil {
		return err
	}
	if err := f.putBatch(); !errors.Is(err, store.ErrFull) {
		return fmt.Errorf("storing on a full disk: %w, want ErrFull", err)
	}
	if err := deleteAll(ctx, s, f.put); err != nil {
		return err
	}
	return s.Close()
}

// deleteAll deletes what so many batches have put, one by one, after all of it is to be decided again.
func deleteAll(ctx context.Context, s *Store, batches int) error {
	name := func(i int) string { return fmt.Sprintf("x--%d-%d", i/10, i%10) }
	for i := range batches * 10 {
		if err := s.Lapse(ctx, "c", []string{name(i)}); err != nil {
			return fmt.Errorf("lapsing what was decided of %s: %w", name(i), err)
		}
	}
	for i := range batches * 10 {
		id := name(i)
		if n, err := s.DeleteObjects(ctx, "c", store.Query{IDs: []string{id}, Limit: 1}); err != nil || n != 1 {
			return fmt.Errorf("deleting %s, %d of it: %w", id, n, err)
		}
	}
	if n, err := s.SweepAttachments(ctx, s.now().AddDate(0, 0, 1), 2); err != nil || n != 1 {
		return fmt.Errorf("deleting attachments, %d: %w", n, err)
	}
	return nil
}

// decideAll shares all that is stored.
func decideAll(ctx context.Context, s *Store) error {
	page, err := s.ListObjects(ctx, "c", store.Query{Limit: store.MaxRecords})
	if err != nil {
		return err
	}
	var all []store.Decision
	for _, r := range page.Records {
		all = append(all, store.Decision{Seq: r.Seq, Share: true, Reason: "Shared"})
	}
	return s.Decide(ctx, store.View{Feed: "f", Peer: "bravo", Rule: "r"}, all)
}
