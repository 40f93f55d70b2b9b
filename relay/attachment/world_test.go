// SPDX-FileCopyrightText: The certlink authors
// SPDX-License-Identifier: Apache-2.0

package attachment

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"sync"
	"testing"

	"go.uber.org/goleak"

	"github.com/certlink/certlink/relay/access"
	"github.com/certlink/certlink/relay/attachment/chunk"
	"github.com/certlink/certlink/relay/config"
	"github.com/certlink/certlink/relay/message"
	"github.com/certlink/certlink/relay/store"
	"github.com/certlink/certlink/relay/store/sqlite"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// side is one nation: a store on disk and an engine, which can be killed and started.
type side struct {
	t           *testing.T
	name, other string
	path        string
	config      Config
	// wrap stands between the engine and the store, if it is there.
	wrap func(Store) Store

	store  *sqlite.Store
	engine *Engine
	stop   context.CancelFunc
	done   chan error
	// ready gets a token whenever messages may go.
	ready chan struct{}
}

// world is alfa, which sends to bravo, and the wire between them, in one process.
type world struct {
	alfa, bravo *side

	mu sync.Mutex
	// fault judges a request and its answer; nil: everything works.
	fault func(r *http.Request, answered bool) error
	// requests counts by method.
	requests map[string]int
}

func (w *world) faults(f func(r *http.Request, answered bool) error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.fault = f
}

func (w *world) judge(r *http.Request, answered bool) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	if !answered {
		w.requests[r.Method]++
	}
	if w.fault == nil {
		return nil
	}
	return w.fault(r, answered)
}

func (w *world) count(method string) int {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.requests[method]
}

func newWorld(t *testing.T, mods ...func(*Config)) *world {
	t.Helper()
	w := &world{requests: map[string]int{}}
	w.alfa, w.bravo = newSide(t, "alfa", "bravo"), newSide(t, "bravo", "alfa")
	w.alfa.config.Client = func(string) *http.Client {
		return &http.Client{Transport: roundTrip(func(r *http.Request) (*http.Response, error) { return w.carry(r) })}
	}
	w.bravo.config.Client = func(string) *http.Client { return &http.Client{} }
	for _, s := range []*side{w.alfa, w.bravo} {
		for _, mod := range mods {
			mod(&s.config)
		}
		s.start()
		t.Cleanup(s.kill)
	}
	return w
}

type roundTrip func(r *http.Request) (*http.Response, error)

func (f roundTrip) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }

// carry brings a request of alfa's relay to bravo.
func (w *world) carry(r *http.Request) (*http.Response, error) {
	if err := w.judge(r, false); err != nil {
		return nil, err
	}
	if err := r.Context().Err(); err != nil {
		return nil, err
	}
	answer := w.bravo.serve(r, access.Peer{Name: "alfa", TrustDomain: "alfa.example", Relay: true})
	if err := w.judge(r, true); err != nil {
		return nil, err
	}
	return answer, nil
}

func (s *side) serve(r *http.Request, from access.Peer) *http.Response {
	recorder := httptest.NewRecorder()
	s.engine.Handler().ServeHTTP(recorder, r.WithContext(access.WithPeer(r.Context(), from)))
	return recorder.Result()
}

func newSide(t *testing.T, name, other string) *side {
	return &side{t: t, name: name, other: other, path: filepath.Join(t.TempDir(), "relay.db"), ready: make(chan struct{}, 1)}
}

// start begins a process on the same disk.
func (s *side) start() {
	s.t.Helper()
	var err error
	if s.store, err = sqlite.Open(context.Background(), sqlite.Config{Path: s.path, Now: s.config.Now}); err != nil {
		s.t.Fatal(err)
	}
	cfg := s.config
	cfg.Store = s.store
	if s.wrap != nil {
		cfg.Store = s.wrap(s.store)
	}
	cfg.Stored = func(string) {
		select {
		case s.ready <- struct{}{}:
		default:
		}
	}
	if s.engine, err = New(cfg); err != nil {
		s.t.Fatal(err)
	}
	s.engine.Apply(live(s.other))
	var ctx context.Context
	ctx, s.stop = context.WithCancel(context.Background())
	s.done = make(chan error, 1)
	go func() { s.done <- s.engine.Run(ctx) }()
}

func live(others ...string) *config.Config {
	c := &config.Config{}
	for _, other := range others {
		c.Peers = append(c.Peers, config.Peer{Name: other, TrustDomain: other + ".example", State: config.Active})
		c.Hotlines = append(c.Hotlines, config.Hotline{Name: "to-" + other, Peer: other})
	}
	return c
}

