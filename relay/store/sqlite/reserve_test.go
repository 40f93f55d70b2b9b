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
	for _, step := range []struct {
		free                    uint64
		objects, received, ours error
	}{
		{512 << 10, nil, nil, nil},
		{200 << 10, store.ErrFull, nil, nil},
		{100 << 10, store.ErrFull, store.ErrFull, nil},
	} {
		if err := leave(dir, step.free); err != nil {
			return err
		}
		for what, c := range map[string]struct{ got, want error }{
			"objects":             {f.putBatch(), step.objects},
			"a message of a peer": {accept(), step.received},
			"a message of ours":   {f.send(), step.ours},
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
