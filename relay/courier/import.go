// SPDX-FileCopyrightText: The certlink authors
// SPDX-License-Identifier: Apache-2.0

package courier

import (
	"context"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/certlink/certlink/relay/receipt"
	"github.com/certlink/certlink/relay/seal"
	"github.com/certlink/certlink/relay/store"
)

// looseLimits bound the attachments of one peer that no message names, while a set is
// taken in.
var looseLimits = store.AttachmentLimits{Bytes: 4 << 30, Count: 4096}

// maxAge is how far in the past a set may have been signed, as keys are kept no longer.
const maxAge = 400 * 24 * time.Hour

// ForeignError says why a set is not for us: it is for others, or of nobody we have a hotline with.
type ForeignError struct{ Reason string }

func (e *ForeignError) Error() string { return "it is not for us: " + e.Reason }

// ErrOwn: we made the set ourselves. It is often on the medium that brings the answers.
var ErrOwn = errors.New("our own relay made it, for the peer")

// Check reads a set to its end and verifies all of it; it changes nothing.
func (e *Engine) Check(ctx context.Context, from string, r io.Reader) (Summary, error) {
	return e.read(ctx, from, r, func(byte, []byte) error { return nil })
}

// Import takes a set in that Check found good. by is who asked. What is refused is in
// the summary; an error means that the set is not as Check found it, or that our own
// relay has a fault, and the set is to be taken in again.
//
//  1. Attachments, then each batch: stored, with our answer. A crash leaves a part of the
//     set taken in; taking it in again stores the rest.
//  2. Answers: receipts are stored.
//  3. The act is journalled. A crash before leaves none; taking the set in again writes it.
func (e *Engine) Import(ctx context.Context, from, by string, r io.Reader) (Summary, error) {
	i := &importing{engine: e, from: from, broken: map[store.Hash]string{}}
	s, err := e.read(ctx, from, r, func(kind byte, content []byte) error { return i.take(ctx, kind, content) })
	s.Refused = i.summary.Refused
	if err != nil {
		return s, err
	}
	return s, e.record(ctx, ActImported, by, s)
}

// read opens a set and gives each record to take.
func (e *Engine) read(ctx context.Context, from string, r io.Reader, take func(kind byte, content []byte) error) (Summary, error) {
	identity := e.cfg.Identity()
	s := Summary{From: from, To: identity.TrustDomain()}
	if from == s.To {
		return s, ErrOwn
	}
	if !e.known(from) {
		return s, &ForeignError{Reason: fmt.Sprintf("we have no hotline to %q", from)}
	}
	opened, err := e.open(ctx, envelope(from, s.To), r)
	if err != nil {
		return s, err
	}
	records := &reader{from: opened, sum: newSums()}
	kind, content, err := records.next()
	if err != nil {
		return s, err
	}
	begin, err := e.statement(identity, kind, recordHeader, content, s)
	if err != nil {
		return s, err
	}
	s.Set, s.At = begin.Set, begin.At
	files := map[string]bool{}
	for {
		if err := ctx.Err(); err != nil {
			return s, err
		}
		if kind, content, err = records.next(); err != nil {
			return s, err
		}
		if kind == recordEnd {
			break
		}
		if err := s.count(kind, content, files); err != nil {
			return s, err
		}
		if err := take(kind, content); err != nil {
			return s, err
		}
	}
	end, err := e.statement(identity, kind, recordEnd, content, s)
	if err != nil {
		return s, err
	}
	if end.Set != s.Set || end.Records != records.records-1 || end.SHA256 != records.before {
		return s, fmt.Errorf("what its sender signed is something else: %w", ErrDamaged)
	}
	s.Messages = end.Messages
	return s, records.rest()
}

// maxFiles is how many attachments a set may have: four times those of store.MaxMessages messages.
const maxFiles = 64 * store.MaxMessages

func (s *Summary) count(kind byte, content []byte, files map[string]bool) error {
	s.Bytes += int64(len(content))
	switch kind {
	case recordBatch:
		s.Batches++
	case recordAnswer:
		s.Answers++
	case recordAttachment:
		if len(content) >= 32 {
			files[string(content[:32])] = true
			s.Attachments = len(files)
		}
	}
	if len(files) > maxFiles {
		return fmt.Errorf("it has more than %d attachments: %w", maxFiles, ErrDamaged)
	}
	return nil
}

func (e *Engine) open(ctx context.Context, envelope seal.Envelope, r io.Reader) (io.Reader, error) {
	begin := make([]byte, seal.StreamKeyBytes)
	if _, err := io.ReadFull(r, begin); err != nil {
		return nil, early(err)
	}
	id, ok := seal.KeyOfStream(begin)
	if !ok {
		return nil, fmt.Errorf("it is no sealed set: %w", ErrDamaged)
	}
	opened, err := seal.NewReader(e.cfg.Keys.Private(ctx, id), envelope, io.MultiReader(&once{begin}, r))
	if errors.Is(err, seal.ErrNotForUs) {
		return nil, &ForeignError{Reason: fmt.Sprintf("it is sealed to a key (%s) that our relay never had, or made more than 400 days ago", id)}
	}
	if err != nil {
		return nil, damaged(err)
	}
	return &opening{opened}, nil
}

