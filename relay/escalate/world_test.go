// SPDX-FileCopyrightText: The certlink authors
// SPDX-License-Identifier: Apache-2.0

package escalate

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"path/filepath"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/goleak"

	"github.com/certlink/certlink/internal/testbubble"
	"github.com/certlink/certlink/internal/teststore"
	"github.com/certlink/certlink/relay/config"
	"github.com/certlink/certlink/relay/hotline"
	"github.com/certlink/certlink/relay/message"
	"github.com/certlink/certlink/relay/notify"
	"github.com/certlink/certlink/relay/report"
	"github.com/certlink/certlink/relay/store"
	"github.com/certlink/certlink/relay/store/sqlite"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const bravo = "bravo.example"

// world is one relay whose store outlives it. It runs in a synctest bubble.
type world struct {
	t      *testing.T
	store  *sqlite.Store
	conf   *config.Config
	engine *Engine
	cancel context.CancelFunc
	done   chan struct{}

	mu sync.Mutex // guards what follows
	// situations are what the hotline says.
	situations []Situation
	acts       []hotline.Act
	// refuse makes Change fail; after is asked when one was made. lead is that of Config.
	refuse error
	lead   func(ctx context.Context, name string, work func(ctx context.Context))
	after  func(hotline.Act)
	told   map[string][]notify.Notification
	fails  map[string]error
	// hangs is a notifier that does not answer.
	hangs  string
	offset time.Duration
}

// Situations implements Line.
func (w *world) Situations(context.Context, string) ([]Situation, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	return append([]Situation(nil), w.situations...), nil
}

// Change implements Line.
func (w *world) Change(ctx context.Context, trustDomain string, do func(store.LineTx) (*store.JournalEntry, error)) error {
	w.mu.Lock()
	refuse := w.refuse
	w.mu.Unlock()
	if refuse != nil {
		return refuse
	}
	var act *hotline.Act
	err := w.store.ChangeLine(ctx, trustDomain, func(tx store.LineTx) error {
		entry, err := do(tx)
		if err != nil || entry == nil {
			return err
		}
		act = &hotline.Act{}
		return json.Unmarshal(entry.Body, act)
	})
	if err == nil && act != nil {
		w.mu.Lock()
		w.acts = append(w.acts, *act)
		after := w.after
		w.mu.Unlock()
		if after != nil {
			after(*act)
		}
	}
	return err
}

// receiver is a notifier of the world.
type receiver struct {
	w    *world
	name string
}

func (r receiver) Close() {}

func (r receiver) Notify(ctx context.Context, n notify.Notification) error {
	r.w.mu.Lock()
	r.w.told[r.name] = append(r.w.told[r.name], n)
	hangs, err := r.w.hangs == r.name, r.w.fails[r.name]
	r.w.mu.Unlock()
	if !hangs {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, notify.Timeout)
	defer cancel()
	<-ctx.Done()
	return ctx.Err()
}

func (w *world) now() time.Time {
	w.mu.Lock()
	defer w.mu.Unlock()
	return time.Now().Add(w.offset)
}

// start a relay on the store.
func (w *world) start() {
	w.t.Helper()
	e, err := New(Config{
		Store: w.store, Line: w, TrustDomain: func() string { return "alfa.example" }, Now: w.now, Lead: w.lead,
		Notifier: func(c config.Notifier) (notify.Notifier, error) { return receiver{w, c.Name}, nil },
	})
	if err != nil {
		w.t.Fatal(err)
	}
	e.Apply(w.conf)
	ctx, cancel := context.WithCancel(w.t.Context())
	done := make(chan struct{})
	go func() {
		_ = e.Run(ctx)
		close(done)
	}()
	w.engine, w.cancel, w.done = e, cancel, done
}

func (w *world) stop() {
	w.cancel()
	<-w.done
}

// wait lets time pass.
func (w *world) wait(d time.Duration) {
	<-time.After(d)
	synctest.Wait()
}

// bubble runs a test over a world with the hotline to-bravo.
func bubble(t *testing.T, name string, h config.Hotline, test func(t *testing.T, w *world)) {
	t.Helper()
	t.Run(name, func(t *testing.T) {
		testbubble.Run(t, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "relay.db")
			teststore.Put(t, path)
			s, err := sqlite.Open(t.Context(), sqlite.Config{Path: path})
			if err != nil {
				t.Fatal(err)
			}
			defer func() { _ = s.Close() }()
			h.Name, h.Peer = "to-bravo", "bravo"
			for i := range h.Notifiers {
				if h.Notifiers[i].Webhook == nil && h.Notifiers[i].Alertmanager == nil {
					h.Notifiers[i].Webhook = &config.NotifyWebhook{}
				}
			}
			w := &world{t: t, store: s, told: map[string][]notify.Notification{}, fails: map[string]error{}, conf: &config.Config{
				Peers: []config.Peer{{Name: "bravo", TrustDomain: bravo}}, Hotlines: []config.Hotline{h},
			}}
			w.start()
			defer func() { w.stop() }()
			test(t, w)
		})
	})
}

