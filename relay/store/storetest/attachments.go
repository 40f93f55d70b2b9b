// SPDX-FileCopyrightText: The certlink authors
// SPDX-License-Identifier: Apache-2.0

package storetest

import (
	"bytes"
	"crypto/sha256"
	"errors"
	"fmt"
	"testing"

	"github.com/google/go-cmp/cmp"

	hotlinemessage "github.com/certlink/certlink/relay/message"
	"github.com/certlink/certlink/relay/store"
)

var attachmentTests = map[string]func(t *testing.T, e env){
	"keeps_a_prefix_of_an_attachment_across_a_reopen":           keepsPrefix,
	"takes_a_chunk_only_where_the_stored_part_ends":             takesChunksInOrder,
	"refuses_chunks_and_sizes_that_are_out_of_bounds":           boundsChunks,
	"completes_an_attachment_only_if_it_has_its_digest":         completes,
	"takes_the_largest_attachment_and_not_a_byte_more":          largestAttachment,
	"bounds_what_no_message_names":                              boundsLoose,
	"stores_no_message_whose_attachment_is_incomplete":          needsAttachments,
	"keeps_what_messages_name_and_sweeps_the_rest":              sweepsLoose,
	"keeps_an_attachment_of_two_holders_until_both_let_it_go":   sharesAttachment,
	"gives_queued_attachments_in_the_order_of_their_messages":   ordersAttachments,
	"keeps_the_attachments_of_peers_and_directions_apart":       partsAttachments,
	"stores_a_chunk_once_when_many_bring_it_at_the_same_moment": chunkAtOnce,
}

var loose = store.AttachmentLimits{Bytes: 64 << 20, Count: 16}

// file makes content of that size, the same for the same seed, and its key.
func file(seed byte, size int) ([]byte, store.AttachmentKey) {
	content := bytes.Repeat([]byte{seed, 1, 2, 3, 4, 5, 6}, size/7+1)[:size]
	return content, store.AttachmentKey{Direction: store.Out, Peer: "bravo.example", SHA256: sha256.Sum256(content)}
}

func use(k store.AttachmentKey, size int) store.AttachmentUse {
	return store.AttachmentUse{SHA256: k.SHA256, Size: int64(size)}
}

func mustChunk(t *testing.T, s store.Store, k store.AttachmentKey, size, offset int, chunk []byte) store.Attachment {
	t.Helper()
	a, err := s.AppendAttachment(t.Context(), k, int64(size), int64(offset), chunk, loose)
	if err != nil {
		t.Fatalf("AppendAttachment at %d: %v", offset, err)
	}
	return a
}

// mustStore stores all of an attachment.
func mustKeep(t *testing.T, s store.Store, k store.AttachmentKey, content []byte) {
	t.Helper()
	for at := 0; at < len(content); at += store.MaxChunk {
		mustChunk(t, s, k, len(content), at, content[at:min(at+store.MaxChunk, len(content))])
	}
	a, err := s.CompleteAttachment(t.Context(), k)
	if err != nil || !a.Complete {
		t.Fatalf("CompleteAttachment: %+v, %v", a, err)
	}
}

func mustState(t *testing.T, s store.Store, k store.AttachmentKey) store.Attachment {
	t.Helper()
	a, err := s.GetAttachment(t.Context(), k)
	if err != nil {
		t.Fatalf("GetAttachment: %v", err)
	}
	return a
}

func readAll(t *testing.T, s store.Store, k store.AttachmentKey) (all []byte) {
	t.Helper()
	for {
		part, err := s.ReadAttachment(t.Context(), k, int64(len(all)))
		if err != nil {
			t.Fatalf("ReadAttachment at %d: %v", len(all), err)
		}
		if len(part) == 0 {
			return all
		}
		all = append(all, part...)
	}
}

