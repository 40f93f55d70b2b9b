// SPDX-FileCopyrightText: The certlink authors
// SPDX-License-Identifier: Apache-2.0

package postgres

import (
	"context"
	"sync"
	"testing"
	"time"

	"github.com/certlink/certlink/internal/testpostgres"
	"github.com/certlink/certlink/relay/store"
)

// TestReplicasHearOfWhatIsTakenBack: the one that decides is woken by it.
func TestReplicasHearOfWhatIsTakenBack(t *testing.T) {
	uri := testpostgres.Shared(t).Fresh(t)
	one, two := openAt(t, uri), openAt(t, uri)
	if _, err := one.PutObjects(t.Context(), "c", []store.Object{{ID: "x--1", Type: "x", Raw: []byte("x")}}, ""); err != nil {
		t.Fatal(err)
	}
	v := store.View{Feed: "f", Peer: "bravo", Rule: "r"}
	found, err := one.Undecided(t.Context(), v, []string{"c"}, 1)
	if err != nil || len(found) != 1 {
		t.Fatal(found, err)
	}
	if err := one.Decide(t.Context(), v, []store.Decision{{Seq: found[0].Seq, Share: true, Reason: "ok"}}); err != nil {
		t.Fatal(err)
	}
	heard := make(chan string, 100)
	ctx, stop := context.WithCancel(t.Context())
	var watching sync.WaitGroup
	watching.Go(func() { _ = two.Watch(ctx, func(topic string) { heard <- topic }) })
	defer watching.Wait()
	defer stop()
	<-heard
	if err := one.Lapse(t.Context(), "c", []string{"x--1"}); err != nil {
		t.Fatal(err)
	}
	await(t, heard, "a lapse")
	if n, err := one.DeleteObjects(t.Context(), "c", store.Query{IDs: []string{"x--1"}, Limit: 1}); err != nil || n != 1 {
		t.Fatal(n, err)
	}
	await(t, heard, "a deletion")
}

func await(t *testing.T, heard <-chan string, what string) {
	t.Helper()
	select {
	case topic := <-heard:
		if topic != store.ObjectsTopic {
			t.Errorf("the news of %s are %q", what, topic)
		}
	case <-time.After(time.Minute):
		t.Fatalf("no news of %s", what)
	}
}
