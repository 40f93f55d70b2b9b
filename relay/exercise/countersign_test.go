// SPDX-FileCopyrightText: The certlink authors
// SPDX-License-Identifier: Apache-2.0

package exercise

import (
	"context"
	"crypto"
	"crypto/x509"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/go-json-experiment/json"

	"github.com/certlink/certlink/internal/testca"
	"github.com/certlink/certlink/relay/config"
	"github.com/certlink/certlink/relay/desk"
	"github.com/certlink/certlink/relay/message"
	"github.com/certlink/certlink/relay/receipt"
	"github.com/certlink/certlink/relay/store"
)

type late func() ([]*x509.Certificate, crypto.Signer)

func (s late) SigningChain() ([]*x509.Certificate, crypto.Signer) { return s() }

// opposite makes the stage of the other side: bravo, who received the drill of alfa.
func opposite(t *testing.T, alfa *stage) *stage {
	t.Helper()
	bravo := setup(t)
	ca := testca.New(t, "bravo.example", testca.Options{NotBefore: bravo.now.AddDate(-1, 0, 0)})
	pair := ca.Leaf(t, testca.Leaf{Path: "/signing", NotBefore: bravo.now.AddDate(-1, 0, 0), NotAfter: bravo.now.AddDate(1, 0, 0)})
	bravo.engine.cfg.Identity = func() receipt.Signer {
		return late(func() ([]*x509.Certificate, crypto.Signer) { return pair.Chain, pair.Key })
	}
	bravo.trust(ca)
	bravo.trust(alfa.ca)
	alfa.trust(ca)
	bravo.engine.Apply(&config.Config{
		Identity: config.Identity{TrustDomain: "bravo.example"}, Peers: []config.Peer{{Name: "alfa", TrustDomain: "alfa.example"}},
		Hotlines: []config.Hotline{{Name: "to-alfa", Peer: "alfa"}},
	})
	return bravo
}

// arrive stores a step at its receiver, and the receipt at its sender.
func arrive(t *testing.T, alfa, bravo *stage, id string, serial int64, claimed time.Time) {
	t.Helper()
	bravo.now = alfa.now
	payload, err := json.Marshal(message.Message{ID: id, Conversation: Conversation + "spring", Exercise: "spring", RSIT: message.TestCode})
	if err != nil {
		t.Fatal(err)
	}
	if err := bravo.store.ChangeLine(t.Context(), "alfa.example", func(tx store.LineTx) error {
		_, _, err := tx.Accept(store.Message{Direction: store.In, Peer: "alfa.example", ID: id, Serial: serial, Conversation: Conversation + "spring", Kind: "NOTIFICATION", Precedence: "ROUTINE", Payload: payload, CreatedAt: alfa.now, StoredAt: alfa.now,
			ReceiptAt: alfa.now, Signed: []byte("s"), Receipt: []byte("r")})
		return errors.Join(err, tx.PutExercise(Conversation+"spring", "spring"))
	}); err != nil {
		t.Fatal(err)
	}
	if err := alfa.store.ChangeLine(t.Context(), "bravo.example", func(tx store.LineTx) error {
		return tx.PutReceipts(store.Receipt{ID: id, Body: []byte("r"), At: claimed})
	}); err != nil {
		t.Fatal(err)
	}
}

func TestBothSidesSignTheReportOfADrill(t *testing.T) {
	for name, lie := range map[string]time.Duration{"agreed": 0, "with_a_receipt_of_another_time": time.Minute} {
		t.Run(name, func(t *testing.T) {
			alfa := setup(t)
			bravo := opposite(t, alfa)
			posts, down := 0, true
			alfa.engine.cfg.Post = func(ctx context.Context, peer, path string, signed []byte) ([]byte, error) {
				posts++
				if down {
					return nil, errors.New("no path")
				}
				answer, err := bravo.engine.TakeReport(ctx, "alfa.example", signed)
				again, _ := bravo.engine.TakeReport(ctx, "alfa.example", signed)
				if string(again) != string(answer) || peer != "bravo.example" || path != PathReport {
					t.Errorf("a repeated report to %s%s gets another answer", peer, path)
				}
				return answer, err
			}
			report, err := alfa.engine.StartExercise(t.Context(), "to-bravo", desk.ExerciseRequest{Script: springDrill, Officer: "Ada"})
			if err != nil {
				t.Fatal(err)
			}
			alfa.engine.round(t.Context())
			arrive(t, alfa, bravo, report.Steps[0].Message, 1, alfa.now.Add(lie))
			alfa.now = alfa.now.Add(time.Minute)
			alfa.engine.round(t.Context())
			arrive(t, alfa, bravo, report.Steps[1].Message, 2, alfa.now)
			alfa.engine.round(t.Context())
			if posts > 0 {
				t.Error("a drill that goes on is reported")
			}
			alfa.now = alfa.now.Add(16 * time.Minute)
			for range 3 {
				alfa.engine.round(t.Context())
			}
			if posts != 1 {
				t.Errorf("the peer that is down was asked %d times at once", posts)
			}
			down, alfa.now = false, alfa.now.Add(settleEvery)
			bravo.now = alfa.now
			alfa.engine.round(t.Context())
			ours, err := alfa.engine.ExerciseReport(t.Context(), "to-bravo", "spring")
			if err != nil || ours.Countersignature == nil {
				t.Fatalf("%+v, %v", ours, err)
			}
			if c := ours.Countersignature; c.Agreed != (lie == 0) || c.By != "bravo.example" || c.JWS == "" || (lie != 0) != strings.Contains(strings.Join(c.Differences, ""), "step 1, stored") {
				t.Errorf("countersigned %+v", c)
			}
			theirs, err := bravo.engine.ExerciseReport(t.Context(), "to-alfa", "spring")
			if err != nil || theirs.JWS != ours.JWS || theirs.Countersignature == nil || theirs.By != "alfa.example" {
				t.Errorf("the other side shows %+v, %v", theirs, err)
			}
		})
	}
}