func keepsPrefix(t *testing.T, e env) {
	const size, first = 3*store.MinChunk + 5, store.MinChunk + 1
	content, k := file('a', size)
	_, err := e.GetAttachment(t.Context(), k)
	wantErr(t, err, store.ErrNotFound)
	_, err = e.ReadAttachment(t.Context(), k, 0)
	wantErr(t, err, store.ErrNotFound)
	mustChunk(t, e, k, size, 0, content[:first])
	var s store.Store = e
	for _, end := range []int{first + store.MinChunk, size} {
		if err := s.Close(); err != nil {
			t.Fatal(err)
		}
		s = e.reopen(t, Options{})
		before := mustState(t, s, k)
		if before.Complete || before.Size != size || before.ChangedAt.IsZero() {
			t.Errorf("after a reopen it is %+v", before)
		}
		got := readAll(t, s, k)
		same(t, "stored", int64(len(got)), before.Stored)
		if !bytes.Equal(got, content[:before.Stored]) {
			t.Error("the content is not what was stored")
		}
		mustChunk(t, s, k, size, int(before.Stored), content[before.Stored:end])
	}
	_, err = s.CompleteAttachment(t.Context(), k)
	must(t, err)
	for _, offset := range []int{0, 1, first - 1, first, size - 1} {
		part, err := s.ReadAttachment(t.Context(), k, int64(offset))
		if err != nil || len(part) == 0 || !bytes.Equal(part, content[offset:offset+len(part)]) {
			t.Errorf("reading at %d: %d bytes, %v", offset, len(part), err)
		}
	}
	for _, offset := range []int64{size, size + 1, -1} {
		if part, err := s.ReadAttachment(t.Context(), k, offset); len(part) > 0 || err != nil {
			t.Errorf("reading at %d: %d bytes, %v", offset, len(part), err)
		}
	}
}

func takesChunksInOrder(t *testing.T, e env) {
	const size = 3 * store.MinChunk
	content, k := file('b', size)
	add := func(offset, end int) (store.Attachment, error) {
		return e.AppendAttachment(t.Context(), k, size, int64(offset), content[offset:end], loose)
	}
	_, err := add(store.MinChunk, 2*store.MinChunk)
	wantErr(t, err, store.ErrHole)
	_, err = e.GetAttachment(t.Context(), k)
	wantErr(t, err, store.ErrNotFound)
	mustChunk(t, e, k, size, 0, content[:store.MinChunk])
	_, err = add(2*store.MinChunk, size)
	wantErr(t, err, store.ErrHole)
	// What came before changes nothing, whatever it holds now.
	a := mustChunk(t, e, k, size, 0, make([]byte, 2*store.MinChunk))
	same(t, "stored after a repeated chunk", a.Stored, int64(store.MinChunk))
	_, err = e.AppendAttachment(t.Context(), k, size+1, store.MinChunk, content[store.MinChunk:], loose)
	wantErr(t, err, store.ErrConflict)
	a = mustChunk(t, e, k, size, store.MinChunk, content[store.MinChunk:])
	same(t, "stored", a.Stored, int64(size))
	same(t, "complete before it was checked", a.Complete, false)
	_, err = e.CompleteAttachment(t.Context(), k)
	must(t, err)
	for _, offset := range []int{0, store.MinChunk} {
		if a := mustChunk(t, e, k, size, offset, make([]byte, store.MinChunk)); !a.Complete || a.Stored != size {
			t.Errorf("a chunk after completion: %+v", a)
		}
	}
	if !bytes.Equal(readAll(t, e, k), content) {
		t.Error("the content is not what was stored")
	}
}

