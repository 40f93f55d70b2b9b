// SPDX-FileCopyrightText: The certlink authors
// SPDX-License-Identifier: Apache-2.0

package hotline

import (
	"context"
	"crypto"
	"crypto/x509"
	"errors"
	"io"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/oklog/ulid/v2"

	"github.com/certlink/certlink/internal/testbubble"
	"github.com/certlink/certlink/relay/desk"
	"github.com/certlink/certlink/relay/journal"
	"github.com/certlink/certlink/relay/store"
)

// heldUp makes changes of a nation's line wait as if another were being stored, until the
// returned function is called.
func heldUp(n *nation) (release func()) {
	commits := &n.engine().lineTo(n.config.Peers[0].TrustDomain).commits
	for {
		commits.mu.Lock()
		busy := commits.busy // with what the sides say to each other at first
		commits.busy = true
		commits.mu.Unlock()
		if !busy {
			return commits.next
		}
		<-time.After(time.Millisecond)
	}
}

// sendAll sends requests at once and returns their errors.
func sendAll(ctx context.Context, t *testing.T, w *world, release func(), requests []desk.SendRequest) []error {
	t.Helper()
	errs := make([]error, len(requests))
	var running sync.WaitGroup
	for i, r := range requests {
		r.Hotline = "to-bravo"
		running.Go(func() { _, _, errs[i] = w.alfa.engine().Send(ctx, r) })
	}
	synctest.Wait()
	release()
	running.Wait()
	return errs
}

// batches are those of the journal of a nation.
func (n *nation) batches(peer string) (all []store.JournalBatch) {
	n.t.Helper()
	err := n.life().store.ReadLine(n.t.Context(), peer, func(r store.LineReader) (err error) {
		all, err = r.JournalBatches(0, store.MaxMessages)
		return err
	})
	if err != nil {
		n.t.Fatal(err)
	}
	return all
}

// brokenKey is an identity that cannot sign.
type brokenKey struct{ Identity }

func (b brokenKey) SigningChain() ([]*x509.Certificate, crypto.Signer) {
	chain, key := b.Identity.SigningChain()
	return chain, failingSigner{key}
}

type failingSigner struct{ crypto.Signer }

func (failingSigner) Sign(io.Reader, []byte, crypto.SignerOpts) ([]byte, error) {
	return nil, errors.New("the key is out of reach")
}

func TestCommit(t *testing.T) {
	bubble(t, "makes_one_checkpoint_for_what_is_sent_at_once", func(t *testing.T, w *world) {
		requests := make([]desk.SendRequest, 64)
		for i := range requests {
			requests[i] = request(ulid.Make().String(), "s")
		}
		for _, err := range sendAll(t.Context(), t, w, heldUp(w.alfa), requests) {
			if err != nil {
				t.Error(err)
			}
		}
		all := w.alfa.batches("bravo.example")
		if len(all) != 1 || len(all[0].Entries) != 64 || all[0].Checkpoint.Size != 64 {
			t.Errorf("64 messages made %d checkpoints", len(all))
		}
		w.quiet()
		w.alfa.proven(w.bravo, 64)
	})
	bubble(t, "stores_flash_at_both_ends_while_other_changes_wait", func(t *testing.T, w *world) {
		w.quiet()
		defer heldUp(w.alfa)()
		defer heldUp(w.bravo)()
		r := request(firstID, "fire")
		r.Precedence = "FLASH"
		w.alfa.send(r)
		for range 1000 {
			if w.alfa.list(store.Out)[0].State != "Queued" {
				return
			}
			<-time.After(time.Millisecond)
		}
		t.Error("it waits for changes of others")
	})
	bubble(t, "takes_no_more_than_a_batch_at_once", func(t *testing.T, w *world) {
		requests := make([]desk.SendRequest, maxBatch+1)
		for i := range requests {
			requests[i] = request(ulid.Make().String(), "s")
		}
		for _, err := range sendAll(t.Context(), t, w, heldUp(w.alfa), requests) {
			if err != nil {
				t.Error(err)
			}
		}
		if all := w.alfa.batches("bravo.example"); len(all) != 2 || len(all[0].Entries) != maxBatch || len(all[1].Entries) != 1 {
			t.Errorf("%d messages made %d checkpoints", maxBatch+1, len(all))
		}
	})
}

