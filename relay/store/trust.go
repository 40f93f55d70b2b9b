// SPDX-FileCopyrightText: The certlink authors
// SPDX-License-Identifier: Apache-2.0

package store

import (
	"context"
	"time"
)

// Limits of the record of trust changes.
const (
	// MaxTrustRecords is the largest number of records at once.
	MaxTrustRecords = 4096
	// MaxTrustRecordBytes is the largest content of a record.
	MaxTrustRecordBytes = 64 << 10
)

// TrustRecord is one entry of the record of trust changes. It is never changed
// and never deleted.
type TrustRecord struct {
	// Seq counts the records from 1, without gaps.
	Seq int64
	// Subject is the trust domain whose trust changed, ours or a peer's.
	Subject string
	// Content byte for byte. What it means, and how it is chained to the record
	// before it, is for package trust.
	Content []byte
}

// LearnedBundle is a bundle that a peer offered and that was taken.
type LearnedBundle struct {
	// TrustDomain of the peer.
	TrustDomain string
	// Base names the configured bundle that it builds on.
	Base string
	// Bundle holds CA certificates in PEM.
	Bundle string
	// Serial of the offer that it came in.
	Serial int64
	// LearnedAt is when it was taken; whole microseconds, UTC.
	LearnedAt time.Time
}

// TrustChange is what is stored in one step.
type TrustChange struct {
	// Records follow the last one; their Seq is set by the store.
	Records []TrustRecord
	// Learn replaces what was learned of its trust domain; nil changes nothing.
	Learn *LearnedBundle
	// Forget deletes what was learned of these trust domains, before Learn.
	Forget []string
}

// TrustQuery selects records, the oldest first.
type TrustQuery struct {
	// Subject selects records about one trust domain; empty means all.
	Subject string
	// After selects records with a larger Seq.
	After int64
	// Limit is 1 to MaxTrustRecords.
	Limit int
}

// TrustPage is a part of a selection.
type TrustPage struct {
	Records []TrustRecord
	// Next continues the selection when put into TrustQuery.After; zero at the end.
	Next int64
}

// Trust keeps the bundles that were learned from peers, and the append-only
// record of trust changes.
type Trust interface {
	// AppendTrust gives the last record (zero at first) to compose, which must not
	// block or use the store, and stores what that returns: all of it, or nothing. An
	// error of compose is returned as it is.
	AppendTrust(ctx context.Context, compose func(last TrustRecord) (TrustChange, error)) error
	// ListTrust returns a page of records.
	ListTrust(ctx context.Context, q TrustQuery) (TrustPage, error)
	// LearnedBundles returns what was learned, by trust domain.
	LearnedBundles(ctx context.Context) ([]LearnedBundle, error)
}
