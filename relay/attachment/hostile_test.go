// SPDX-FileCopyrightText: The certlink authors
// SPDX-License-Identifier: Apache-2.0

package attachment

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/go-json-experiment/json"

	"github.com/certlink/certlink/internal/testbubble"
	"github.com/certlink/certlink/relay/access"
	"github.com/certlink/certlink/relay/attachment/chunk"
	"github.com/certlink/certlink/relay/message"
	"github.com/certlink/certlink/relay/store"
)

// afterRest and afterTrust are a while in a bubble.
func afterRest() <-chan time.Time  { return time.After(longestRest) }
func afterTrust() <-chan time.Time { return time.After(trusted) }

var alfaRelay = access.Peer{Name: "alfa", TrustDomain: "alfa.example", Relay: true}

// put brings a chunk to bravo as somebody does, and returns the status and the words.
func put(t *testing.T, s *side, from access.Peer, a message.Attachment, c chunk.Chunk, change func(r *http.Request)) (int, string) {
	t.Helper()
	r := httptest.NewRequest(http.MethodPut, Path+a.SHA256, bytes.NewReader(c.Content)).WithContext(t.Context())
	c.SetHeader(r.Header)
	if change != nil {
		change(r)
	}
	answer := s.serve(r, from)
	said, err := io.ReadAll(answer.Body)
	if err != nil {
		t.Fatal(err)
	}
	return answer.StatusCode, string(said)
}

func TestWhatAHostilePeerBringsIsRefusedByNameAndCostsNothing(t *testing.T) {
	testbubble.Run(t, func(t *testing.T) {
		w := newWorld(t)
		content, a := file("f", 2*store.MinChunk)
		first := chunk.Chunk{Size: a.Size, Content: content[:store.MinChunk]}
		second := chunk.Chunk{Size: a.Size, Offset: store.MinChunk, Content: content[store.MinChunk:]}
		for _, step := range []struct {
			what   string
			from   access.Peer
			c      chunk.Chunk
			change func(r *http.Request)
			status int
			words  string
			stored int64
		}{
			{"nobody", access.Peer{}, first, nil, 403, "Hotline", 0},
			{"a client that is no relay", access.Peer{TrustDomain: "alfa.example"}, first, nil, 403, "Hotline", 0},
			{"a peer without Hotline", access.Peer{TrustDomain: "charlie.example", Relay: true}, first, nil, 403, "Hotline", 0},
			{"a hole at the beginning", alfaRelay, second, nil, 409, "not stored", 0},
			{"the first chunk", alfaRelay, first, nil, 200, "", store.MinChunk},
			{"the first chunk again", alfaRelay, first, nil, 200, "", store.MinChunk},
			{"another size", alfaRelay, chunk.Chunk{Size: a.Size + 1, Offset: store.MinChunk, Content: second.Content}, nil, 409, "another size", store.MinChunk},
			{"a hole", alfaRelay, chunk.Chunk{Size: a.Size, Offset: a.Size - 1, Content: []byte("x")}, nil, 409, "not stored", store.MinChunk},
			{"a chunk with another digest", alfaRelay, second, func(r *http.Request) { r.Header.Set("Content-Digest", chunk.Digest(store.Hash{})) }, 422, "nothing was stored", store.MinChunk},
			{"a content with another digest", alfaRelay, chunk.Chunk{Size: a.Size, Offset: store.MinChunk, Content: make([]byte, store.MinChunk)}, nil, 422, "deleted", 0},
			{"the first chunk anew", alfaRelay, first, nil, 200, "", store.MinChunk},
			{"the second chunk", alfaRelay, second, nil, 200, `"complete":true`, a.Size},
			{"a chunk after the end", alfaRelay, chunk.Chunk{Size: a.Size, Offset: store.MinChunk, Content: make([]byte, store.MinChunk)}, nil, 200, `"complete":true`, a.Size},
		} {
			status, said := put(t, w.bravo, step.from, a, step.c, step.change)
			if status != step.status || !strings.Contains(said, step.words) {
				t.Errorf("%s: %d %s, want %d with %q", step.what, status, said, step.status, step.words)
			}
			if got := w.bravo.stored(a).Stored; got != step.stored {
				t.Errorf("%s: %d bytes are stored, want %d", step.what, got, step.stored)
			}
		}
		w.bravo.wantComplete(a)
	})
}

