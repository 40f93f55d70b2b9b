// SPDX-FileCopyrightText: The certlink authors
// SPDX-License-Identifier: Apache-2.0

package store

import (
	"context"
	"errors"
	"time"
)

// ErrFenced: the call was made under a lease that another holder has now.
// Nothing of the call was stored.
var ErrFenced = errors.New("the lease is no longer held")

// Lease is the right to do a piece of work that one replica does at a time.
type Lease struct {
	// Name of the work.
	Name string
	// Token grows whenever a lease of that name goes to another holder, or to the
	// same one after a time without holder.
	Token int64
}

// Leases share work among the replicas of one relay.
type Leases interface {
	// Acquire gives the lease to holder for ttl, or renews it, and tells whether
	// holder has it now. A lease that has expired, or was released, goes to whoever
	// asks first. Time is that of the store, not of the replicas.
	Acquire(ctx context.Context, name, holder string, ttl time.Duration) (l Lease, held bool, err error)
	// Release gives a lease back before it expires. It does nothing if holder does
	// not have it.
	Release(ctx context.Context, name, holder string) error
	// Note leaves a note with a lease, 1 to MaxLeaseNote bytes, for all replicas to read.
	// It takes the place of the one before, and stays when the lease goes on. ErrFenced if
	// the lease has another holder.
	Note(ctx context.Context, l Lease, note []byte) error
	// Notes returns the notes by the name of their lease, of those names that begin with
	// prefix; at most MaxRecords.
	Notes(ctx context.Context, prefix string) (map[string][]byte, error)
}

// MaxLeaseNote is the largest note on a lease, in bytes.
const MaxLeaseNote = 64 << 10

// MaxLeaseName is the largest size of the names of a lease and of its holder, in bytes.
const MaxLeaseName = 512

type leaseKey struct{}

// Under returns a context under a lease: a change of the store that is made with
// it is refused with ErrFenced once the lease has another holder. A replica that
// was away for a while, and does not know yet, thus changes nothing.
func Under(ctx context.Context, l Lease) context.Context {
	return context.WithValue(ctx, leaseKey{}, l)
}

// LeaseOf returns the lease that the context is under.
func LeaseOf(ctx context.Context) (Lease, bool) {
	l, ok := ctx.Value(leaseKey{}).(Lease)
	return l, ok
}

// HotlineTopic is the topic of messages to a peer that were stored; see News.
func HotlineTopic(peer string) string { return "hotline/" + peer }

// RecoveryTopic is the topic of how a recovery of the line to a peer stands; see Recovery.
func RecoveryTopic(peer string) string { return "recovery/" + peer }

// ObjectsTopic is the topic of objects that were stored or deleted, or whose decisions
// were taken back.
const ObjectsTopic = "objects"

// NotesTopic is the topic of notes on leases.
const NotesTopic = "notes"

// News tell replicas of one relay what the others have stored.
type News interface {
	// Watch calls changed with the topic of each change that a replica has made, this
	// one included, soon after its commit; and with "" when changes may have been
	// missed: in the beginning, and after a connection broke. changed must not block.
	// It returns nil when ctx ends, and an error when the store can do nothing more until
	// it is opened again. A store of one replica has no news.
	Watch(ctx context.Context, changed func(topic string)) error
}