// once reads bytes.
type once struct{ left []byte }

func (o *once) Read(p []byte) (int, error) {
	if len(o.left) == 0 {
		return 0, io.EOF
	}
	n := copy(p, o.left)
	o.left = o.left[n:]
	return n, nil
}

// opening names what does not open as damage.
type opening struct{ r io.Reader }

func (o *opening) Read(p []byte) (int, error) {
	n, err := o.r.Read(p)
	return n, damaged(err)
}

func damaged(err error) error {
	if errors.Is(err, seal.ErrRefused) || errors.Is(err, seal.ErrMalformed) {
		return fmt.Errorf("%w: %w", err, ErrDamaged)
	}
	return err
}

// statement verifies the beginning or the end. It is judged by the time at which it says
// that it was signed: a certificate may end while a courier travels. That time is not
// before the certificate was issued, and no later than now.
func (e *Engine) statement(identity Identity, kind, want byte, jws []byte, s Summary) (Statement, error) {
	if kind != want {
		return Statement{}, fmt.Errorf("its records are not in order: %w", ErrDamaged)
	}
	payload, err := receipt.Content(jws) // to learn its time; it is verified below
	if err != nil {
		return Statement{}, fmt.Errorf("%w: %w", err, ErrDamaged)
	}
	var st Statement
	if err := json.Unmarshal(payload, &st); err != nil {
		return Statement{}, fmt.Errorf("its statement is no JSON: %w", ErrDamaged)
	}
	now := e.cfg.Now()
	if st.At.After(now.Add(24*time.Hour)) || st.At.Before(now.Add(-maxAge)) {
		return st, &ForeignError{Reason: fmt.Sprintf("it was made on %s, which is too far from our own time", st.At.Format(time.DateOnly))}
	}
	opened, err := receipt.Open(identity, TypeStatement, jws, st.At)
	if err != nil {
		return st, &ForeignError{Reason: err.Error()}
	}
	if opened.TrustDomain != s.From || st.From != s.From || st.To != s.To || st.Version != 1 {
		return st, &ForeignError{Reason: fmt.Sprintf("it is signed by %s, from %s to %s", opened.TrustDomain, st.From, st.To)}
	}
	return st, nil
}

// importing is a set that is being taken in.
type importing struct {
	engine  *Engine
	from    string
	summary Summary
	broken  map[store.Hash]string // attachments that were not taken
	kept    kept
}

func (i *importing) take(ctx context.Context, kind byte, content []byte) error {
	switch kind {
	case recordAttachment:
		return i.attachment(ctx, content)
	case recordBatch:
		return i.batch(ctx, content)
	case recordAnswer:
		return i.answer(ctx, content)
	case recordSettled:
		return i.confirmed(ctx, content)
	default:
		// A newer release may know it.
		i.summary.refuse("a record of kind %q is not known to this release", kind)
		return nil
	}
}

// confirmed forgets the answers that the peer says it has.
func (i *importing) confirmed(ctx context.Context, content []byte) error {
	var batches []string
	if err := json.Unmarshal(content, &batches); err != nil {
		return i.refused(err, "what the peer says it has")
	}
	batches = batches[:min(len(batches), store.MaxCourierAnswers)]
	return i.engine.cfg.Store.DropCourierAnswers(ctx, i.from, batches)
}

// refused names what the hotline does not take; only our own full storage ends the import.
func (i *importing) refused(err error, what string) error {
	if errors.Is(err, store.ErrFull) {
		return err
	}
	i.summary.refuse("%s: %v", what, err)
	return nil
}

// batch stores messages, then our answer, for the next courier back.
func (i *importing) batch(ctx context.Context, request []byte) error {
	answer, err := i.engine.cfg.Lines.Receive(ctx, i.from, request)
	if err != nil {
		return i.refused(err, "a batch of messages")
	}
	missing, err := i.engine.cfg.Lines.NotStored(ctx, i.from, request, answer)
	if err != nil {
		return err
	}
	for _, what := range missing {
		i.summary.refuse("%s", what)
	}
	return i.engine.cfg.Store.PutCourierAnswer(ctx, store.CourierAnswer{
		Peer: i.from, Batch: digest(request), Answer: answer, At: i.engine.cfg.Now().UTC().Truncate(time.Microsecond),
	})
}

// answer stores receipts for messages of ours, and then that we have them.
func (i *importing) answer(ctx context.Context, content []byte) error {
	if len(content) <= 32 {
		i.summary.refuse("an answer is too short")
		return nil
	}
	if err := i.engine.cfg.Lines.Settle(ctx, i.from, content[32:]); err != nil {
		return i.refused(err, "an answer to messages of ours")
	}
	return i.engine.cfg.Store.PutCourierAnswer(ctx, store.CourierAnswer{
		Peer: confirmations(i.from), Batch: hex.EncodeToString(content[:32]), Answer: []byte{1}, At: i.engine.cfg.Now().UTC().Truncate(time.Microsecond),
	})
}
