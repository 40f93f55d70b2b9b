// SPDX-FileCopyrightText: The certlink authors
// SPDX-License-Identifier: Apache-2.0

package misp

import (
	"errors"
	"fmt"
	"io"
	"iter"
	"time"

	"github.com/google/uuid"

	"github.com/certlink/certlink/relay/stix"
)

// Event is one event on its way to STIX objects.
type Event struct {
	// UUID and Info (the title) as the event says; Timestamp of its last change.
	UUID      string
	Info      string
	Timestamp time.Time

	header header
	mark   marking
	// since is when what all parts inherit was last seen to change.
	since   time.Time
	creator string
	spool   spool
	tally   Tally
	refs    []string
}

// OpenEvent reads an event whole, and keeps it compressed until Objects has gone
// through it. An error says what is wrong with the event, wrapped: ErrFormat, ErrTooLarge,
// or that of src.
func OpenEvent(src io.Reader) (*Event, error) {
	e := &Event{}
	kept, finish, err := e.spool.through(src)
	if err != nil {
		return nil, err
	}
	err = walk(kept, e.takeMember, func(string, []byte) error { return nil })
	if err != nil {
		return nil, fmt.Errorf("reading event: %w", err)
	}
	if err := finish(); err != nil {
		return nil, fmt.Errorf("keeping event: %w", err)
	}
	h := &e.header
	id, err := uuid.Parse(string(h.UUID))
	if err != nil || len(h.UUID) != len(id.String()) {
		return nil, fmt.Errorf("reading event: %w: its uuid is none", ErrFormat)
	}
	e.UUID, e.Info, e.Timestamp = id.String(), brief(string(h.Info)), h.Timestamp.instant()
	if e.Timestamp.IsZero() {
		return nil, fmt.Errorf("reading event: %w: it has no timestamp", ErrFormat)
	}
	e.mark = marking{}.restrict(h.Tags, h.Distribution, h.Group)
	return e, nil
}

func (e *Event) takeMember(name string, raw []byte) error {
	into := e.header.member(name)
	if into == nil {
		if (name == "Attribute" || name == "Object") && string(raw) != "null" {
			e.tally.lose(LostMalformed) // it is no list
		}
		return nil
	}
	if raw == nil {
		// Of tags that are not read, the strictest must be assumed: nothing of the event is.
		return fmt.Errorf("%w: its member %q", ErrTooLarge, name)
	}
	if err := unmarshal(raw, into); err != nil {
		return fmt.Errorf("member %q: %w", name, err)
	}
	return nil
}

// context is a short word for everything that the parts of an event inherit.
func (e *Event) context() string {
	h := &e.header
	return derive("context", e.mark.id(), string(h.Date), string(h.Orgc.UUID), string(h.Orgc.Name))[:8]
}

// Published tells whether the event is for others to read. One that says it is not
// becomes no objects.
func (e *Event) Published() bool { return e.header.Published == "" || e.header.Published.truth() }

// Tally counts what became of the event; complete when Objects has come to its end.
func (e *Event) Tally() Tally { return e.tally }

// Objects converts the event, once. An error is the last that comes.
func (e *Event) Objects() iter.Seq2[stix.Object, error] {
	return func(yield func(stix.Object, error) bool) {
		err := e.convert(func(o stix.Object) error {
			if !yield(o, nil) {
				return errStopped
			}
			return nil
		})
		if err != nil && !errors.Is(err, errStopped) {
			yield(stix.Object{}, err)
		}
	}
}

var errStopped = errors.New("nobody wants more")

// convert gives the objects to emit: the creator, the parts, and last the report.
func (e *Event) convert(emit func(stix.Object) error) error {
	if !e.Published() {
		return nil
	}
	out := &output{event: e, emit: emit}
	if err := out.identity(); err != nil {
		return err
	}
	err := walk(e.spool.again(), func(string, []byte) error { return nil }, func(list string, raw []byte) error {
		if raw == nil {
			e.tally.lose(LostTooLarge)
			return nil
		}
		if list == "Object" {
			return out.object(raw)
		}
		return out.attribute(raw)
	})
	if err != nil {
		return fmt.Errorf("converting event %s: %w", e.UUID, err)
	}
	return out.report()
}