func TestCommitFails(t *testing.T) {
	bubble(t, "fails_only_the_one_that_conflicts", func(t *testing.T, w *world) {
		w.faults(cut)
		twice := request(firstID, "one")
		other := request(firstID, "other")
		errs := sendAll(t.Context(), t, w, heldUp(w.alfa), []desk.SendRequest{request("", "a"), twice, other, request("", "b")})
		conflicts := 0
		for i, err := range errs {
			switch {
			case errors.Is(err, store.ErrConflict) && (i == 1 || i == 2):
				conflicts++
			case err != nil:
				t.Errorf("message %d: %v", i, err)
			}
		}
		all := w.alfa.batches("bravo.example")
		if sent := w.alfa.list(store.Out); conflicts != 1 || len(sent) != 3 || len(all) != 1 || len(all[0].Entries) != 3 {
			t.Errorf("%d conflicts, %d messages, %d checkpoints", conflicts, len(sent), len(all))
		}
	})
	bubble(t, "lets_a_caller_go_without_undoing_the_others", func(t *testing.T, w *world) {
		w.faults(cut)
		release := heldUp(w.alfa)
		gone, cancel := context.WithCancel(t.Context())
		left := make(chan error)
		go func() {
			r := request(firstID, "gone")
			r.Hotline = "to-bravo"
			_, _, err := w.alfa.engine().Send(gone, r)
			left <- err
		}()
		synctest.Wait()
		cancel()
		if err := <-left; !errors.Is(err, context.Canceled) {
			t.Errorf("the caller that left got %v", err)
		}
		if errs := sendAll(t.Context(), t, w, release, []desk.SendRequest{request("", "a"), request("", "b")}); errs[0] != nil || errs[1] != nil {
			t.Errorf("the others got %v", errs)
		}
		if all := w.alfa.list(store.Out); len(all) != 2 {
			t.Errorf("stored are %+v", all)
		}
	})
	bubble(t, "stores_nothing_without_a_key_that_signs", func(t *testing.T, w *world) {
		w.faults(cut)
		good := w.alfa.who()
		w.alfa.become(brokenKey{good})
		for _, err := range sendAll(t.Context(), t, w, heldUp(w.alfa), []desk.SendRequest{request("", "a"), request("", "b")}) {
			if err == nil {
				t.Error("a message was stored that nobody signed")
			}
		}
		if all := w.alfa.list(store.Out); len(all) != 0 || len(w.alfa.batches("bravo.example")) != 0 {
			t.Errorf("stored are %+v", all)
		}
		w.alfa.become(good)
		if m := w.alfa.send(request(firstID, "s")); m.Serial != 1 {
			t.Errorf("the first message that is signed has serial %d", m.Serial)
		}
	})
	bubble(t, "enters_messages_and_receipts", func(t *testing.T, w *world) {
		w.alfa.send(request(firstID, "s"))
		w.quiet()
		w.bravo.acknowledge(firstID)
		w.quiet()
		for _, n := range []*nation{w.alfa, w.bravo} {
			kinds := map[string]int{}
			for _, b := range n.batches(n.config.Peers[0].TrustDomain) {
				for _, e := range b.Entries {
					kinds[e.Kind]++
				}
			}
			if len(kinds) != 2 || kinds[string(journal.Message)] != 1 || kinds[string(journal.Receipt)] != 1 {
				t.Errorf("%s has entered %v", n.name, kinds)
			}
		}
	})
}

func TestAPanicLeavesNobodyWaiting(t *testing.T) {
	testbubble.Run(t, func(t *testing.T) {
		var c committer
		run := func(context.Context, []*waiting) error { panic("of a change") }
		c.enter(&waiting{})
		second := make(chan error)
		go func() {
			defer func() { _ = recover() }()
			_ = c.commit(t.Context(), nil, run)
		}()
		synctest.Wait()
		go func() { second <- c.commit(t.Context(), nil, run) }()
		synctest.Wait()
		c.next()
		if err := <-second; !errors.Is(err, errUnfinished) {
			t.Errorf("who waited got %v", err)
		}
		if err := c.commit(t.Context(), nil, func(context.Context, []*waiting) error { return nil }); err != nil {
			t.Errorf("the next got %v", err)
		}
	})
}

func TestCallersWhoWereAnsweredComeIntoTheNextTransactionAgain(t *testing.T) {
	const callers, times, lasts, thinks = 8, 20, 4 * time.Millisecond, 500 * time.Microsecond
	for name, c := range map[string]struct {
		urgent bool
		most   int
	}{
		"usual changes are gathered": {false, times + 1},
		"urgent ones do not wait":    {true, 2*times + 1},
	} {
		t.Run(name, func(t *testing.T) {
			testbubble.Run(t, func(t *testing.T) {
				var commits committer
				transactions := 0
				run := func(context.Context, []*waiting) error {
					transactions++
					<-time.After(lasts)
					return nil
				}
				var running sync.WaitGroup
				for range callers {
					running.Go(func() {
						for range times {
							if err := commits.commitOf(t.Context(), &waiting{urgent: c.urgent}, run); err != nil {
								t.Error(err)
							}
							<-time.After(thinks)
						}
					})
				}
				running.Wait()
				if transactions > c.most || c.urgent && transactions <= times+1 {
					t.Errorf("%d changes took %d transactions, want at most %d", callers*times, transactions, c.most)
				}
			})
		})
	}
}
