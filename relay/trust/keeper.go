// SPDX-FileCopyrightText: The certlink authors
// SPDX-License-Identifier: Apache-2.0

package trust

import (
	"context"
	"crypto/x509"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/certlink/certlink/internal/cabundle"
	"github.com/certlink/certlink/relay/config"
	"github.com/certlink/certlink/relay/identity"
	"github.com/certlink/certlink/relay/store"
)

const (
	// maxOffers is how many records one peer can cause within maxOffersIn.
	maxOffers   = 32
	maxOffersIn = 24 * time.Hour
	// maxWaiting is how many snapshots may wait to be recorded; beyond, the oldest go.
	maxWaiting = 256
	// maxWithdrawn is how many roots are remembered, for each peer, that a person took
	// out of the configured bundle; the oldest goes first.
	maxWithdrawn = 64
	// retryEvery is how long after a failure the storage is tried again.
	retryEvery = 5 * time.Second
)

// ErrTooMany: the peer caused as many records within a day as it may.
var ErrTooMany = fmt.Errorf("the peer's bundle changed %d times within a day", maxOffers)

// ErrWithdrawn: a person took a root of the bundle out of the configured one, and an
// offer does not bring it back.
var ErrWithdrawn = errors.New("a person took a CA certificate of the bundle out of the configured one")

// Config is what a Keeper needs.
type Config struct {
	// Store keeps bundles and records. Required.
	Store store.Trust
	// Identity is taught what was learned, and asked what changed. Required, and
	// nothing was applied to it yet.
	Identity *identity.Source
	// Log is required.
	Log *slog.Logger
	// Registry is where metrics are registered. Required.
	Registry prometheus.Registerer
	// Clock returns the time; nil means time.Now.
	Clock func() time.Time
}

// Keeper keeps what was learned, and the record. Its methods may be called
// concurrently.
type Keeper struct {
	cfg     Config
	metrics metrics
	poke    chan struct{}

	writing sync.Mutex // held over a change of state and storage; guards what follows
	state   state
	fresh   bool // nothing was observed since the start

	mu      sync.Mutex // guards what follows
	waiting []*identity.Snapshot
	serials map[string]int64 // of the offers that learned bundles came in
	// withdrawn are the hashes of the keys (cabundle.KeyHash) of roots that a person
	// took out of the configured bundle, by peer. They are replaced, never changed.
	withdrawn map[string][]string
	failure   error
}

// New reads the record, verifies it, and teaches the identity what was learned
// before. A record that is damaged is logged and goes on.
func New(ctx context.Context, cfg Config) (*Keeper, error) {
	if cfg.Store == nil || cfg.Identity == nil || cfg.Log == nil || cfg.Registry == nil {
		return nil, errors.New("trust needs a store, an identity, a logger and metrics")
	}
	if cfg.Clock == nil {
		cfg.Clock = time.Now
	}
	k := &Keeper{
		cfg: cfg, metrics: newMetrics(cfg.Registry), poke: make(chan struct{}, 1),
		state: newState(), fresh: true, serials: map[string]int64{}, withdrawn: map[string][]string{},
	}
	damage, err := k.walk(ctx, func(r Record) { k.state.add(r) })
	if err != nil {
		return nil, err
	}
	for td := range k.state.peers {
		k.setWithdrawn(td)
	}
	if damage != nil {
		k.metrics.damaged.Set(1)
		cfg.Log.Error("the record of trust changes is damaged", "seq", damage.Seq, "reason", damage.Reason)
	}
	learned, err := cfg.Store.LearnedBundles(ctx)
	if err != nil {
		return nil, err
	}
	for _, b := range learned {
		k.serials[b.TrustDomain] = b.Serial
		if err := cfg.Identity.Learn(identity.Learned{TrustDomain: b.TrustDomain, Base: b.Base, Bundle: b.Bundle, At: b.LearnedAt}); err != nil {
			cfg.Log.Error("a learned bundle cannot be used, the configured one counts", "peer", b.TrustDomain, "error", err)
		}
	}
	cfg.Identity.OnChange(k.observe)
	return k, nil
}

// Serial returns that of the offer which the stored bundle of a peer came in; zero
// when none is stored.
func (k *Keeper) Serial(trustDomain string) int64 {
	k.mu.Lock()
	defer k.mu.Unlock()
	return k.serials[trustDomain]
}

// Withdrawn returns the hashes of the keys (cabundle.KeyHash) of CA certificates that
// a person took out of the configured bundle of a peer and did not put back. Learn
// refuses a bundle that holds one. The caller does not change them.
func (k *Keeper) Withdrawn(trustDomain string) []string {
	k.mu.Lock()
	defer k.mu.Unlock()
	return k.withdrawn[trustDomain]
}

// Err says why the last change could not be recorded; nil when it was.
func (k *Keeper) Err() error {
	k.mu.Lock()
	defer k.mu.Unlock()
	return k.failure
}

