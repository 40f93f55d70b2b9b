// SPDX-FileCopyrightText: The certlink authors
// SPDX-License-Identifier: Apache-2.0

package attachment

import (
	"bytes"
	"context"
	"errors"
	"net/http"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"

	"github.com/go-json-experiment/json"

	"github.com/certlink/certlink/internal/testbubble"
	"github.com/certlink/certlink/relay/attachment/chunk"
	"github.com/certlink/certlink/relay/message"
	"github.com/certlink/certlink/relay/store"
)

func encode(t *testing.T, m message.Message) []byte {
	t.Helper()
	raw, err := json.Marshal(m)
	if err != nil {
		t.Fatal(err)
	}
	return raw
}

func TestAFileComesThroughAsItWas(t *testing.T) {
	for name, size := range map[string]int{
		"one byte":               1,
		"one chunk exactly":      store.MinChunk,
		"a chunk and a byte":     store.MinChunk + 1,
		"the largest attachment": store.MaxAttachment,
	} {
		t.Run(name, func(t *testing.T) {
			testbubble.Run(t, func(t *testing.T) {
				w := newWorld(t)
				content, a := file("report.pdf", size)
				if state := w.alfa.upload(content, a, store.MaxChunk); state.Stored != a.Size {
					t.Errorf("uploaded %+v", state)
				}
				w.alfa.sent("m", "ROUTINE", a)
				w.alfa.await(a)
				w.bravo.wantComplete(a)
				if err := w.bravo.received("m", 1, a); err != nil {
					t.Fatal(err)
				}
				if !bytes.Equal(w.bravo.download(store.In, "m", a), content) || !bytes.Equal(w.alfa.download(store.Out, "m", a), content) {
					t.Error("the content changed on its way")
				}
			})
		})
	}
}

func TestWhatIsTooLargeOrEmptyIsRefused(t *testing.T) {
	testbubble.Run(t, func(t *testing.T) {
		w := newWorld(t)
		for _, size := range []int64{0, store.MaxAttachment + 1} {
			_, err := w.alfa.engine.Upload(t.Context(), "to-bravo", chunk.Chunk{Size: size, Content: make([]byte, min(size, store.MaxChunk))})
			if refusal, ok := chunk.Refusal(err); !ok || refusal.Status != http.StatusBadRequest {
				t.Errorf("an attachment of %d bytes: %v", size, err)
			}
		}
	})
}

// Each chunk is cut once: before it arrives, or on the way of its answer.
func TestAFileGoesOnAfterACutAtEveryChunk(t *testing.T) {
	for name, answered := range map[string]bool{"the request is lost": false, "the answer is lost": true} {
		t.Run(name, func(t *testing.T) {
			testbubble.Run(t, func(t *testing.T) {
				w := newWorld(t)
				content, a := file("capture", 3<<20+5)
				w.alfa.upload(content, a, store.MaxChunk)
				cut := map[string]bool{}
				w.faults(func(r *http.Request, done bool) error {
					at := r.Method + r.Header.Get("Content-Range")
					if done != answered || cut[at] {
						return nil
					}
					cut[at] = true
					return errors.New("the link is cut")
				})
				w.alfa.sent("m", "ROUTINE", a)
				w.alfa.await(a)
				w.bravo.wantComplete(a)
				if len(cut) < 5 {
					t.Errorf("only %d requests were cut", len(cut))
				}
			})
		})
	}
}

// A link, or a way through another peer, that takes no large request in its time.
func TestAFileGoesThroughALinkThatTakesSmallChunksAlone(t *testing.T) {
	testbubble.Run(t, func(t *testing.T) {
		w := newWorld(t)
		content, a := file("capture", 1<<20)
		w.alfa.upload(content, a, store.MaxChunk)
		tried := 0
		w.faults(func(r *http.Request, done bool) error {
			if tried++; r.ContentLength > 100<<10 && tried < 100 {
				return context.DeadlineExceeded
			}
			return nil
		})
		w.alfa.sent("m", "ROUTINE", a)
		w.alfa.await(a)
		w.bravo.wantComplete(a)
		if tried >= 100 {
			t.Error("it got through only once large chunks did")
		}
	})
}