func boundsChunks(t *testing.T, e env) {
	_, k := file('c', 1)
	for name, c := range map[string]struct {
		size, offset int64
		n            int
	}{
		"an empty chunk":                    {10, 0, 0},
		"an empty attachment":               {0, 0, 0},
		"a negative size":                   {-1, 0, 1},
		"one byte too many":                 {store.MaxAttachment + 1, 0, store.MinChunk},
		"a chunk that is too large":         {store.MaxAttachment, 0, store.MaxChunk + 1},
		"a short chunk that is not last":    {store.MinChunk * 2, 0, store.MinChunk - 1},
		"a chunk beyond the end":            {10, 8, 3},
		"a chunk at the end":                {10, 10, 1},
		"a negative offset":                 {10, -1, 3},
		"an offset that wraps":              {10, 1<<63 - 1, 3},
		"an offset that wraps with a chunk": {store.MaxAttachment, 1<<63 - store.MaxChunk, store.MaxChunk},
	} {
		_, err := e.AppendAttachment(t.Context(), k, c.size, c.offset, make([]byte, c.n), loose)
		if !errors.Is(err, store.ErrChunk) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if _, err := e.AppendAttachment(t.Context(), store.AttachmentKey{Direction: "up", Peer: "b"}, 1, 0, []byte("x"), loose); err == nil {
		t.Error("an attachment without direction was stored")
	}
	sum, err := e.LooseAttachments(t.Context(), store.Out, k.Peer)
	must(t, err)
	same(t, "what refused chunks cost", sum, store.AttachmentLimits{})
}

func completes(t *testing.T, e env) {
	content, k := file('d', 2*store.MinChunk)
	_, err := e.CompleteAttachment(t.Context(), k)
	wantErr(t, err, store.ErrNotFound)
	mustChunk(t, e, k, len(content), 0, content[:store.MinChunk])
	_, err = e.CompleteAttachment(t.Context(), k)
	wantErr(t, err, store.ErrIncomplete)
	mustChunk(t, e, k, len(content), store.MinChunk, make([]byte, store.MinChunk))
	_, err = e.CompleteAttachment(t.Context(), k)
	wantErr(t, err, store.ErrDigest)
	_, err = e.GetAttachment(t.Context(), k)
	wantErr(t, err, store.ErrNotFound)
	// It costs nothing and is no hindrance to the true one.
	mustKeep(t, e, k, content)
	again, err := e.CompleteAttachment(t.Context(), k)
	if err != nil || !again.Complete || again.Held {
		t.Errorf("completing it again: %+v, %v", again, err)
	}
	same(t, "state", mustState(t, e, k), again)
}

func largestAttachment(t *testing.T, e env) {
	if store.MaxAttachment != hotlinemessage.MaxAttachmentBytes {
		t.Errorf("the store takes %d bytes, a message names %d", store.MaxAttachment, hotlinemessage.MaxAttachmentBytes)
	}
	content, k := file('e', store.MaxAttachment)
	mustKeep(t, e, k, content)
	if !bytes.Equal(readAll(t, e, k), content) {
		t.Error("the content is not what was stored")
	}
}

func boundsLoose(t *testing.T, e env) {
	const size = 2 * store.MinChunk
	limits := store.AttachmentLimits{Bytes: 3 * size, Count: 2}
	begin := func(seed byte, limits store.AttachmentLimits) error {
		content, k := file(seed, size)
		_, err := e.AppendAttachment(t.Context(), k, size, 0, content[:store.MinChunk], limits)
		return err
	}
	must(t, begin('a', limits))
	must(t, begin('b', limits))
	wantErr(t, begin('c', limits), store.ErrQuota)
	limits.Count = 9
	must(t, begin('c', limits))
	wantErr(t, begin('d', limits), store.ErrQuota)
	// What has begun goes on, and what a message holds does not count.
	content, k := file('a', size)
	if _, err := e.AppendAttachment(t.Context(), k, size, store.MinChunk, content[store.MinChunk:], store.AttachmentLimits{}); err != nil {
		t.Errorf("going on: %v", err)
	}
	_, err := e.CompleteAttachment(t.Context(), k)
	must(t, err)
	wantErr(t, begin('d', limits), store.ErrQuota)
	mustEnqueue(t, e, withFiles("m", use(k, size)))
	must(t, begin('d', limits))
	sum, err := e.LooseAttachments(t.Context(), store.Out, k.Peer)
	must(t, err)
	same(t, "loose", sum, store.AttachmentLimits{Bytes: 3 * size, Count: 3})
}

func chunkAtOnce(t *testing.T, e env) {
	const size = 4 * store.MinChunk
	content, k := file('q', size)
	failed := make(chan error, 4)
	for range 4 {
		go func() {
			for at := int64(0); at < size; {
				a, err := e.AppendAttachment(t.Context(), k, size, at, content[at:at+store.MinChunk], loose)
				if err != nil {
					failed <- fmt.Errorf("at %d: %w", at, err)
					return
				}
				at = a.Stored
			}
			_, err := e.CompleteAttachment(t.Context(), k)
			failed <- err
		}()
	}
	for range 4 {
		if err := <-failed; err != nil {
			t.Error(err)
		}
	}
	if diff := cmp.Diff(readAll(t, e, k), content); diff != "" {
		t.Error("the content is not what was stored")
	}
}