// Learn puts a bundle into force that a peer offered and that was judged to be good.
// Base names the configured bundle that it was judged under.
//
//  1. Bundle and record are stored in one transaction. A crash before that leaves the
//     old bundle, and the peer was not told of the new one.
//  2. The identity takes it. A crash before that leaves it stored: the next start
//     takes it.
//
// An error means that the old one stays: identity.ErrBase, ErrWithdrawn, ErrTooMany, or
// one of package store.
func (k *Keeper) Learn(ctx context.Context, trustDomain, base string, roots []*x509.Certificate, serial int64) error {
	k.writing.Lock()
	defer k.writing.Unlock()
	snapshot, err := k.present(ctx)
	if err != nil {
		return err
	}
	before, known := snapshot.PeerTrust(trustDomain)
	// The bundle was judged under an earlier snapshot, perhaps.
	if peer, _ := snapshot.Peer(trustDomain); !known || before.Base != base || peer.State == config.Revoked || peer.Rotation == config.Manual {
		return fmt.Errorf("learning a bundle of %q: %w", trustDomain, identity.ErrBase)
	}
	now := k.cfg.Clock().UTC().Truncate(time.Microsecond)
	if slices.ContainsFunc(roots, func(c *x509.Certificate) bool { return slices.Contains(k.Withdrawn(trustDomain), cabundle.KeyHash(c)) }) {
		return fmt.Errorf("learning a bundle of %q: %w", trustDomain, ErrWithdrawn)
	}
	if k.tooMany(trustDomain, now) {
		return fmt.Errorf("learning a bundle of %q: %w", trustDomain, ErrTooMany)
	}
	bundle := store.LearnedBundle{TrustDomain: trustDomain, Base: base, Bundle: cabundle.Encode(roots), Serial: serial, LearnedAt: now}
	record := Record{
		At: now, Subject: trustDomain, What: BundleLearned, Cause: Offer,
		Old: hashesOf(before.Roots), New: hashesOf(roots), OfferSerial: serial, Base: base,
	}
	if err := k.append(ctx, []Record{record}, &bundle, nil); err != nil {
		return err
	}
	k.setSerial(trustDomain, serial)
	err = k.cfg.Identity.Learn(identity.Learned{TrustDomain: trustDomain, Base: base, Bundle: bundle.Bundle, At: now})
	if err != nil {
		return errors.Join(err, k.unlearn(ctx, trustDomain, record))
	}
	return nil
}

// unlearn records that a stored bundle did not come into force, because a person
// changed the configured one at the same moment.
func (k *Keeper) unlearn(ctx context.Context, trustDomain string, learned Record) error {
	undone := Record{At: learned.At, Subject: trustDomain, What: BundleChanged, Cause: Configuration, Old: learned.New}
	if trust, known := k.cfg.Identity.Current().PeerTrust(trustDomain); known {
		undone.New, undone.Base = hashesOf(trust.Roots), trust.Base
	} else {
		undone.What = PeerRemoved
	}
	return k.append(context.WithoutCancel(ctx), []Record{undone}, nil, []string{trustDomain})
}

// Offered records a bundle that a peer offers and that waits for a person, once for
// each, and not more often than maxOffers a day.
func (k *Keeper) Offered(ctx context.Context, trustDomain string, roots []*x509.Certificate, serial int64) error {
	k.writing.Lock()
	defer k.writing.Unlock()
	if _, err := k.present(ctx); err != nil {
		return err
	}
	now := k.cfg.Clock().UTC().Truncate(time.Microsecond)
	before, known := k.state.peers[trustDomain]
	offered := hashesOf(roots)
	if !known || slices.Equal(before.offered, offered) || k.tooMany(trustDomain, now) {
		return nil
	}
	return k.append(ctx, []Record{{
		At: now, Subject: trustDomain, What: BundleOffered, Cause: Offer, Old: before.inForce, New: offered, OfferSerial: serial,
	}}, nil, nil)
}

func (k *Keeper) tooMany(trustDomain string, now time.Time) bool {
	offers := k.state.peers[trustDomain].offers
	return len(offers) == maxOffers && now.Sub(offers[0]) < maxOffersIn
}

// append stores records, and what was learned or is to be forgotten with them, and
// adds them to the state. The caller holds writing.
func (k *Keeper) append(ctx context.Context, records []Record, learn *store.LearnedBundle, forget []string) error {
	err := k.cfg.Store.AppendTrust(ctx, func(last store.TrustRecord) (store.TrustChange, error) {
		sealed, err := seal(last, records)
		return store.TrustChange{Records: sealed, Learn: learn, Forget: forget}, err
	})
	k.mu.Lock()
	k.failure = err
	k.mu.Unlock()
	if err != nil {
		return err
	}
	for _, r := range records {
		k.state.add(r)
		k.setWithdrawn(r.Subject)
		k.metrics.changes.WithLabelValues(string(r.What)).Inc()
		k.cfg.Log.Info("trust changed", "subject", r.Subject, "what", r.What, "cause", r.Cause, "item", r.Item, "from", r.From, "to", r.To)
	}
	for _, td := range forget {
		k.setSerial(td, 0)
	}
	return nil
}

func (k *Keeper) setSerial(trustDomain string, serial int64) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.serials[trustDomain] = serial; serial == 0 {
		delete(k.serials, trustDomain)
	}
}

// setWithdrawn takes over what the state says of a peer.
func (k *Keeper) setWithdrawn(trustDomain string) {
	var keys []string
	for _, h := range k.state.peers[trustDomain].withdrawn {
		keys = append(keys, h.Key)
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.withdrawn[trustDomain] = keys; keys == nil {
		delete(k.withdrawn, trustDomain)
	}
}
