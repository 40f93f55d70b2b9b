// SPDX-FileCopyrightText: The certlink authors
// SPDX-License-Identifier: Apache-2.0

package exercise

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"sync"
	"time"

	"github.com/go-json-experiment/json"
	"github.com/oklog/ulid/v2"

	"github.com/certlink/certlink/relay/config"
	"github.com/certlink/certlink/relay/desk"
	"github.com/certlink/certlink/relay/message"
	"github.com/certlink/certlink/relay/receipt"
	"github.com/certlink/certlink/relay/store"
)

const (
	kindExercise = "exercise"
	partScript   = "script"
	// lookEvery is how often a step that failed is tried again, and other replicas are looked at.
	lookEvery = 10 * time.Second
	// maxExercises that are looked at on a hotline.
	maxExercises = 100
)

// TypeReport is the typ of a signed report.
const TypeReport = "certlink-exercise-report"

// Config of an Engine. Store to Verifier are required.
type Config struct {
	Store interface {
		store.LineChecks
		store.Messages
	}
	// May decides whether a client may begin a drill, as hotline.Engine.MayDrill does.
	May func(ctx context.Context, officer string, messages []desk.SendRequest) (identity, name string, err error)
	// Change changes a line, as hotline.Engine.Change does; Act writes the entry of an act of
	// an identity.
	Change func(ctx context.Context, trustDomain string, do func(store.LineTx) (*store.JournalEntry, error)) error
	Act    func(name, by string, at time.Time, details map[string]string) (*store.JournalEntry, error)
	// Send stores a message of ours, as hotline.Engine.Send does.
	Send func(ctx context.Context, r desk.SendRequest) (desk.Message, bool, error)
	// Identity signs reports, Verifier vouches for those of peers.
	Identity func() receipt.Signer
	Verifier func() receipt.Verifier
	// Post sends a statement to a path of the peer's link port, and returns its answer. Nil
	// means that reports are not countersigned.
	Post func(ctx context.Context, trustDomain, path string, signed []byte) ([]byte, error)
	// Lead, Now, Log as of hotline.Config.
	Lead func(ctx context.Context, name string, work func(ctx context.Context))
	Now  func() time.Time
	Log  *slog.Logger
}

// Engine runs drills.
type Engine struct {
	cfg  Config
	wake chan struct{}
	// tried is when each report last went to the peer; only Run uses it.
	tried map[string]time.Time

	mu    sync.Mutex        // guards what follows
	lines map[string]string // trust domain by the name of a hotline
	own   string
}

// drill is an exercise as it is registered.
type drill struct {
	Script
	// Hotline that it was registered for, Conversation of its messages, Officer who did it.
	Hotline      string    `json:"hotline"`
	Conversation string    `json:"conversation"`
	Officer      string    `json:"officer"`
	Start        time.Time `json:"start"`
}

// New checks the configuration and starts nothing.
func New(cfg Config) (*Engine, error) {
	if cfg.Store == nil || cfg.May == nil || cfg.Change == nil || cfg.Act == nil || cfg.Send == nil || cfg.Identity == nil || cfg.Verifier == nil {
		return nil, errors.New("building exercises: store, may, change, act, send, identity and verifier are required")
	}
	if cfg.Lead == nil {
		cfg.Lead = func(ctx context.Context, _ string, work func(context.Context)) { work(ctx) }
	}
	if cfg.Now == nil {
		cfg.Now = time.Now
	}
	if cfg.Log == nil {
		cfg.Log = slog.New(slog.DiscardHandler)
	}
	return &Engine{cfg: cfg, wake: make(chan struct{}, 1), tried: map[string]time.Time{}, lines: map[string]string{}}, nil
}

// Apply takes a new live configuration.
func (e *Engine) Apply(c *config.Config) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.own, e.lines = c.Identity.TrustDomain, map[string]string{}
	for _, h := range c.Hotlines {
		for _, p := range c.Peers {
			if p.Name == h.Peer && p.State != config.Revoked {
				e.lines[h.Name] = p.TrustDomain
			}
		}
	}
}

