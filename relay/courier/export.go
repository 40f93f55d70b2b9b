// SPDX-FileCopyrightText: The certlink authors
// SPDX-License-Identifier: Apache-2.0

package courier

import (
	"context"
	"crypto/rand"
	"encoding/binary"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"strconv"
	"sync"
	"time"

	"github.com/certlink/certlink/relay/config"
	"github.com/certlink/certlink/relay/message"
	"github.com/certlink/certlink/relay/receipt"
	"github.com/certlink/certlink/relay/seal"
	"github.com/certlink/certlink/relay/store"
)

// The names of acts in the journal.
const (
	ActExported = "COURIER_EXPORTED"
	ActImported = "COURIER_IMPORTED"
)

// Identity is who we are and whom we trust at one moment. identity.Snapshot is one.
type Identity interface {
	receipt.Signer
	receipt.Verifier
	// TrustDomain is our own.
	TrustDomain() string
}

// Keys has the keys for sealing. keyring.Ring is one.
type Keys interface {
	Private(ctx context.Context, id seal.KeyID) []seal.PrivateKey
	Peer(ctx context.Context, trustDomain string) (seal.PublicKey, error)
}

// Lines are the hotlines.
type Lines interface {
	// ComposeQueued hands over what waits for a peer, batch by batch with its messages; more
	// tells that there is more than one set may hold.
	ComposeQueued(ctx context.Context, trustDomain string, batch func(request []byte, messages []store.Message) error) (more bool, err error)
	// Receive takes a batch, and returns the answer.
	Receive(ctx context.Context, trustDomain string, request []byte) (answer []byte, err error)
	// NotStored says for people what of a batch was not stored that got this answer.
	NotStored(ctx context.Context, trustDomain string, request, answer []byte) ([]string, error)
	// Settle takes an answer.
	Settle(ctx context.Context, trustDomain string, answer []byte) error
	// RecordAct journals an act of somebody.
	RecordAct(ctx context.Context, trustDomain, name, by string, details map[string]string) error
}

// Store is what is kept for couriers.
type Store interface {
	store.Sealing
	store.Attachments
}

// Config of an Engine. All but Now are required.
type Config struct {
	Identity func() Identity
	Keys     Keys
	Lines    Lines
	Store    Store
	Log      *slog.Logger
	// Now is the clock. Nil means time.Now.
	Now func() time.Time
}

// Engine writes and reads sets. Its methods may be called concurrently.
type Engine struct {
	cfg Config

	mu    sync.Mutex        // guards what follows
	lines map[string]string // trust domain of each hotline, by its name
}

// New checks the configuration.
func New(cfg Config) (*Engine, error) {
	if cfg.Identity == nil || cfg.Keys == nil || cfg.Lines == nil || cfg.Store == nil || cfg.Log == nil {
		return nil, errors.New("building the courier: identity, keys, lines, store and log are required")
	}
	if cfg.Now == nil {
		cfg.Now = time.Now
	}
	return &Engine{cfg: cfg, lines: map[string]string{}}, nil
}