// Both sides are killed after each chunk.
func TestAFileGoesOnAfterAKillBetweenChunks(t *testing.T) {
	testbubble.Run(t, func(t *testing.T) {
		w := newWorld(t)
		content, a := file("disk image", 2<<20)
		for at := 0; at < len(content); at += store.MaxChunk {
			state, err := w.alfa.engine.UploadState(t.Context(), "to-bravo", a.SHA256)
			if err != nil || state.Stored != int64(at) {
				t.Fatalf("after a restart the upload is %+v, %v", state, err)
			}
			c := chunk.Chunk{SHA256: sumOf(t, a), Size: a.Size, Offset: int64(at), Content: content[at : at+store.MaxChunk]}
			if _, err := w.alfa.engine.Upload(t.Context(), "to-bravo", c); err != nil {
				t.Fatal(err)
			}
			w.alfa.restart()
		}
		w.alfa.sent("m", "ROUTINE", a)
		var before int64
		for {
			// The wire breaks for good after the next chunk, and both processes die.
			var chunks atomic.Int32
			w.faults(func(r *http.Request, answered bool) error {
				if r.Method == http.MethodPut && !answered && chunks.Add(1) > 1 {
					return errors.New("the link is down")
				}
				return nil
			})
			ok, err := w.alfa.engine.Ready(t.Context(), "bravo.example", []message.Attachment{a})
			if err != nil || ok {
				t.Fatalf("a process that has asked nobody is ready: %v, %v", ok, err)
			}
			synctest.Wait()
			for chunks.Load() < 2 && !w.bravo.stored(a).Complete {
				<-afterRest()
				synctest.Wait()
			}
			got := w.bravo.stored(a)
			if got.Stored <= before {
				t.Fatalf("%d bytes are stored, as before", got.Stored)
			}
			before = got.Stored
			w.alfa.restart()
			w.bravo.restart()
			if got.Complete {
				break
			}
		}
		w.alfa.await(a)
		w.bravo.wantComplete(a)
	})
}

// A crash between the last chunk and the comparison leaves a file that nobody has compared.
func TestAFileThatWasNotComparedIsComparedWhenAskedFor(t *testing.T) {
	testbubble.Run(t, func(t *testing.T) {
		w := newWorld(t)
		content, a := file("x", 10)
		for _, d := range []struct {
			side *side
			key  store.AttachmentKey
		}{{w.alfa, store.AttachmentKey{Direction: store.Out, Peer: "bravo.example"}}, {w.bravo, store.AttachmentKey{Direction: store.In, Peer: "alfa.example"}}} {
			d.key.SHA256 = sumOf(t, a)
			if _, err := d.side.store.AppendAttachment(t.Context(), d.key, a.Size, 0, content, store.AttachmentLimits{Bytes: 99, Count: 9}); err != nil {
				t.Fatal(err)
			}
		}
		if state, err := w.alfa.engine.UploadState(t.Context(), "to-bravo", a.SHA256); err != nil || !state.Complete {
			t.Errorf("at alfa: %+v, %v", state, err)
		}
		w.alfa.await(a)
		if n := w.count(http.MethodPut); n != 0 {
			t.Errorf("%d chunks were sent of what is there", n)
		}
		w.bravo.wantComplete(a)
	})
}

func TestTwoMessagesShareAnAttachment(t *testing.T) {
	testbubble.Run(t, func(t *testing.T) {
		w := newWorld(t)
		content, a := file("list.csv", 300<<10)
		w.alfa.upload(content, a, store.MaxChunk)
		w.alfa.sent("m1", "ROUTINE", a)
		w.alfa.sent("m2", "ROUTINE", a)
		w.alfa.await(a)
		n := w.count(http.MethodPut)
		w.alfa.await(a)
		if again := w.count(http.MethodPut); again != n || n == 0 {
			t.Errorf("%d chunks for one message, %d for two", n, again)
		}
		for i, id := range []string{"m1", "m2"} {
			if err := w.bravo.received(id, int64(i+1), a); err != nil {
				t.Fatal(err)
			}
			if !bytes.Equal(w.bravo.download(store.In, id, a), content) {
				t.Errorf("%s has other content", id)
			}
		}
	})
}

