// SPDX-FileCopyrightText: The certlink authors
// SPDX-License-Identifier: Apache-2.0

package sqlite

import (
	"fmt"
	"path/filepath"
	"testing"
	"time"

	"github.com/certlink/certlink/relay/store"
)

func TestTheLogBeginsAnewWhileMessagesAreStoredWithoutPause(t *testing.T) {
	const most, written = 1 << 20, 24 << 20
	s, err := Open(t.Context(), Config{Path: filepath.Join(t.TempDir(), "relay.db")})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.Close() })
	s.checkpoints.most = most
	for n := range written / usualWrite {
		if _, err := s.Enqueue(t.Context(), "bravo", func(int64) (store.Message, error) {
			return store.Message{ID: fmt.Sprintf("message-%d", n), Conversation: "c", Kind: "NOTIFICATION", Precedence: "ROUTINE",
				Payload: make([]byte, 4<<10), CreatedAt: time.Unix(1, 0)}, nil
		}); err != nil {
			t.Fatal(err)
		}
	}
	info, err := s.log.Stat()
	if err != nil {
		t.Fatal(err)
	}
	if info.Size() > 8*most {
		t.Errorf("the log has %d bytes, though it is carried after %d", info.Size(), most)
	}
}
