// SPDX-FileCopyrightText: The certlink authors
// SPDX-License-Identifier: Apache-2.0

package exercise

import (
	"context"
	"crypto"
	"crypto/x509"
	"errors"
	"path/filepath"
	"testing"
	"time"

	"github.com/go-json-experiment/json"
	"github.com/spiffe/go-spiffe/v2/bundle/x509bundle"
	"github.com/spiffe/go-spiffe/v2/spiffeid"
	"go.uber.org/goleak"

	"github.com/certlink/certlink/internal/testca"
	"github.com/certlink/certlink/relay/config"
	"github.com/certlink/certlink/relay/desk"
	"github.com/certlink/certlink/relay/message"
	"github.com/certlink/certlink/relay/receipt"
	"github.com/certlink/certlink/relay/store"
	"github.com/certlink/certlink/relay/store/sqlite"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

type signer testca.Pair

func (s signer) SigningChain() ([]*x509.Certificate, crypto.Signer) { return s.Chain, s.Key }

// stage is an engine whose messages go into a store and whose clock is set by hand.
type stage struct {
	t      *testing.T
	store  *sqlite.Store
	engine *Engine
	now    time.Time
	fails  bool
	// refused is the answer to who would begin a drill.
	refused error
	sent    []string
	ca      *testca.CA
	vouch   *x509bundle.Set
}

func setup(t *testing.T) *stage {
	t.Helper()
	s := &stage{t: t, now: time.Date(2026, 3, 4, 12, 0, 0, 0, time.UTC)}
	var err error
	s.store, err = sqlite.Open(t.Context(), sqlite.Config{Path: filepath.Join(t.TempDir(), "relay.db"), Now: func() time.Time { return s.now }})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.store.Close() })
	s.ca = testca.New(t, "alfa.example", testca.Options{NotBefore: s.now.AddDate(-1, 0, 0)})
	pair := s.ca.Leaf(t, testca.Leaf{Path: "/signing", NotBefore: s.now.AddDate(-1, 0, 0), NotAfter: s.now.AddDate(1, 0, 0)})
	s.vouch = x509bundle.NewSet()
	s.trust(s.ca)
	s.engine, err = New(Config{
		Store: s.store,
		Change: func(ctx context.Context, peer string, do func(store.LineTx) (*store.JournalEntry, error)) error {
			return s.store.ChangeLine(ctx, peer, func(tx store.LineTx) error { _, err := do(tx); return err })
		},
		May: func(_ context.Context, officer string, _ []desk.SendRequest) (string, string, error) {
			return "", officer, s.refused
		},
		Act:      func(string, string, time.Time, map[string]string) (*store.JournalEntry, error) { return nil, nil },
		Send:     s.send,
		Identity: func() receipt.Signer { return signer(pair) },
		Verifier: func() receipt.Verifier { return s.vouch },
		Now:      func() time.Time { return s.now },
	})
	if err != nil {
		t.Fatal(err)
	}
	s.engine.Apply(&config.Config{
		Identity: config.Identity{TrustDomain: "alfa.example"}, Peers: []config.Peer{{Name: "bravo", TrustDomain: "bravo.example"}},
		Hotlines: []config.Hotline{{Name: "to-bravo", Peer: "bravo"}},
	})
	return s
}

func (s *stage) trust(ca *testca.CA) {
	s.vouch.Add(x509bundle.FromX509Authorities(spiffeid.RequireTrustDomainFromString(ca.TrustDomain), []*x509.Certificate{ca.Root}))
}

func (s *stage) send(ctx context.Context, r desk.SendRequest) (desk.Message, bool, error) {
	if s.fails {
		return desk.Message{}, false, store.ErrFull
	}
	m := message.Message{Exercise: r.Exercise, RSIT: r.RSIT, Subject: r.Subject}
	if _, reason := Mark(&m, r.Exercise, true); reason != "" {
		s.t.Error(reason)
	}
	payload, err := json.Marshal(m)
	if err != nil {
		return desk.Message{}, false, err
	}
	_, err = s.store.Enqueue(ctx, "bravo.example", func(int64) (store.Message, error) {
		return store.Message{ID: r.ID, Conversation: r.Conversation, Kind: r.Kind, Precedence: r.Precedence, Payload: payload, CreatedAt: s.now}, nil
	})
	if err == nil {
		s.sent = append(s.sent, m.Subject)
	}
	return desk.Message{}, true, err
}