// What the peer said counts for a while only: its database may be another one by now.
func TestAPeerThatLostItsFilesGetsThemAgain(t *testing.T) {
	testbubble.Run(t, func(t *testing.T) {
		w := newWorld(t)
		content, a := file("evidence", 100<<10)
		w.alfa.upload(content, a, store.MaxChunk)
		w.alfa.sent("m", "ROUTINE", a)
		w.alfa.await(a)
		w.bravo.kill()
		w.bravo.path += ".replaced"
		w.bravo.start()
		if ok, _ := w.bravo.engine.Complete(t.Context(), "alfa.example", []message.Attachment{a}); ok {
			t.Fatal("the new database is complete")
		}
		<-afterTrust()
		w.alfa.await(a)
		w.bravo.wantComplete(a)
	})
}

func TestTheFileOfAFlashGoesBeforeOthers(t *testing.T) {
	testbubble.Run(t, func(t *testing.T) {
		w := newWorld(t)
		large, slow := file("routine", 8<<20)
		small, urgent := file("flash", 200<<10)
		w.alfa.upload(large, slow, store.MaxChunk)
		w.alfa.upload(small, urgent, store.MaxChunk)
		w.alfa.sent("m1", "ROUTINE", slow)
		var order []string
		w.faults(func(r *http.Request, answered bool) error {
			if r.Method == http.MethodPut && answered {
				order = append(order, r.URL.Path[len(Path):])
				if len(order) == 2 {
					w.alfa.sent("m2", "FLASH", urgent)
					_, err := w.alfa.engine.Ready(t.Context(), "bravo.example", []message.Attachment{urgent})
					return err
				}
			}
			return nil
		})
		w.alfa.await(slow)
		w.alfa.await(urgent)
		// Nothing but the chunk that was under way comes before it, and nothing is sent twice.
		if at := slices.Index(order, urgent.SHA256); at != 2 {
			t.Errorf("the file of the FLASH is chunk %d of %v", at, len(order))
		}
		w.bravo.wantComplete(slow, urgent)
	})
}

func TestAnAttachmentThatWeLostIsNamedAndHoldsUpNothing(t *testing.T) {
	testbubble.Run(t, func(t *testing.T) {
		w := newWorld(t)
		_, lost := file("lost", 100<<10)
		content, a := file("there", 100<<10)
		w.alfa.upload(content, a, store.MaxChunk)
		if ok, err := w.alfa.engine.Ready(t.Context(), "bravo.example", []message.Attachment{lost}); ok || err != nil {
			t.Errorf("ready: %v, %v", ok, err)
		}
		w.alfa.await(a)
		synctest.Wait()
		if said := w.alfa.engine.Trouble("to-bravo"); !strings.Contains(said, "not in our own store") {
			t.Errorf("trouble is %q", said)
		}
	})
}

// The lease of the line keeps a second replica from sending at the same time.
func TestOneReplicaSendsAtATime(t *testing.T) {
	testbubble.Run(t, func(t *testing.T) {
		turn := make(chan struct{}, 1)
		turn <- struct{}{}
		var names []string
		lead := func(ctx context.Context, name string, work func(context.Context)) {
			if name != "attachments/bravo.example" {
				work(ctx)
				return
			}
			select {
			case <-turn:
				names = append(names, name)
				work(ctx)
				turn <- struct{}{}
			case <-ctx.Done():
			}
		}
		w := newWorld(t, func(c *Config) { c.Lead = lead })
		content, a := file("f", 100<<10)
		w.alfa.upload(content, a, store.MaxChunk)
		<-turn // another replica has it
		if ok, _ := w.alfa.engine.Ready(t.Context(), "bravo.example", []message.Attachment{a}); ok {
			t.Error("ready before anything was sent")
		}
		synctest.Wait()
		if n := w.count(http.MethodGet) + w.count(http.MethodPut); n != 0 {
			t.Errorf("%d requests without the lease", n)
		}
		turn <- struct{}{}
		w.alfa.await(a)
		if len(names) == 0 {
			t.Error("no lease was asked for")
		}
	})
}
