// SPDX-FileCopyrightText: The certlink authors
// SPDX-License-Identifier: Apache-2.0

package storetest

import (
	"bytes"
	"errors"
	"testing"
	"time"

	"github.com/certlink/certlink/relay/store"
)

// withFiles is a message that names attachments.
func withFiles(id string, uses ...store.AttachmentUse) store.Message {
	return attach(message(id), uses...)
}

func attach(m store.Message, uses ...store.AttachmentUse) store.Message {
	m.Attachments = uses
	return m
}

func needsAttachments(t *testing.T, e env) {
	content, k := file('f', store.MinChunk+1)
	in := k
	in.Direction = store.In
	refused := func(what string) {
		t.Helper()
		_, err := enqueue(e, t, withFiles("m", use(k, len(content))))
		if !errors.Is(err, store.ErrIncomplete) {
			t.Errorf("%s: Enqueue: %v", what, err)
		}
		_, _, err = e.Accept(t.Context(), attach(received("m", 1), use(in, len(content))))
		if !errors.Is(err, store.ErrIncomplete) {
			t.Errorf("%s: Accept: %v", what, err)
		}
	}
	refused("nothing is stored")
	for _, k := range []store.AttachmentKey{k, in} {
		mustChunk(t, e, k, len(content), 0, content[:store.MinChunk])
	}
	refused("a part is missing")
	for _, k := range []store.AttachmentKey{k, in} {
		mustChunk(t, e, k, len(content), store.MinChunk, content[store.MinChunk:])
	}
	refused("it was not checked")
	for _, k := range []store.AttachmentKey{k, in} {
		_, err := e.CompleteAttachment(t.Context(), k)
		must(t, err)
	}
	_, err := enqueue(e, t, withFiles("m", use(k, len(content)+1)))
	wantErr(t, err, store.ErrIncomplete)
	same(t, "serial", mustEnqueue(t, e, withFiles("m", use(k, len(content)))).Serial, int64(1))
	// One that is stored is a duplicate, whatever is named with it.
	mustAccept(t, e, attach(received("m", 1), use(in, len(content))))
	_, duplicate, err := e.Accept(t.Context(), attach(received("m", 1), use(in, 1)))
	if !duplicate || err != nil {
		t.Errorf("Accept again: %v, %v", duplicate, err)
	}
	same(t, "held", []bool{mustState(t, e, k).Held, mustState(t, e, in).Held}, []bool{true, true})
}

func sweepsLoose(t *testing.T, e env) {
	must(t, e.Close())
	now := epoch
	s := e.reopen(t, Options{Now: func() time.Time { return now }})
	kept, keptKey := file('k', store.MinChunk)
	mustKeep(t, s, keptKey, kept)
	mustEnqueue(t, s, withFiles("m", use(keptKey, len(kept))))
	old, oldKey := file('o', 2*store.MinChunk)
	mustChunk(t, s, oldKey, len(old), 0, old[:store.MinChunk])
	now = now.Add(time.Hour)
	young, youngKey := file('y', store.MinChunk)
	mustKeep(t, s, youngKey, young)
	for _, step := range []struct {
		before time.Time
		want   int
	}{{epoch, 0}, {epoch.Add(time.Second), 1}, {epoch.Add(time.Second), 0}, {epoch.Add(2 * time.Hour), 1}, {epoch.Add(9 * time.Hour), 0}} {
		n, err := s.SweepAttachments(t.Context(), step.before, 10)
		must(t, err)
		same(t, "swept before "+step.before.String(), n, step.want)
	}
	_, err := s.GetAttachment(t.Context(), oldKey)
	wantErr(t, err, store.ErrNotFound)
	if !bytes.Equal(readAll(t, s, keptKey), kept) {
		t.Error("what a message names was changed")
	}
	mustKeep(t, s, oldKey, old) // it may come again
}

func sharesAttachment(t *testing.T, e env) {
	content, k := file('s', store.MinChunk)
	mustKeep(t, e, k, content)
	hold := func(holder string) {
		mustChange(t, e, func(l store.LineTx) error {
			return l.HoldAttachments(store.Out, holder, []store.AttachmentUse{use(k, len(content)), use(k, len(content))})
		})
	}
	drop := func(holder string) {
		mustChange(t, e, func(l store.LineTx) error { return l.DropAttachments(store.Out, holder) })
	}
	held := func(want bool) {
		t.Helper()
		same(t, "held", mustState(t, e, k).Held, want)
	}
	hold("draft 1")
	hold("draft 1")
	hold("draft 2")
	drop("draft 1")
	drop("draft 1")
	drop("nobody")
	held(true)
	drop("draft 2")
	held(false)
	hold("draft 3")
	mustEnqueue(t, e, withFiles("m1", use(k, len(content))))
	mustEnqueue(t, e, withFiles("m2", use(k, len(content))))
	drop("draft 3")
	held(true)
	_, other := file('t', 9)
	err := e.ChangeLine(t.Context(), k.Peer, func(l store.LineTx) error {
		return l.HoldAttachments(store.Out, "draft 4", []store.AttachmentUse{use(other, 9)})
	})
	wantErr(t, err, store.ErrIncomplete)
}

func ordersAttachments(t *testing.T, e env) {
	var uses []store.AttachmentUse
	for i := range 4 {
		content, k := file(byte('0'+i), store.MinChunk)
		mustKeep(t, e, k, content)
		uses = append(uses, use(k, len(content)))
	}
	mustEnqueue(t, e, withFiles("m0", uses[0]))
	mustEnqueue(t, e, withFiles("none"))
	m := withFiles("m1", uses[1])
	mustEnqueue(t, e, m)
	flash := attach(message("m2", precedence("FLASH")), uses[2], uses[2])
	mustEnqueue(t, e, flash)
	mustEnqueue(t, e, attach(message("m3"), uses[0]))
	mustReceipt(t, e, "m1")
	got, err := e.QueuedAttachments(t.Context(), "bravo.example", 10)
	must(t, err)
	same(t, "queued", got, []store.Hash{uses[2].SHA256, uses[0].SHA256, uses[0].SHA256})
	got, err = e.QueuedAttachments(t.Context(), "bravo.example", 1)
	must(t, err)
	same(t, "the first", got, []store.Hash{uses[2].SHA256})
}

func partsAttachments(t *testing.T, e env) {
	content, k := file('p', store.MinChunk)
	others := []store.AttachmentKey{k, k, k}
	others[1].Direction, others[2].Peer = store.In, "charlie.example"
	mustKeep(t, e, k, content)
	for _, other := range others[1:] {
		_, err := e.GetAttachment(t.Context(), other)
		wantErr(t, err, store.ErrNotFound)
		sum, err := e.LooseAttachments(t.Context(), other.Direction, other.Peer)
		must(t, err)
		same(t, "loose", sum, store.AttachmentLimits{})
	}
	err := e.ChangeLine(t.Context(), "charlie.example", func(l store.LineTx) error {
		return l.HoldAttachments(store.Out, "m", []store.AttachmentUse{use(k, len(content))})
	})
	wantErr(t, err, store.ErrIncomplete)
}