func (e *Engine) peer(hotline string) (string, error) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if td, ok := e.lines[hotline]; ok {
		return td, nil
	}
	return "", fmt.Errorf("there is no hotline %q, or its peer is revoked: %w", hotline, store.ErrNotFound)
}

// StartExercise registers a drill and begins it. Repeating it with the same script is safe.
//
// One transaction: the script, its conversation and the act in our journal. A crash before
// leaves nothing; after it the steps are sent as they are due, whatever happens.
func (e *Engine) StartExercise(ctx context.Context, hotline string, r desk.ExerciseRequest) (desk.ExerciseReport, error) {
	peer, err := e.peer(hotline)
	if err != nil {
		return desk.ExerciseReport{}, err
	}
	s, err := Parse([]byte(r.Script))
	if err != nil {
		return desk.ExerciseReport{}, &desk.InvalidError{Faults: []desk.Fault{{Field: "script", Reason: err.Error()}}}
	}
	d := drill{Script: s, Hotline: hotline, Conversation: Conversation + s.Name, Start: e.cfg.Now().UTC().Truncate(time.Millisecond)}
	by, officer, err := e.cfg.May(ctx, r.Officer, d.requests())
	if err != nil {
		return desk.ExerciseReport{}, err
	}
	d.Officer = officer
	old, err := e.read(ctx, peer, s.Name)
	if err == nil {
		if same(old.Script, s) {
			return e.ExerciseReport(ctx, hotline, s.Name)
		}
		return desk.ExerciseReport{}, fmt.Errorf("an exercise %q was registered before, with other steps: %w", s.Name, store.ErrConflict)
	}
	if !errors.Is(err, store.ErrNotFound) {
		return desk.ExerciseReport{}, err
	}
	content, err := json.Marshal(d, json.Deterministic(true))
	if err != nil {
		return desk.ExerciseReport{}, err
	}
	err = e.cfg.Change(ctx, peer, func(tx store.LineTx) (*store.JournalEntry, error) {
		// The conversation first: a conflict must be met before anything is changed.
		if err := tx.PutExercise(d.Conversation, d.Name); err != nil {
			return nil, err
		}
		if err := tx.PutLineRecord(store.LineRecord{Kind: kindExercise, Name: d.Name, Part: partScript, Content: content, Final: true}); err != nil {
			return nil, err
		}
		return e.cfg.Act("EXERCISE_STARTED", by, d.Start, map[string]string{"exercise": d.Name, "officer": d.Officer, "script_sha256": d.digest()})
	})
	if err != nil {
		return desk.ExerciseReport{}, err
	}
	select {
	case e.wake <- struct{}{}:
	default:
	}
	return e.ExerciseReport(ctx, hotline, s.Name)
}

func same(a, b Script) bool {
	x, _ := json.Marshal(a, json.Deterministic(true))
	y, _ := json.Marshal(b, json.Deterministic(true))
	return string(x) == string(y)
}

func (e *Engine) read(ctx context.Context, peer, name string) (d drill, err error) {
	r, err := e.cfg.Store.GetLineRecord(ctx, peer, kindExercise, name, partScript)
	if err != nil {
		return drill{}, err
	}
	return d, json.Unmarshal(r.Content, &d)
}

// id of a step follows from the drill: whoever sends it, and how often, it is one message.
// Step -1 is the announcement.
func (d *drill) id(step int) string {
	sum := sha256.Sum256(fmt.Appendf(nil, "%s\n%s\n%d", d.Name, d.Start.Format(time.RFC3339Nano), step))
	var id ulid.ULID
	_ = id.SetTime(ulid.Timestamp(d.Start)) // a time of this millennium fits
	_ = id.SetEntropy(sum[:10])
	return id.String()
}