// ladder is an escalation with a pager, at once and every ten minutes, and a chief later.
func ladder() config.Hotline {
	return config.Hotline{
		Notifiers: []config.Notifier{{Name: "pager"}, {Name: "chief"}},
		Escalation: []config.Step{
			{Name: "first", Stage: config.StageAcknowledgement, Notify: []string{"pager"}, RepeatSeconds: 600, MaxRepeats: 2},
			{Name: "later", Stage: config.StageAcknowledgement, AfterSeconds: 1800, Notify: []string{"pager", "chief"}},
		},
	}
}

// send stores a message of ours that waits from now on, and is due after a minute.
func (w *world) send(id string) {
	w.t.Helper()
	p := message.Message{ID: id, Kind: message.Inquiry, Precedence: "FLASH", TLP: "AMBER", Subject: "secret subject", Text: "secret text"}
	raw, err := json.Marshal(p)
	if err != nil {
		w.t.Fatal(err)
	}
	m, err := w.store.Enqueue(w.t.Context(), bravo, func(int64) (store.Message, error) {
		return store.Message{ID: id, Conversation: id, Kind: "INQUIRY", Precedence: "FLASH", Payload: raw, CreatedAt: time.Now()}, nil
	})
	if err != nil {
		w.t.Fatal(err)
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	w.situations = append(w.situations, Situation{
		Direction: store.Out, Message: id, Stage: config.StageAcknowledgement, Precedence: "FLASH", Deadline: m.StoredAt.Add(time.Minute),
	})
}

// acknowledge stores the peer's acknowledgement of all messages.
func (w *world) acknowledge(ids ...string) {
	w.t.Helper()
	for i, id := range ids {
		ack := store.Message{Peer: bravo, ID: fmt.Sprint("ACK-", id), Serial: int64(1000 + i), Kind: "ACK", InReplyTo: id, Precedence: "FLASH", Payload: []byte(id)}
		if _, _, err := w.store.Accept(w.t.Context(), ack); err != nil {
			w.t.Fatal(err)
		}
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	w.situations = nil
}

// receive stores a message of the peer.
func (w *world) receive(id string, serial int64, precedence, tlp string) {
	w.t.Helper()
	raw, err := json.Marshal(message.Message{ID: id, Kind: message.Notification, Precedence: precedence, TLP: tlp, Subject: "secret subject", Text: "secret text"})
	if err != nil {
		w.t.Fatal(err)
	}
	m := store.Message{Peer: bravo, ID: id, Serial: serial, Conversation: id, Kind: "NOTIFICATION", Precedence: precedence, Payload: raw, CreatedAt: time.Now()}
	if _, _, err := w.store.Accept(w.t.Context(), m); err != nil {
		w.t.Fatal(err)
	}
}

// heard are the notifications that a notifier got.
func (w *world) heard(name string) []notify.Notification {
	w.mu.Lock()
	defer w.mu.Unlock()
	return slices.Clone(w.told[name])
}

// fail makes a notifier fail, or not any more.
func (w *world) fail(name string, err error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.fails[name] = err
}

// full makes changes of the store fail, or not any more.
func (w *world) full(full bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.refuse = nil; full {
		w.refuse = fmt.Errorf("storing: %w", store.ErrFull)
	}
}

// got is what a notifier was told, in short.
func (w *world) got(name string) []string {
	w.mu.Lock()
	defer w.mu.Unlock()
	var out []string
	for _, n := range w.told[name] {
		for _, i := range n.Items {
			text := string(n.Event) + " " + i.Message
			if i.Step != "" {
				text += fmt.Sprintf(" %s/%d", i.Step, i.Occurrence)
			}
			out = append(out, text)
		}
	}
	return out
}

func (w *world) did() []string {
	w.mu.Lock()
	defer w.mu.Unlock()
	var out []string
	for _, a := range w.acts {
		out = append(out, a.Name+" "+a.Message)
	}
	return out
}

func (w *world) report() *report.Escalation {
	w.t.Helper()
	list := []report.Hotline{{Name: "to-bravo"}}
	if err := w.engine.Complete(w.t.Context(), list); err != nil {
		w.t.Fatal(err)
	}
	return list[0].Escalation
}

var errDown = errors.New("the server is down")
