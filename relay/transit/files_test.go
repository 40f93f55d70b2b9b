// SPDX-FileCopyrightText: The certlink authors
// SPDX-License-Identifier: Apache-2.0

package transit

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"math/rand/v2"
	"path/filepath"
	"testing"

	"github.com/certlink/certlink/relay/attachment"
	"github.com/certlink/certlink/relay/message"
	"github.com/certlink/certlink/relay/store"
	"github.com/certlink/certlink/relay/store/sqlite"
)

// attachments are the attachments of a nation, as its relay has them.
func (n *nation) attachments(t *testing.T, stored func(string)) (*attachment.Engine, *sqlite.Store) {
	t.Helper()
	s, err := sqlite.Open(t.Context(), sqlite.Config{Path: filepath.Join(t.TempDir(), "files.db")})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.Close() })
	e, err := attachment.New(attachment.Config{Store: s, Client: n.engine.Client, Stored: stored})
	if err != nil {
		t.Fatal(err)
	}
	e.Apply(n.config)
	return e, s
}

func TestAttachmentsGoThroughAnotherSealed(t *testing.T) {
	w := newWorld(t)
	w.setCut(alfa, bravo, true)
	ready := make(chan struct{}, 1)
	files, kept := w.nations[alfa].attachments(t, func(string) {
		select {
		case ready <- struct{}{}:
		default:
		}
	})
	there, got := w.nations[bravo].attachments(t, nil)
	w.nations[bravo].files = there.Handler()

	content := make([]byte, 1<<20+7)
	_, _ = rand.NewChaCha8([32]byte{1}).Read(content) // it gives everything
	sum := sha256.Sum256(content)
	k := store.AttachmentKey{Direction: store.Out, Peer: bravo, SHA256: sum}
	for at := 0; at < len(content); at += store.MaxChunk {
		if _, err := kept.AppendAttachment(t.Context(), k, int64(len(content)), int64(at), content[at:min(len(content), at+store.MaxChunk)], store.AttachmentLimits{Bytes: 1 << 30, Count: 9}); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := kept.CompleteAttachment(t.Context(), k); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- files.Run(ctx) }()
	defer func() {
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
	}()
	list := []message.Attachment{{Name: "x.bin", Size: int64(len(content)), SHA256: hex.EncodeToString(sum[:])}}
	for {
		if ok, err := files.Ready(t.Context(), bravo, list); err != nil {
			t.Fatal(err)
		} else if ok {
			break
		}
		<-ready
	}
	k.Direction, k.Peer = store.In, alfa
	if a, err := got.GetAttachment(t.Context(), k); err != nil || !a.Complete {
		t.Errorf("bravo has %+v, %v", a, err)
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	carried := 0
	for _, body := range w.seen {
		carried += len(body)
		if bytes.Contains(body, content[1000:1032]) {
			t.Error("the peer in the middle can read the file")
		}
	}
	if carried < 2*len(content) { // to it, and from it
		t.Errorf("%d bytes went through the peer in the middle", carried)
	}
}