func TestADrillIsSentStepByStepOnceAndMeasured(t *testing.T) {
	s := setup(t)
	request := desk.ExerciseRequest{Script: springDrill, Officer: "Ada"}
	if _, err := s.engine.StartExercise(t.Context(), "to-bravo", request); err != nil {
		t.Fatal(err)
	}
	s.fails = true // the disk is full for a while
	s.engine.round(t.Context())
	s.fails = false
	for range 3 {
		s.engine.round(t.Context())
	}
	if len(s.sent) != 2 { // the announcement and the first step
		t.Fatalf("sent %q", s.sent)
	}
	s.now = s.now.Add(time.Minute)
	s.engine.round(t.Context())
	s.engine.round(t.Context())
	if len(s.sent) != 3 {
		t.Fatalf("sent %q", s.sent)
	}
	r, err := s.engine.StartExercise(t.Context(), "to-bravo", request)
	if err != nil || len(r.Steps) != 2 || len(s.sent) != 3 {
		t.Fatalf("beginning again: %+v, %v", r, err)
	}
	if err := s.store.ChangeLine(t.Context(), "bravo.example", func(tx store.LineTx) error {
		return tx.PutReceipts(store.Receipt{ID: r.Steps[0].Message, Body: []byte("r"), At: s.now.Add(-50 * time.Second)})
	}); err != nil {
		t.Fatal(err)
	}
	s.now = s.now.Add(301 * time.Second)
	r, err = s.engine.ExerciseReport(t.Context(), "to-bravo", "spring")
	if err != nil {
		t.Fatal(err)
	}
	if r.Steps[0].ReceiptKept != "Yes" || r.Steps[1].AckKept != "No" || r.Steps[1].AnswerKept != "Waits" || r.Steps[1].ReceiptKept != "" || r.JWS == "" {
		t.Errorf("measured %+v", r.Steps)
	}
	if name, err := s.store.ExerciseOf(t.Context(), "bravo.example", r.Conversation); err != nil || name != "spring" {
		t.Errorf("the conversation belongs to %q, %v", name, err)
	}
}

func TestWhoMayNotBeginADrillLeavesNothing(t *testing.T) {
	s := setup(t)
	s.refused = &desk.ForbiddenError{Reason: "no"}
	_, err := s.engine.StartExercise(t.Context(), "to-bravo", desk.ExerciseRequest{Script: springDrill, Officer: "Ada"})
	if !errors.Is(err, s.refused) {
		t.Errorf("error is %v", err)
	}
	s.engine.round(t.Context())
	if _, err := s.engine.read(t.Context(), "bravo.example", "spring"); !errors.Is(err, store.ErrNotFound) || len(s.sent) != 0 {
		t.Errorf("error is %v, sent %q", err, s.sent)
	}
}

func TestANameIsUsedOnce(t *testing.T) {
	s := setup(t)
	if _, err := s.engine.StartExercise(t.Context(), "to-bravo", desk.ExerciseRequest{Script: springDrill, Officer: "Ada"}); err != nil {
		t.Fatal(err)
	}
	_, err := s.engine.StartExercise(t.Context(), "to-bravo", desk.ExerciseRequest{Script: "name: spring\nsteps:\n- {subject: a, text: b}", Officer: "Ada"})
	if !errors.Is(err, store.ErrConflict) {
		t.Errorf("error is %v", err)
	}
	if _, err := s.engine.StartExercise(t.Context(), "to-charlie", desk.ExerciseRequest{Script: springDrill, Officer: "Ada"}); !errors.Is(err, store.ErrNotFound) {
		t.Errorf("error is %v", err)
	}
	_, err = s.engine.StartExercise(t.Context(), "to-bravo", desk.ExerciseRequest{Script: "x", Officer: "Ada"})
	if _, ok := errors.AsType[*desk.InvalidError](err); !ok {
		t.Errorf("error is %v", err)
	}
}