// Apply takes a new live configuration.
func (e *Engine) Apply(c *config.Config) {
	domains := map[string]string{}
	for _, p := range c.Peers {
		if p.State != config.Revoked {
			domains[p.Name] = p.TrustDomain
		}
	}
	lines := map[string]string{}
	for _, h := range c.Hotlines {
		if td, ok := domains[h.Peer]; ok {
			lines[h.Name] = td
		}
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	e.lines = lines
}

func (e *Engine) trustDomain(hotlineName string) (string, error) {
	e.mu.Lock()
	defer e.mu.Unlock()
	td, ok := e.lines[hotlineName]
	if !ok {
		return "", fmt.Errorf("there is no hotline %q: %w", hotlineName, store.ErrNotFound)
	}
	return td, nil
}

func (e *Engine) known(trustDomain string) bool {
	e.mu.Lock()
	defer e.mu.Unlock()
	for _, td := range e.lines {
		if td == trustDomain {
			return true
		}
	}
	return false
}

// Begun is an export that can be written.
type Begun struct {
	// Set, From and To as in Statement.
	Set, From, To string
	engine        *Engine
	key           seal.PublicKey
	by            string
}

// Begin looks whether a set for the peer of a hotline can be written. by is who asked.
func (e *Engine) Begin(ctx context.Context, hotlineName, by string) (*Begun, error) {
	to, err := e.trustDomain(hotlineName)
	if err != nil {
		return nil, err
	}
	key, err := e.cfg.Keys.Peer(ctx, to)
	if err != nil {
		return nil, err
	}
	var id [16]byte
	_, _ = rand.Read(id[:]) // never fails, see crypto/rand
	return &Begun{Set: hex.EncodeToString(id[:]), From: e.cfg.Identity().TrustDomain(), To: to, engine: e, key: key, by: by}, nil
}

// Write writes the set: all that waits for the peer, and our answers to what a courier
// brought before. Nothing is marked as delivered.
//
//  1. The set is written. A crash leaves a part of it, which does not open.
//  2. The act is journalled; then the end is written. A crash between leaves an act about
//     a set that does not open, and another export is made.
func (b *Begun) Write(ctx context.Context, to io.Writer) (Summary, error) {
	e := b.engine
	s := Summary{Set: b.Set, From: b.From, To: b.To, At: e.cfg.Now().UTC().Truncate(time.Second)}
	sealed, err := seal.NewWriter(b.key, envelope(b.From, b.To), to)
	if err != nil {
		return s, err
	}
	w := &writer{to: sealed, sum: newSums()}
	statement := Statement{Version: 1, Set: b.Set, From: b.From, To: b.To, At: s.At}
	if err := b.sign(w, recordHeader, statement); err != nil {
		return s, err
	}
	if err := b.answers(ctx, w, &s); err != nil {
		return s, err
	}
	sent := map[store.Hash]bool{}
	s.More, err = e.cfg.Lines.ComposeQueued(ctx, b.To, func(request []byte, messages []store.Message) error {
		for i := range messages {
			if err := b.attachments(ctx, w, &messages[i], sent, &s); err != nil {
				return fmt.Errorf("message %s: %w", messages[i].ID, err)
			}
		}
		s.Batches, s.Messages = s.Batches+1, s.Messages+len(messages)
		return w.put(recordBatch, request)
	})
	if err != nil {
		return s, err
	}
	if err := e.record(ctx, ActExported, b.by, s); err != nil {
		return s, err
	}
	statement.Messages, statement.Records, statement.SHA256 = s.Messages, w.records, w.sum.hex()
	if err := b.sign(w, recordEnd, statement); err != nil {
		return s, err
	}
	return s, sealed.Close()
}

func (b *Begun) sign(w *writer, kind byte, statement Statement) error {
	payload, err := json.Marshal(statement)
	if err != nil {
		return fmt.Errorf("writing a statement: %w", err)
	}
	jws, err := receipt.Sign(b.engine.cfg.Identity(), TypeStatement, payload)
	if err != nil {
		return err
	}
	return w.put(kind, jws)
}

// confirmations is under which name we keep, of a peer, which of its answers we have: it
// can then forget them.
func confirmations(trustDomain string) string { return "confirm " + trustDomain }

// answers writes our answers to the peer, and which of its answers we have.
func (b *Begun) answers(ctx context.Context, w *writer, s *Summary) error {
	answers, err := b.engine.cfg.Store.CourierAnswers(ctx, b.To)
	if err != nil {
		return err
	}
	for _, a := range answers {
		raw, err := hex.DecodeString(a.Batch)
		if err != nil || len(raw) != 32 {
			continue
		}
		if err := w.put(recordAnswer, raw, a.Answer); err != nil {
			return err
		}
		s.Answers++
	}
	have, err := b.engine.cfg.Store.CourierAnswers(ctx, confirmations(b.To))
	if err != nil || len(have) == 0 {
		return err
	}
	batches := make([]string, len(have))
	for i, a := range have {
		batches[i] = a.Batch
	}
	return w.putJSON(recordSettled, batches)
}

// attachments writes those that a message names, each once. One that our own store lost is
// named: its message is refused at the other end, and all others are taken.
func (b *Begun) attachments(ctx context.Context, w *writer, of *store.Message, sent map[store.Hash]bool, s *Summary) error {
	var m message.Message
	if err := json.Unmarshal(of.Payload, &m); err != nil {
		return fmt.Errorf("reading it: %w", err)
	}
	for _, a := range m.Attachments {
		raw, err := hex.DecodeString(a.SHA256)
		if err != nil || len(raw) != 32 {
			return fmt.Errorf("attachment %q has no digest", a.SHA256)
		}
		k := store.AttachmentKey{Direction: store.Out, Peer: b.To, SHA256: store.Hash(raw)}
		if sent[k.SHA256] {
			continue
		}
		sent[k.SHA256] = true
		switch err := b.attachment(ctx, w, k, a.Size); {
		case errors.Is(err, store.ErrNotFound):
			s.refuse("attachment %s of message %s is not in our own store: restore the database from a backup, or send a new message with the file", a.SHA256, of.ID)
		case err != nil:
			return fmt.Errorf("reading attachment %s: %w", a.SHA256, err)
		default:
			s.Attachments++
		}
	}
	return nil
}

// attachment writes one, chunk by chunk. The error wraps store.ErrNotFound if it is not here.
func (b *Begun) attachment(ctx context.Context, w *writer, k store.AttachmentKey, size int64) error {
	stored, err := b.engine.cfg.Store.GetAttachment(ctx, k)
	if err != nil {
		return err
	}
	if !stored.Complete || stored.Size != size {
		return store.ErrIncomplete
	}
	for at := int64(0); at < size; {
		part, err := b.engine.cfg.Store.ReadAttachment(ctx, k, at)
		if err != nil {
			return err
		}
		if len(part) == 0 {
			return store.ErrIncomplete
		}
		head := binary.BigEndian.AppendUint64(binary.BigEndian.AppendUint64(nil, uint64(size)), uint64(at)) //nolint:gosec // neither is negative
		if err := w.put(recordAttachment, k.SHA256[:], head, part); err != nil {
			return err
		}
		at += int64(len(part))
	}
	return nil
}

// record journals what was done with a set.
func (e *Engine) record(ctx context.Context, name, by string, s Summary) error {
	peer := s.To
	if name == ActImported {
		peer = s.From
	}
	return e.cfg.Lines.RecordAct(ctx, peer, name, by, map[string]string{
		"set": s.Set, "messages": strconv.Itoa(s.Messages), "attachments": strconv.Itoa(s.Attachments),
		"answers": strconv.Itoa(s.Answers), "refused": strconv.Itoa(len(s.Refused)),
	})
}