func TestTenThousandUploadsBegunFillNoMoreThanTheQuota(t *testing.T) {
	testbubble.Run(t, func(t *testing.T) {
		limits := store.AttachmentLimits{Bytes: 8 << 20, Count: 40}
		w := newWorld(t, func(c *Config) { c.Limits = limits })
		begun := 0
		for i := range 10000 {
			// Most are tiny, and complete at once: nothing names them either.
			content, a := file(fmt.Sprint("f", i), 9)
			if i%300 == 0 {
				content, a = file(fmt.Sprint("f", i), 300<<10)
				content = content[:store.MinChunk]
			}
			status, said := put(t, w.bravo, alfaRelay, a, chunk.Chunk{Size: a.Size, Content: content}, nil)
			switch {
			case status == http.StatusOK:
				begun++
			case status != http.StatusInsufficientStorage || !strings.Contains(said, "quota"):
				t.Fatalf("upload %d: %d %s", i, status, said)
			}
		}
		loose, err := w.bravo.store.LooseAttachments(t.Context(), store.In, "alfa.example")
		if err != nil || loose.Bytes > limits.Bytes || loose.Count != int64(begun) || begun != 40 {
			t.Errorf("%d uploads were begun, %+v, %v", begun, loose, err)
		}
		// After a day they are gone, and there is room again.
		<-time.After(KeepUnnamed + 2*sweepEvery)
		synctest.Wait()
		content, a := file("honest", 300<<10)
		w.alfa.upload(content, a, store.MaxChunk)
		w.alfa.await(a)
		w.bravo.wantComplete(a)
	})
}

// drip is a body that never gives its second byte.
type drip struct {
	ctx  context.Context //nolint:containedctx // of the request
	gave bool
}

func (d *drip) Read(p []byte) (int, error) {
	if !d.gave {
		d.gave = true
		return copy(p, "x"), nil
	}
	<-d.ctx.Done()
	return 0, d.ctx.Err()
}

func TestSlowBytesHoldUpAFewRequestsOfTheirPeerAlone(t *testing.T) {
	testbubble.Run(t, func(t *testing.T) {
		w := newWorld(t)
		w.bravo.engine.Apply(live("alfa", "charlie"))
		_, a := file("f", 2*store.MinChunk)
		c := chunk.Chunk{Size: a.Size, Content: make([]byte, store.MinChunk)}
		ctx, cancel := context.WithCancel(t.Context())
		ended := make(chan int, maxAtOnce)
		for range maxAtOnce {
			go func() {
				r := httptest.NewRequest(http.MethodPut, Path+a.SHA256, &drip{ctx: ctx}).WithContext(ctx)
				c.SetHeader(r.Header)
				r.ContentLength = store.MinChunk
				ended <- w.bravo.serve(r, alfaRelay).StatusCode
			}()
		}
		synctest.Wait()
		if status, said := put(t, w.bravo, alfaRelay, a, c, nil); status != http.StatusTooManyRequests {
			t.Errorf("one more of the same peer: %d %s", status, said)
		}
		if status, said := put(t, w.bravo, access.Peer{TrustDomain: "charlie.example", Relay: true}, a, c, nil); status != http.StatusOK {
			t.Errorf("one of another peer: %d %s", status, said)
		}
		cancel() // as the server's read timeout does
		for range maxAtOnce {
			if status := <-ended; status != http.StatusBadRequest {
				t.Errorf("a request that was cut is answered %d", status)
			}
		}
		if status, said := put(t, w.bravo, alfaRelay, a, c, nil); status != http.StatusOK {
			t.Errorf("afterwards: %d %s", status, said)
		}
	})
}

// A peer that answers what cannot be: the sender does not believe it, says so, and neither
// spins nor takes memory for it.
func TestWhatALyingPeerAnswersIsNotBelieved(t *testing.T) {
	for name, answer := range map[string]func(a message.Attachment, method string) (int, any){
		"complete in another size": func(a message.Attachment, _ string) (int, any) {
			return 200, chunk.State{SHA256: a.SHA256, Size: 7, Stored: 7, Complete: true}
		},
		"another attachment": func(a message.Attachment, _ string) (int, any) {
			return 200, chunk.State{SHA256: strings.Repeat("0", 64), Size: a.Size, Stored: a.Size, Complete: true}
		},
		"more than there is": func(a message.Attachment, _ string) (int, any) {
			return 200, chunk.State{SHA256: a.SHA256, Size: a.Size, Stored: 1 << 40}
		},
		"less than nothing": func(a message.Attachment, _ string) (int, any) {
			return 200, chunk.State{SHA256: a.SHA256, Size: a.Size, Stored: -5}
		},
		"all, and not complete": func(a message.Attachment, _ string) (int, any) {
			return 200, chunk.State{SHA256: a.SHA256, Size: a.Size, Stored: a.Size}
		},
		"never any progress": func(a message.Attachment, _ string) (int, any) { return 200, chunk.State{SHA256: a.SHA256} },
		"no JSON":            func(message.Attachment, string) (int, any) { return 200, nil },
		"the quota is reached": func(message.Attachment, string) (int, any) {
			return 507, map[string]string{"detail": "the quota is reached"}
		},
		"an old relay":           func(message.Attachment, string) (int, any) { return 404, nil },
		"a state without an end": func(message.Attachment, string) (int, any) { return 200, strings.Repeat("x", 1<<20) },
	} {
		t.Run(name, func(t *testing.T) {
			testbubble.Run(t, func(t *testing.T) {
				content, a := file("f", 100<<10)
				requests := 0
				w := newWorld(t, func(c *Config) {
					c.Client = func(string) *http.Client {
						return &http.Client{Transport: roundTrip(func(r *http.Request) (*http.Response, error) {
							requests++
							recorder := httptest.NewRecorder()
							status, body := answer(a, r.Method)
							recorder.WriteHeader(status)
							if err := json.MarshalWrite(recorder, body); err != nil {
								return nil, err
							}
							return recorder.Result(), nil
						})}
					}
				})
				w.alfa.upload(content, a, store.MaxChunk)
				w.alfa.sent("m", "ROUTINE", a)
				for range 60 {
					if ok, err := w.alfa.engine.Ready(t.Context(), "bravo.example", []message.Attachment{a}); ok || err != nil {
						t.Fatalf("ready: %v, %v", ok, err)
					}
					<-time.After(time.Second)
				}
				if requests < 4 || requests > 30 {
					t.Errorf("%d requests in a minute", requests)
				}
				if w.alfa.engine.Trouble("to-bravo") == "" {
					t.Error("nobody is told")
				}
			})
		})
	}
}