func (s *side) kill() {
	if s.store == nil {
		return
	}
	s.stop()
	if err := <-s.done; err != nil {
		s.t.Error(err)
	}
	if err := s.store.Close(); err != nil {
		s.t.Error(err)
	}
	s.store = nil
}

func (s *side) restart() {
	s.kill()
	s.start()
}

// file makes content of that size and its name in a message.
func file(name string, size int) ([]byte, message.Attachment) {
	content := bytes.Repeat([]byte(name+" and "), size/(len(name)+5)+1)[:size]
	sum := sha256.Sum256(content)
	return content, message.Attachment{Name: name, Size: int64(size), SHA256: hex.EncodeToString(sum[:])}
}

func sumOf(t *testing.T, a message.Attachment) store.Hash {
	t.Helper()
	sum, err := chunk.ParseName(a.SHA256)
	if err != nil {
		t.Fatal(err)
	}
	return sum
}

// upload brings content as the desk does, in chunks of that size.
func (s *side) upload(content []byte, a message.Attachment, size int) chunk.State {
	s.t.Helper()
	state, err := s.engine.UploadState(s.t.Context(), "to-"+s.other, a.SHA256)
	for err == nil && !state.Complete {
		c := chunk.Chunk{SHA256: sumOf(s.t, a), Size: a.Size, Offset: state.Stored}
		c.Content = content[state.Stored:min(int(state.Stored)+size, len(content))]
		state, err = s.engine.Upload(s.t.Context(), "to-"+s.other, c)
	}
	if err != nil {
		s.t.Fatal(err)
	}
	return state
}

// await waits until the peer has all of list.
func (s *side) await(list ...message.Attachment) {
	s.t.Helper()
	for {
		ok, err := s.engine.Ready(s.t.Context(), s.other+".example", list)
		if err != nil {
			s.t.Fatal(err)
		}
		if ok {
			return
		}
		select {
		case <-s.ready:
		case <-s.t.Context().Done():
			s.t.Fatal("the attachments did not come through")
		}
	}
}

// stored is what a side has of an attachment of the other.
func (s *side) stored(a message.Attachment) store.Attachment {
	s.t.Helper()
	got, err := s.store.GetAttachment(s.t.Context(), store.AttachmentKey{Direction: store.In, Peer: s.other + ".example", SHA256: sumOf(s.t, a)})
	if err != nil && !errors.Is(err, store.ErrNotFound) {
		s.t.Fatal(err)
	}
	return got
}

func (s *side) wantComplete(list ...message.Attachment) {
	s.t.Helper()
	if ok, err := s.engine.Complete(s.t.Context(), s.other+".example", list); !ok || err != nil {
		s.t.Errorf("at %s complete is %v, %v", s.name, ok, err)
	}
}

// sent stores a message of ours that names attachments; received one of the peer.
func (s *side) sent(id, precedence string, list ...message.Attachment) {
	s.t.Helper()
	if _, err := s.store.Enqueue(s.t.Context(), s.other+".example", func(int64) (store.Message, error) {
		return s.message(id, precedence, list), nil
	}); err != nil {
		s.t.Fatal(err)
	}
}

func (s *side) received(id string, serial int64, list ...message.Attachment) error {
	m := s.message(id, "ROUTINE", list)
	m.Peer, m.Serial, m.Receipt = s.other+".example", serial, []byte("r")
	_, _, err := s.store.Accept(s.t.Context(), m)
	return err
}

func (s *side) message(id, precedence string, list []message.Attachment) store.Message {
	payload := message.Message{ID: id, Attachments: list}
	m := store.Message{ID: id, Conversation: id, Kind: "DOCUMENT", Precedence: precedence, Payload: encode(s.t, payload)}
	for _, a := range list {
		m.Attachments = append(m.Attachments, store.AttachmentUse{SHA256: sumOf(s.t, a), Size: a.Size})
	}
	return m
}

// download reads an attachment of a message as the desk does.
func (s *side) download(d store.Direction, id string, a message.Attachment) []byte {
	s.t.Helper()
	f, err := s.engine.Download(s.t.Context(), d, s.other+".example", id, a.SHA256)
	if err != nil {
		s.t.Fatal(err)
	}
	content, err := io.ReadAll(f.Content)
	if err != nil {
		s.t.Fatal(err)
	}
	return content
}
