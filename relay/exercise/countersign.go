// SPDX-FileCopyrightText: The certlink authors
// SPDX-License-Identifier: Apache-2.0

package exercise

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/certlink/certlink/relay/desk"
	"github.com/certlink/certlink/relay/link"
	"github.com/certlink/certlink/relay/receipt"
	"github.com/certlink/certlink/relay/store"
)

const (
	// PathReport on the link port takes the report of a drill of the peer, and answers with
	// our countersignature.
	PathReport = link.PathHotline + "exercises/report"
	// TypeCountersignature is the typ of a countersignature of a report.
	TypeCountersignature = "certlink-exercise-countersignature"

	kindReport  = "exercise-report"
	partOurs    = "ours"
	partTheirs  = "theirs"
	partCounter = "-countersigned"

	// maxReport is the longest report; patience is how long a receipt is waited for before a
	// report is made without it; tolerance is how far times of one clock may lie apart, as
	// they are rounded on their way.
	maxReport = 96 << 10
	patience  = 24 * time.Hour
	// settleEvery is the pause between two attempts to have a report countersigned, and
	// settleTimeout bounds one: the steps of other drills wait for it.
	settleEvery   = 5 * time.Minute
	settleTimeout = 20 * time.Second
	tolerance     = time.Second
)

// whole tells whether nothing more of a drill is waited for.
func whole(r *desk.ExerciseReport) bool {
	for _, s := range r.Steps {
		if s.Sent.IsZero() || s.ReceiptKept == "Waits" || s.AckKept == "Waits" || s.AnswerKept == "Waits" {
			return false
		}
		if s.Receipt.IsZero() && r.At.Before(s.Sent.Add(patience)) {
			return false
		}
	}
	return true
}

// settle has the report of a drill that is over countersigned by the peer.
//
//  1. our report, signed and stored for good       crash: it goes to the peer next time
//  2. it goes to the peer, which stores it with its countersignature, and answers with that
//  3. that is verified and stored                   crash before: 2 is repeated, with the same answer
func (e *Engine) settle(ctx context.Context, peer string, d *drill) error {
	if _, err := e.cfg.Store.GetLineRecord(ctx, peer, kindReport, d.Name, partOurs+partCounter); !errors.Is(err, store.ErrNotFound) || e.cfg.Post == nil {
		return err
	}
	now := e.cfg.Now()
	if now.Sub(e.tried[d.id(-1)]).Abs() < settleEvery {
		return nil
	}
	ctx, cancel := context.WithTimeout(ctx, settleTimeout)
	defer cancel()
	signed, err := e.final(ctx, peer, d)
	if err != nil || signed == nil {
		return err
	}
	e.tried[d.id(-1)] = now
	payload, err := receipt.Content(signed)
	if err != nil {
		return err
	}
	leaving, err := receipt.Sign(e.cfg.Identity(), TypeReport, payload) // the certificate that signed it first may have ended
	if err != nil {
		return err
	}
	answer, err := e.cfg.Post(ctx, peer, PathReport, leaving)
	if err != nil {
		return fmt.Errorf("having the report countersigned: %w", err)
	}
	opened, err := receipt.Open(e.cfg.Verifier(), TypeCountersignature, answer, e.cfg.Now())
	if err != nil {
		return fmt.Errorf("verifying the countersignature of the report: %w", err)
	}
	var c desk.ExerciseCountersignature
	if err := json.Unmarshal(opened.Payload, &c); err != nil || opened.TrustDomain != peer || c.By != peer || c.ReportSHA256 != digest(payload) ||
		c.Agreed != (len(c.Differences) == 0) || len(c.Differences) > 4*MaxSteps {
		return fmt.Errorf("verifying the countersignature of the report: it is not one of this report by %s", peer)
	}
	return e.keep(ctx, peer, d.Name, partOurs+partCounter, answer)
}

// final returns our report, signed for good; nil while the drill goes on.
func (e *Engine) final(ctx context.Context, peer string, d *drill) ([]byte, error) {
	stored, err := e.cfg.Store.GetLineRecord(ctx, peer, kindReport, d.Name, partOurs)
	if !errors.Is(err, store.ErrNotFound) {
		return stored.Content, err
	}
	r, err := e.measured(ctx, peer, d)
	if err != nil || !whole(&r) {
		return nil, err
	}
	return []byte(r.JWS), e.keep(ctx, peer, d.Name, partOurs, []byte(r.JWS))
}

// keep stores a statement about a drill for good, with its act. It is repeatable, also with the
// same signed anew: the first one stays.
func (e *Engine) keep(ctx context.Context, peer, name, part string, signed []byte) error {
	stored, err := e.cfg.Store.GetLineRecord(ctx, peer, kindReport, name, part)
	if err == nil && sameContent(stored.Content, signed) || err != nil && !errors.Is(err, store.ErrNotFound) {
		return err
	}
	return e.cfg.Change(ctx, peer, func(tx store.LineTx) (*store.JournalEntry, error) {
		if err := tx.PutLineRecord(store.LineRecord{Kind: kindReport, Name: name, Part: part, Content: signed, Final: true}); err != nil {
			return nil, err
		}
		return e.cfg.Act("EXERCISE_REPORTED", "", e.cfg.Now(), map[string]string{"exercise": name, "part": part, "sha256": digest(signed)})
	})
}

func sameContent(a, b []byte) bool {
	x, err := receipt.Content(a)
	y, other := receipt.Content(b)
	return err == nil && other == nil && bytes.Equal(x, y)
}

func invalid(format string, args ...any) error {
	return &desk.InvalidError{Faults: []desk.Fault{{Field: "report", Reason: fmt.Sprintf(format, args...)}}}
}

