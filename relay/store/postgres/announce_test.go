// SPDX-FileCopyrightText: The certlink authors
// SPDX-License-Identifier: Apache-2.0

package postgres

import (
	"context"
	"fmt"
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

// TestAMessageDoesNotWaitForTheCommitOfAFeed: one that hangs, as on a disk that is slow, as it waits for a standby that is not there.
func TestAMessageDoesNotWaitForTheCommitOfAFeed(t *testing.T) {
	server, err := testpostgres.New()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := server.Close(); err != nil {
			t.Error(err)
		}
	})
	s := openAt(t, server.Fresh(t))
	object := func(id string) []store.Object { return []store.Object{{ID: id, Type: "x", Raw: []byte("x")}} }
	if _, err := s.PutObjects(t.Context(), "c", object("x--1"), ""); err != nil {
		t.Fatal(err)
	}
	conn, err := s.connect(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close(t.Context())
	standby := func(name string) {
		t.Helper()
		for _, statement := range []string{"ALTER SYSTEM SET synchronous_standby_names = '" + name + "'", "SELECT pg_reload_conf()"} {
			if _, err := conn.Exec(t.Context(), statement); err != nil {
				t.Fatal(err)
			}
		}
	}
	for _, c := range s.urgent.AcquireAllIdle(t.Context()) {
		c.Release()
	}
	message, err := s.urgent.Acquire(t.Context()) // the one that the message will use waits for no standby
	if err != nil {
		t.Fatal(err)
	}
	_, err = message.Exec(t.Context(), "SET synchronous_commit = local")
	message.Release()
	if err != nil {
		t.Fatal(err)
	}
	standby("nobody")
	var feed sync.WaitGroup
	feeding, enough := context.WithCancel(t.Context())
	defer enough()
	feed.Go(func() { // until the server has heard of the standby
		for i := 0; feeding.Err() == nil; i++ {
			if _, err := s.PutObjects(t.Context(), "c", object(fmt.Sprint("x--2", i)), ""); err != nil {
				t.Error(err)
			}
		}
	})
	for hangs := false; !hangs; {
		if err := conn.QueryRow(t.Context(), "SELECT EXISTS (SELECT 1 FROM pg_stat_activity WHERE wait_event = 'SyncRep')").Scan(&hangs); err != nil {
			t.Fatal(err)
		}
	}
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	if _, err := s.Enqueue(ctx, "bravo", func(int64) (store.Message, error) { return store.Message{ID: "m"}, nil }); err != nil {
		t.Errorf("the message waited for the feed: %v", err)
	}
	enough()
	standby("")
	feed.Wait()
}