// Run sends what is due until ctx ends.
func (e *Engine) Run(ctx context.Context) error {
	e.cfg.Lead(ctx, "exercises", func(ctx context.Context) {
		for {
			wait := e.round(ctx)
			timer := time.NewTimer(wait)
			select {
			case <-ctx.Done():
				timer.Stop()
				return
			case <-timer.C:
			case <-e.wake:
				timer.Stop()
			}
		}
	})
	return nil
}

// round sends the steps of all drills that are due, and says when to look again.
func (e *Engine) round(ctx context.Context) time.Duration {
	wait := lookEvery
	e.mu.Lock()
	lines := maps.Clone(e.lines)
	e.mu.Unlock()
	for _, peer := range lines {
		records, err := e.cfg.Store.ListLineRecords(ctx, peer, kindExercise, maxExercises)
		if err != nil && ctx.Err() == nil {
			e.cfg.Log.ErrorContext(ctx, "exercises cannot be read", "peer", peer, "error", err)
		}
		for _, r := range records {
			if r.Part != partScript {
				continue
			}
			var d drill
			err := json.Unmarshal(r.Content, &d)
			if err == nil {
				var next time.Duration
				next, err = e.advance(ctx, peer, &d)
				wait = min(wait, next)
			}
			if err == nil {
				err = e.settle(ctx, peer, &d)
			}
			if err != nil && ctx.Err() == nil {
				e.cfg.Log.WarnContext(ctx, "exercise does not go on, it is tried again", "exercise", r.Name, "error", err)
			}
		}
	}
	return max(wait, 100*time.Millisecond)
}

// advance sends the steps of a drill that are due, in their order. Those that are stored
// are not sent again.
func (e *Engine) advance(ctx context.Context, peer string, d *drill) (time.Duration, error) {
	for step := -1; step < len(d.Steps); step++ {
		if step >= 0 {
			if until := d.due(d.Start, step).Sub(e.cfg.Now()); until > 0 {
				return until, nil
			}
		}
		_, err := e.cfg.Store.GetMessage(ctx, store.Out, peer, d.id(step))
		if err == nil {
			continue
		}
		if !errors.Is(err, store.ErrNotFound) {
			return lookEvery, err
		}
		if _, _, err := e.cfg.Send(ctx, d.request(step)); err != nil {
			return lookEvery, err
		}
	}
	return lookEvery, nil
}

// requests are the messages of all steps.
func (d *drill) requests() []desk.SendRequest {
	var out []desk.SendRequest
	for step := -1; step < len(d.Steps); step++ {
		out = append(out, d.request(step))
	}
	return out
}

// digest of the steps, by which the journal knows what was registered.
func (d *drill) digest() string {
	raw, _ := json.Marshal(d.Script, json.Deterministic(true))
	return fmt.Sprintf("%x", sha256.Sum256(raw))
}

// request is the message of a step.
func (d *drill) request(step int) desk.SendRequest {
	r := desk.SendRequest{Hotline: d.Hotline, ID: d.id(step), Conversation: d.Conversation, Exercise: d.Name, RSIT: message.TestCode, Officer: d.Officer, TLP: "AMBER"}
	if step < 0 {
		r.Kind, r.Precedence = string(message.Notification), "ROUTINE"
		r.Subject = Subject("begin of " + d.Name)
		r.Text = fmt.Sprintf("This begins the exercise %q of %d steps. Everything in this conversation is a test. Nothing of it is real.", d.Name, len(d.Steps))
		return r
	}
	s := d.Steps[step]
	r.Kind, r.Precedence, r.Subject, r.Text = s.Kind, s.Precedence, Subject(s.Subject), s.Text
	if s.AnswerWithinSeconds > 0 {
		r.AnswerBy = d.due(d.Start, step).Add(time.Duration(s.AnswerWithinSeconds) * time.Second)
	}
	return r
}