// fullStore has no room while full.
type fullStore struct {
	Store
	full *atomic.Bool
}

func (f *fullStore) AppendAttachment(ctx context.Context, k store.AttachmentKey, size, offset int64, c []byte, l store.AttachmentLimits) (store.Attachment, error) {
	if f.full.Load() && offset > 0 {
		return store.Attachment{}, fmt.Errorf("storing a chunk: %w", store.ErrFull)
	}
	return f.Store.AppendAttachment(ctx, k, size, offset, c, l)
}

func TestAFullDiskAtThePeerIsToldAndTheFileGoesOn(t *testing.T) {
	testbubble.Run(t, func(t *testing.T) {
		w := newWorld(t)
		var full atomic.Bool
		full.Store(true)
		w.bravo.wrap = func(s Store) Store { return &fullStore{Store: s, full: &full} }
		w.bravo.restart()
		content, a := file("f", 3<<20)
		w.alfa.upload(content, a, store.MaxChunk)
		if ok, err := w.alfa.engine.Ready(t.Context(), "bravo.example", []message.Attachment{a}); ok || err != nil {
			t.Fatal(ok, err)
		}
		<-time.After(10 * time.Second)
		synctest.Wait()
		if said := w.alfa.engine.Trouble("to-bravo"); !strings.Contains(said, "full") || !strings.Contains(said, "others go on") {
			t.Errorf("trouble is %q", said)
		}
		if got := w.bravo.stored(a).Stored; got == 0 {
			t.Error("the first chunk is gone")
		}
		full.Store(false)
		w.alfa.engine.Wake("bravo.example")
		w.alfa.await(a)
		if said := w.alfa.engine.Trouble("to-bravo"); said != "" {
			t.Errorf("trouble is still %q", said)
		}
	})
}

func TestADownloadIsOfAMessageThatNamesIt(t *testing.T) {
	testbubble.Run(t, func(t *testing.T) {
		w := newWorld(t)
		content, a := file("f", 100)
		_, other := file("other", 100)
		w.alfa.upload(content, a, store.MaxChunk)
		w.alfa.sent("m", "ROUTINE", a)
		for name, ask := range map[string]func() error{
			"another file": func() error {
				_, err := w.alfa.engine.Download(t.Context(), store.Out, "bravo.example", "m", other.SHA256)
				return err
			},
			"another message": func() error {
				_, err := w.alfa.engine.Download(t.Context(), store.Out, "bravo.example", "n", a.SHA256)
				return err
			},
			"other direction": func() error {
				_, err := w.alfa.engine.Download(t.Context(), store.In, "bravo.example", "m", a.SHA256)
				return err
			},
			"an unknown line": func() error { _, err := w.alfa.engine.UploadState(t.Context(), "to-charlie", a.SHA256); return err },
			"to unknown line": func() error { _, err := w.alfa.engine.Upload(t.Context(), "to-charlie", chunk.Chunk{}); return err },
			"another nation's": func() error {
				_, err := w.alfa.engine.Download(t.Context(), store.Out, "charlie.example", "m", a.SHA256)
				return err
			},
		} {
			if err := ask(); !errors.Is(err, store.ErrNotFound) {
				t.Errorf("%s: %v", name, err)
			}
		}
		if got := w.alfa.download(store.Out, "m", a); !bytes.Equal(got, content) {
			t.Error("the file is another one")
		}
	})
}
