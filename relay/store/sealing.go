// SPDX-FileCopyrightText: The certlink authors
// SPDX-License-Identifier: Apache-2.0

package store

import (
	"context"
	"errors"
	"fmt"
	"time"
)

// Limits of what sealing keeps.
const (
	// MaxSealKeys is how many keys of ours there may be at once.
	MaxSealKeys = 256
	// MaxSealKeyBytes is the largest key, MaxStatementBytes the largest statement about one.
	MaxSealKeyBytes   = 4 << 10
	MaxStatementBytes = 128 << 10
	// MaxCourierAnswers is how many answers are kept for a peer; the oldest go first.
	MaxCourierAnswers = 256
	// MaxCourierAnswerBytes is the largest answer.
	MaxCourierAnswerBytes = 8 << 20
	// maxID is the longest id of a request or set.
	maxID = 64
)

// SealKey is a key of ours to which others seal. Private is a secret.
type SealKey struct {
	// ID of the public key.
	ID string
	// Private in the form of package seal.
	Private []byte
	// CreatedAt is when it was made; whole microseconds, UTC.
	CreatedAt time.Time
}

// PeerSealKey is the key to which we seal what is for a peer.
type PeerSealKey struct {
	// Peer is its trust domain.
	Peer string
	// Public in the form of package seal.
	Public []byte
	// Statement, signed by the peer, that the key is its own.
	Statement []byte
	// LearnedAt is when the statement was verified; whole microseconds, UTC.
	LearnedAt time.Time
}

// CourierAnswer is what we answered to a batch that a courier brought.
type CourierAnswer struct {
	// Peer whose batch it was, by trust domain.
	Peer string
	// Batch names it: the SHA-256 of the request in hexadecimal.
	Batch string
	// Answer to it.
	Answer []byte
	// At is when it was stored; whole microseconds, UTC.
	At time.Time
}

// Check tells whether an answer is within bounds.
func (a CourierAnswer) Check() error {
	if a.Peer == "" || a.Batch == "" || len(a.Batch) > maxID || len(a.Answer) == 0 || len(a.Answer) > MaxCourierAnswerBytes {
		return fmt.Errorf("an answer of %d bytes for batch %q of %q is out of bounds", len(a.Answer), a.Batch, a.Peer)
	}
	return nil
}

// Check tells whether a key is within bounds.
func (k SealKey) Check() error {
	if k.ID == "" || len(k.ID) > maxID || len(k.Private) == 0 || len(k.Private) > MaxSealKeyBytes || k.CreatedAt.IsZero() {
		return errors.New("a key of ours is out of bounds")
	}
	return nil
}

// Check tells whether a key is within bounds.
func (k PeerSealKey) Check() error {
	if k.Peer == "" || len(k.Public) == 0 || len(k.Public) > MaxSealKeyBytes || len(k.Statement) == 0 || len(k.Statement) > MaxStatementBytes {
		return fmt.Errorf("the key of %q is out of bounds", k.Peer)
	}
	return nil
}

// CheckTransitID tells whether the id of a request is within bounds.
func CheckTransitID(peer, id string) error {
	if peer == "" || id == "" || len(id) > maxID {
		return fmt.Errorf("the id of a request of %q is out of bounds", peer)
	}
	return nil
}

// TransitKept is how long the id of a request that came through others is kept after its time.
const TransitKept = 26 * time.Hour

// Sealing keeps what is needed to seal and open what travels through others' hands.
type Sealing interface {
	SealKeys
	CourierAnswers

	// NoteTransit notes the id of a request that came through others; fresh is false if it
	// is noted already. It is kept until the time until, and TransitKept longer: a clock that jumps ahead
	// by a day and back must not make it forgotten. What has gone by then, at now, is deleted.
	NoteTransit(ctx context.Context, peer, id string, now, until time.Time) (fresh bool, err error)
}

// SealKeys keeps our keys to which others seal, and those of peers.
type SealKeys interface {
	// AddSealKey stores a key of ours, unless one was made at or after the time since:
	// then it stores nothing, and added is false.
	AddSealKey(ctx context.Context, k SealKey, since time.Time) (added bool, err error)
	// SealKeys returns our keys, the newest first.
	SealKeys(ctx context.Context) ([]SealKey, error)
	// DropSealKeys deletes our keys that were made before a time, but never the newest.
	DropSealKeys(ctx context.Context, before time.Time) (dropped int64, err error)

	// PutPeerSealKey replaces the key of a peer.
	PutPeerSealKey(ctx context.Context, k PeerSealKey) error
	// PeerSealKeys returns the keys of peers by trust domain.
	PeerSealKeys(ctx context.Context) ([]PeerSealKey, error)
}

// CourierAnswers keeps what we answered to what couriers brought.
type CourierAnswers interface {
	// PutCourierAnswer keeps an answer, in place of that for the same batch; of more than
	// MaxCourierAnswers for a peer the oldest go.
	PutCourierAnswer(ctx context.Context, a CourierAnswer) error
	// CourierAnswers returns the answers for a peer, the oldest first.
	CourierAnswers(ctx context.Context, peer string) ([]CourierAnswer, error)
	// DropCourierAnswers deletes answers for a peer, by batch: it has them.
	DropCourierAnswers(ctx context.Context, peer string, batches []string) error
}