func TestAReportOfAPeerThatLiesIsRefused(t *testing.T) {
	alfa := setup(t)
	bravo := opposite(t, alfa)
	good := desk.ExerciseReport{Name: "spring", By: "alfa.example", Peer: "bravo.example", Conversation: Conversation + "spring"}
	for name, spoil := range map[string]func(*desk.ExerciseReport){
		"of_a_drill_that_never_was": func(*desk.ExerciseReport) {},
		"of_somebody_else":          func(r *desk.ExerciseReport) { r.By = "charlie.example" },
		"with_somebody_else":        func(r *desk.ExerciseReport) { r.Peer = "charlie.example" },
		"of_a_real_conversation":    func(r *desk.ExerciseReport) { r.Conversation = "real" },
		"without_end":               func(r *desk.ExerciseReport) { r.Steps = make([]desk.ExerciseStep, MaxSteps+1) },
	} {
		r := good
		spoil(&r)
		payload, err := json.Marshal(r)
		if err != nil {
			t.Fatal(err)
		}
		signed, err := receipt.Sign(alfa.engine.cfg.Identity(), TypeReport, payload)
		if err != nil {
			t.Fatal(err)
		}
		_, err = bravo.engine.TakeReport(t.Context(), "alfa.example", signed)
		if _, ok := errors.AsType[*desk.InvalidError](err); !ok {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// renew gives a stage a certificate that lasts a month.
func (s *stage) renew(t *testing.T, ca *testca.CA) {
	t.Helper()
	pair := ca.Leaf(t, testca.Leaf{Path: "/signing", NotBefore: s.now.Add(-time.Hour), NotAfter: s.now.AddDate(0, 1, 0)})
	s.engine.cfg.Identity = func() receipt.Signer { return signer(pair) }
}

// The peer is away for months: the report was signed for good by a certificate that has ended since,
// and so was its countersignature, whose answer was lost.
func TestAReportIsCountersignedThoughWhatSignedItHasEnded(t *testing.T) {
	alfa := setup(t)
	bravo := opposite(t, alfa)
	theirs := testca.New(t, "bravo.example", testca.Options{NotBefore: bravo.now.AddDate(-1, 0, 0)})
	alfa.trust(theirs)
	alfa.renew(t, alfa.ca)
	bravo.renew(t, theirs)
	away, lost := errors.New("no path"), true
	alfa.engine.cfg.Post = func(ctx context.Context, _, _ string, signed []byte) ([]byte, error) {
		if away != nil {
			return nil, away
		}
		answer, err := bravo.engine.TakeReport(ctx, "alfa.example", signed)
		if lost {
			return nil, errors.New("the answer is lost")
		}
		return answer, err
	}
	report, err := alfa.engine.StartExercise(t.Context(), "to-bravo", desk.ExerciseRequest{Script: springDrill, Officer: "Ada"})
	if err != nil {
		t.Fatal(err)
	}
	alfa.engine.round(t.Context())
	arrive(t, alfa, bravo, report.Steps[0].Message, 1, alfa.now)
	alfa.now = alfa.now.Add(time.Minute)
	alfa.engine.round(t.Context())
	arrive(t, alfa, bravo, report.Steps[1].Message, 2, alfa.now)
	alfa.now = alfa.now.Add(16 * time.Minute)
	alfa.engine.round(t.Context()) // signs it for good
	for range 3 {
		alfa.now = alfa.now.AddDate(0, 3, 0)
		bravo.now = alfa.now
		alfa.renew(t, alfa.ca)
		bravo.renew(t, theirs)
		alfa.engine.round(t.Context())
		if away != nil {
			away = nil
		} else {
			lost = false
		}
	}
	for hotline, s := range map[string]*stage{"to-bravo": alfa, "to-alfa": bravo} {
		r, err := s.engine.ExerciseReport(t.Context(), hotline, "spring")
		if err != nil || r.Countersignature == nil || !r.Countersignature.Agreed {
			t.Errorf("%s shows %+v, %v", hotline, r, err)
		}
	}
}
