// SPDX-FileCopyrightText: The certlink authors
// SPDX-License-Identifier: Apache-2.0

package hotline

import (
	"context"
	"slices"
	"testing"
	"time"

	"github.com/certlink/certlink/relay/store"
)

// outbox is a store of which only Pending is asked.
type outbox struct {
	Store
	queued []store.Message
}

func (o outbox) Pending(_ context.Context, _ string, limit int, without ...string) ([]store.Message, error) {
	var found []store.Message
	for _, m := range o.queued {
		if len(found) < limit && !slices.Contains(without, m.Conversation) {
			found = append(found, m)
		}
	}
	return found, nil
}

// TestWhatWaitsBehindARefusedMessageHidesNothing: more waits there than one look
// finds.
func TestWhatWaitsBehindARefusedMessageHidesNothing(t *testing.T) {
	now := time.Unix(1_800_000_000, 0)
	var queued []store.Message
	for range store.MaxMessages + 1 {
		queued = append(queued, store.Message{ID: "behind", Conversation: "a"})
	}
	queued[0].ID = "refused"
	queued = append(queued, store.Message{ID: "free", Conversation: "b"})
	l := newLine(&Engine{cfg: Config{Store: outbox{queued: queued}, Now: func() time.Time { return now }}}, "bravo.example")
	for _, c := range []struct {
		name  string
		until time.Time
		want  string
	}{
		{"while it waits", now.Add(time.Second), "free"},
		{"when its time has come", now, "refused"},
	} {
		l.held["refused"] = failure{attempts: 1, until: c.until, conversation: "a"}
		if m, _, err := l.pick(t.Context()); err != nil || m.ID != c.want {
			t.Errorf("%s: %q is next, %v; want %q", c.name, m.ID, err, c.want)
		}
	}
	l.held["refused"] = failure{attempts: 1, until: now.Add(time.Second), conversation: "a"}
	l.engine.cfg.Store = outbox{queued: queued[:store.MaxMessages]}
	if m, until, err := l.pick(t.Context()); err != nil || m.ID != "" || !until.Equal(now.Add(time.Second)) {
		t.Errorf("alone: %q is next, not before %v, %v", m.ID, until, err)
	}
}
