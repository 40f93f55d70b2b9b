// SPDX-FileCopyrightText: The certlink authors
// SPDX-License-Identifier: Apache-2.0

// Package status edits the conditions of one object.
//
// It promises legal statuses (kstatus): Ready always says something, Reconciling
// and Stalled exist only while True and never both, a transition time moves only
// with the status. It decides nothing and calls nobody.
package status

import (
	"slices"
	"strings"
	"time"

	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/certlink/certlink/api/v1alpha1"
)

// maxMessage bounds the messages of conditions, in bytes. Parts of them come
// from peers.
const maxMessage = 1024

// Fate is what became of our own side of an object.
type Fate int

// The fates.
const (
	// Same: it cannot be told yet whether anything has changed. Conditions stay
	// as they are; on the first visit Ready is Unknown.
	Same Fate = iota
	// Done: our side is as declared. Ready is True.
	Done
	// Working: our side is on its way. Ready is False, Reconciling True.
	Working
	// Stalled: a person must change something. Ready is False, Stalled True.
	Stalled
	// Blind: our side could not be looked at. Ready is Unknown.
	Blind
)

// Verdict is the fate of our own side with the reason for it.
type Verdict struct {
	Fate    Fate
	Reason  string
	Message string
}

// Fact is the content of one condition.
type Fact struct {
	// Status of the condition; empty means that it stays as it is, and that
	// Reason and Message are used on the first visit only, with status Unknown.
	Status  metav1.ConditionStatus
	Reason  string
	Message string
}

// Editor edits the conditions of one object in one reconciliation.
type Editor struct {
	conditions *[]metav1.Condition
	generation int64
	now        time.Time
}

// NewEditor returns an editor for conditions that are about a generation.
func NewEditor(conditions *[]metav1.Condition, generation int64, now time.Time) *Editor {
	return &Editor{conditions: conditions, generation: generation, now: now}
}

// Now is the time of the reconciliation.
func (e *Editor) Now() time.Time { return e.now }

// Get returns a condition, nil if it is not there.
func (e *Editor) Get(condition string) *metav1.Condition {
	return meta.FindStatusCondition(*e.conditions, condition)
}

// Holds tells whether a condition has a status for the current generation.
func (e *Editor) Holds(condition string, status metav1.ConditionStatus) bool {
	c := e.Get(condition)
	return c != nil && c.Status == status && c.ObservedGeneration == e.generation
}

// Put writes a condition, or keeps it when the fact has no status.
func (e *Editor) Put(condition string, f Fact) {
	if f.Status == "" {
		if e.Get(condition) != nil {
			return
		}
		f.Status = metav1.ConditionUnknown
	}
	meta.SetStatusCondition(e.conditions, metav1.Condition{
		Type:               condition,
		Status:             f.Status,
		ObservedGeneration: e.generation,
		LastTransitionTime: metav1.NewTime(e.now),
		Reason:             f.Reason,
		Message:            OneLine(f.Message),
	})
}

// Conclude writes Ready, Reconciling and Stalled. It returns false when they
// stay as they are, so that the observed generation must not move either.
func (e *Editor) Conclude(v Verdict) bool {
	fact := Fact{Reason: v.Reason, Message: v.Message}
	switch v.Fate {
	case Done:
		fact.Status = metav1.ConditionTrue
	case Working, Stalled:
		fact.Status = metav1.ConditionFalse
	case Blind:
		fact.Status = metav1.ConditionUnknown
	case Same:
		e.Put(v1alpha1.ConditionReady, fact)
		return false
	}
	e.Put(v1alpha1.ConditionReady, fact)
	e.while(v1alpha1.ConditionReconciling, v.Fate == Working, v)
	e.while(v1alpha1.ConditionStalled, v.Fate == Stalled, v)
	return true
}

// while keeps an abnormal-true condition for as long as it is true.
func (e *Editor) while(condition string, holds bool, v Verdict) {
	if !holds {
		meta.RemoveStatusCondition(e.conditions, condition)
		return
	}
	e.Put(condition, Fact{Status: metav1.ConditionTrue, Reason: v.Reason, Message: v.Message})
}

// While writes a condition that is there, with status True, only while it holds.
func (e *Editor) While(condition string, holds bool, reason, message string) {
	e.while(condition, holds, Verdict{Reason: reason, Message: message})
}

// Sort puts the condition that a person should look at first to the front, where kubectl get finds
// its reason and message: of the telling ones those that are not as they should be come first, then
// those that are not known, then the others, each in the order of telling. The rest keeps its order
// behind them.
func Sort(conditions []metav1.Condition, telling []string) {
	rank := func(c metav1.Condition) int {
		at := slices.Index(telling, c.Type)
		switch {
		case at < 0:
			return 3 * len(telling)
		case bad(c):
			return at
		case c.Status == metav1.ConditionUnknown && !slices.Contains(byPeer, c.Type):
			return len(telling) + at
		default:
			return 2*len(telling) + at
		}
	}
	slices.SortStableFunc(conditions, func(a, b metav1.Condition) int { return rank(a) - rank(b) })
}

// byPeer are conditions about what a peer says: one that runs no certlink says nothing, and that is no fault.
var byPeer = []string{v1alpha1.ConditionPeerAccepted, v1alpha1.ConditionTrustInSync}

// bad tells whether a condition is not as it should be: some are there only while something is wrong.
func bad(c metav1.Condition) bool {
	switch c.Type {
	case v1alpha1.ConditionJournalDoubtful, v1alpha1.ConditionQuarantined:
		return c.Status == metav1.ConditionTrue
	}
	return c.Status == metav1.ConditionFalse
}

// OneLine bounds a message to what a status can hold, and takes line breaks,
// control characters and halves of characters out of it: the API server would
// change those, so that what is written would never be what is read.
func OneLine(message string) string {
	message = strings.Map(func(r rune) rune {
		if r < ' ' || r == 0x7f {
			return ' '
		}
		return r
	}, strings.ToValidUTF8(message, "?"))
	if len(message) > maxMessage {
		message = strings.ToValidUTF8(message[:maxMessage-3], "") + "..."
	}
	return strings.TrimSpace(message)
}

// Time as a status keeps it, in whole seconds; nil when it is not known.
func Time(t time.Time) *metav1.Time {
	if t.IsZero() {
		return nil
	}
	return &metav1.Time{Time: t.Truncate(time.Second)}
}
