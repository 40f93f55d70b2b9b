// SPDX-FileCopyrightText: The certlink authors
// SPDX-License-Identifier: Apache-2.0

package hotline

import (
	"context"
	"fmt"
	"sync"
	"time"

	"github.com/certlink/certlink/relay/desk"
	"github.com/certlink/certlink/relay/glossary"
	"github.com/certlink/certlink/relay/message"
	"github.com/certlink/certlink/relay/store"
)

// Glossary implements desk.Glossaries.
func (e *Engine) Glossary(ctx context.Context, name string) (desk.Glossary, error) {
	l := e.lineNamed(name)
	if l == nil {
		return desk.Glossary{}, fmt.Errorf("reading the glossary: there is no hotline %q: %w", oneLine(name), store.ErrNotFound)
	}
	g, truncated, err := e.glossary(ctx, l.trustDomain)
	if err != nil {
		return desk.Glossary{}, fmt.Errorf("reading the glossary of %s: %w", name, err)
	}
	_, peer := l.settings()
	return desk.Glossary{
		Hotline: name, Peer: l.trustDomain, PeerName: peer.DisplayName,
		Terms: g.Terms(), Dropped: g.Dropped(), Truncated: truncated,
	}, nil
}

// glossary collects the statements of both sides, ours first: theirs leave ours room. What
// its sender has cancelled was not said, nor what was said in an exercise.
func (e *Engine) glossary(ctx context.Context, peer string) (*glossary.Glossary, bool, error) {
	g, truncated := &glossary.Glossary{}, false
	for _, d := range []store.Direction{store.Out, store.In} {
		q := store.MessageQuery{Direction: d, Peer: peer, Kind: string(message.TermKind), Limit: store.MaxMessages}
		for read := 0; ; {
			page, err := e.cfg.Store.ListMessages(ctx, q)
			if err != nil {
				return nil, false, err
			}
			if err := e.addStatements(ctx, g, d, peer, page.Messages); err != nil {
				return nil, false, err
			}
			read += len(page.Messages)
			if page.Next == 0 {
				break
			}
			if q.Before = page.Next; read >= glossary.MaxStatements {
				truncated = true
				break
			}
		}
	}
	return g, truncated, nil
}

func (e *Engine) addStatements(ctx context.Context, g *glossary.Glossary, d store.Direction, peer string, messages []store.Message) error {
	ids := make([]string, len(messages))
	for i, m := range messages {
		ids[i] = m.ID
	}
	marks, err := e.standings(ctx, d, peer, ids)
	if err != nil {
		return err
	}
	for _, m := range messages {
		p, err := decodeStored(m.Payload)
		if err != nil {
			return err
		}
		if stands, _ := marks.of(m.ID, m.Serial); p.Term != nil && p.Exercise == "" && stands != desk.Cancelled {
			g.Add(glossary.Statement{Ours: d == store.Out, Message: m.ID, Serial: m.Serial, At: m.CreatedAt, Term: *p.Term})
		}
	}
	return nil
}

// termsFresh is how old the terms may be that a message is compared with: a warning is
// advice, and messages do not wait for the store to give it.
const termsFresh = 5 * time.Second

// termCache keeps the terms of each peer for a moment.
type termCache struct {
	mu    sync.Mutex // guards what follows, never over I/O: a huge glossary holds up its own line only
	known map[string]*cachedTerms
}

type cachedTerms struct {
	mu    sync.Mutex // guards what follows, and lets one read at a time
	at    time.Time
	terms []glossary.Term
}

func (c *termCache) of(peer string) *cachedTerms {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.known == nil {
		c.known = map[string]*cachedTerms{}
	}
	if c.known[peer] == nil {
		c.known[peer] = &cachedTerms{}
	}
	return c.known[peer]
}

// terms of a peer that are at most termsFresh old.
func (e *Engine) terms(ctx context.Context, peer string) ([]glossary.Term, error) {
	c := e.termCache.of(peer)
	c.mu.Lock()
	defer c.mu.Unlock()
	now := e.cfg.Now()
	if !c.at.IsZero() && now.Sub(c.at).Abs() < termsFresh {
		return c.terms, nil
	}
	g, _, err := e.glossary(ctx, peer)
	if err != nil {
		return nil, err
	}
	c.at, c.terms = now, g.Terms()
	return c.terms, nil
}

// LintTerms names the terms in a message to a peer that are not agreed, for who writes or
// releases it. That the glossary could not be read is one line, too: it stops nobody.
func (e *Engine) LintTerms(ctx context.Context, trustDomain string, p *message.Message) []string {
	terms, err := e.terms(ctx, trustDomain)
	if err != nil {
		e.cfg.Log.WarnContext(ctx, "reading the glossary", "peer", trustDomain, "error", err)
		return []string{"the glossary could not be read: terms were not compared"}
	}
	var warnings []string
	for _, f := range glossary.Lint(terms, p) {
		warnings = append(warnings, oneLine(f.String()))
	}
	return warnings
}

// checkTerm compares a statement that we are about to make with what was said: a new
// definition has a new version, and an answer repeats the words of their newest one.
func (e *Engine) checkTerm(ctx context.Context, p *Payload, f *faults) error {
	if p.Kind != message.TermKind || p.Term == nil {
		return nil
	}
	f.require(p.Exercise == "", "exercise", "a term is agreed in real traffic only")
	if _, err := e.cfg.Store.GetMessage(ctx, store.Out, p.To, p.ID); err == nil {
		return nil // the same request again
	}
	g, _, err := e.glossary(ctx, p.To)
	if err != nil {
		return fmt.Errorf("reading the glossary: %w", err)
	}
	known, _ := g.Term(p.Term.ID)
	if p.Term.Position == glossary.Proposed {
		f.require(known.Ours == nil || known.Ours.Message == p.ID || p.Term.Version > known.Ours.Version, "term/version",
			"must be more than %d, which we have proposed", versionOf(known.Ours))
		return nil
	}
	theirs := known.Theirs
	f.require(theirs != nil, "term/id", "they have proposed no such term")
	if theirs != nil {
		f.require(p.Term.Version == theirs.Version, "term/version", "must be %d, that of their newest definition", theirs.Version)
		same := p.Term.Name == theirs.Name && p.Term.Language == theirs.Language && p.Term.Definition == theirs.Definition
		f.require(same, "term/definition", "name, language and definition must be theirs, word for word")
	}
	return nil
}

func versionOf(d *glossary.Definition) int64 {
	if d == nil {
		return 0
	}
	return d.Version
}