// TakeReport takes the report of a drill of a peer, and returns our countersignature: that
// it agrees with what we stored and said, or where it does not. The first one counts; a
// repeated one gets the same answer.
func (e *Engine) TakeReport(ctx context.Context, peer string, signed []byte) ([]byte, error) {
	r, payload, err := e.openReport(peer, signed)
	if err != nil {
		return nil, err
	}
	if of, err := e.cfg.Store.ExerciseOf(ctx, peer, r.Conversation); err != nil || of != r.Name {
		return nil, errors.Join(err, invalid("there is no exercise %q here", r.Name))
	}
	if c, err := e.cfg.Store.GetLineRecord(ctx, peer, kindReport, r.Name, partTheirs+partCounter); err == nil {
		if said, err := countersignature(c.Content); err != nil || said.ReportSHA256 != digest(payload) {
			return nil, fmt.Errorf("another report of %q is countersigned: %w", r.Name, store.ErrConflict)
		}
		return e.leaving(c.Content)
	} else if !errors.Is(err, store.ErrNotFound) {
		return nil, err
	}
	differences, err := e.differences(ctx, peer, &r)
	if err != nil {
		return nil, err
	}
	said, err := json.Marshal(desk.ExerciseCountersignature{
		Exercise: r.Name, ReportSHA256: digest(payload), By: r.Peer, At: e.cfg.Now().UTC().Truncate(time.Second),
		Agreed: len(differences) == 0, Differences: differences,
	})
	if err != nil {
		return nil, err
	}
	counter, err := receipt.Sign(e.cfg.Identity(), TypeCountersignature, said)
	if err != nil {
		return nil, err
	}
	if err := e.keep(ctx, peer, r.Name, partTheirs, signed); err != nil {
		return nil, err
	}
	return counter, e.keep(ctx, peer, r.Name, partTheirs+partCounter, counter)
}

// leaving is a countersignature of ours that is stored, by our present certificate: the one that
// signed it may have ended while the peer did not hear of it.
func (e *Engine) leaving(counter []byte) ([]byte, error) {
	payload, err := receipt.Content(counter)
	if err != nil {
		return nil, err
	}
	return receipt.Sign(e.cfg.Identity(), TypeCountersignature, payload)
}

// openReport verifies and bounds what a peer says of its drill.
func (e *Engine) openReport(peer string, signed []byte) (r desk.ExerciseReport, payload []byte, err error) {
	opened, err := receipt.Open(e.cfg.Verifier(), TypeReport, signed, e.cfg.Now())
	if err != nil {
		return r, nil, invalid("the signature is refused: %v", err)
	}
	if len(opened.Payload) > maxReport {
		return r, nil, invalid("has more than %d bytes", maxReport)
	}
	if err := json.Unmarshal(opened.Payload, &r); err != nil {
		return r, nil, invalid("is none")
	}
	e.mu.Lock()
	own := e.own
	e.mu.Unlock()
	if opened.TrustDomain != peer || r.By != peer || r.Peer != own || len(r.Steps) > MaxSteps || !nameShape.MatchString(r.Name) || r.Conversation != Conversation+r.Name {
		return r, nil, invalid("must be of a drill of %s with us", peer)
	}
	return r, opened.Payload, nil
}

// differences compares the report of a peer with what we stored and said.
func (e *Engine) differences(ctx context.Context, peer string, r *desk.ExerciseReport) (list []string, err error) {
	for i, s := range r.Steps {
		m, err := e.cfg.Store.GetMessage(ctx, store.In, peer, s.Message)
		if err != nil && !errors.Is(err, store.ErrNotFound) {
			return nil, err
		}
		if m.Conversation != r.Conversation {
			m = store.Message{}
		}
		for _, t := range []struct {
			what       string
			said, here time.Time
		}{{"stored", s.Receipt, m.StoredAt}, {"acknowledged", s.Acknowledged, m.AcknowledgedAt}} {
			if apart := t.said.Sub(t.here).Abs(); apart > tolerance {
				list = append(list, fmt.Sprintf("step %d, %s: the report says %s, we say %s", i+1, t.what, told(t.said), told(t.here)))
			}
		}
	}
	return list, nil
}

func told(t time.Time) string {
	if t.IsZero() {
		return "never"
	}
	return t.UTC().Format(time.RFC3339)
}

func countersignature(signed []byte) (c desk.ExerciseCountersignature, err error) {
	payload, err := receipt.Content(signed)
	if err == nil {
		err = json.Unmarshal(payload, &c)
	}
	c.JWS = string(signed)
	return c, err
}

// stored is the final report of a drill of ours or of the peer with its countersignature;
// nil while there is none.
func (e *Engine) stored(ctx context.Context, peer, name, part string) (*desk.ExerciseReport, error) {
	signed, err := e.cfg.Store.GetLineRecord(ctx, peer, kindReport, name, part)
	if errors.Is(err, store.ErrNotFound) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	payload, err := receipt.Content(signed.Content)
	if err != nil {
		return nil, err
	}
	var r desk.ExerciseReport
	if err := json.Unmarshal(payload, &r); err != nil {
		return nil, fmt.Errorf("reading the report of %q: %w", name, err)
	}
	r.JWS = string(signed.Content)
	counter, err := e.cfg.Store.GetLineRecord(ctx, peer, kindReport, name, part+partCounter)
	if errors.Is(err, store.ErrNotFound) {
		return &r, nil
	}
	if err != nil {
		return nil, err
	}
	c, err := countersignature(counter.Content)
	r.Countersignature = &c
	return &r, err
}

func digest(raw []byte) string {
	sum := sha256.Sum256(raw)
	return hex.EncodeToString(sum[:])
}
