// SPDX-FileCopyrightText: The certlink authors
// SPDX-License-Identifier: Apache-2.0

// Package keyring keeps the keys to which relays seal what travels through the hands of
// others: our own pairs, and the public key of each peer.
//
// It promises that there is always a key of ours once it runs, and a new one every 30
// days; that old ones still open what was sealed to them for 400 days after they were
// made, so that a courier may travel long; that a peer's key was vouched for by an offer
// that the peer signed, which chains to the bundle in force now; and that all of it is on
// stable storage before it counts.
//
// It seals and opens nothing, and does not exchange keys: packages seal and offer do.
package keyring

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"github.com/certlink/certlink/relay/seal"
	"github.com/certlink/certlink/relay/store"
)

const (
	// Lifetime is how long a key is the present one.
	Lifetime = 30 * 24 * time.Hour
	// Kept is how long after it was made a key still opens.
	Kept = 400 * 24 * time.Hour
	// again is how often keys are looked at, and soon after a failure.
	again = time.Hour
	soon  = 5 * time.Second
	// rereadGap is the shortest time between two looks for a key that we do not have.
	rereadGap = time.Second
	// leaseName of the replica that makes keys.
	leaseName = "seal-keys"
)

// ErrUnknownKey: we never learned to which key to seal for the peer, or who vouched for it
// is not trusted any more.
var ErrUnknownKey = errors.New("the peer's key for sealing is not known")

// Config is what a Ring needs.
type Config struct {
	// Store keeps the keys. Required.
	Store store.Sealing
	// Vouched opens a stored statement about a key under the trust in force now, as it was
	// at the time at: offer.SealKeyOf. Required.
	Vouched func(statement []byte, at time.Time) (trustDomain string, public []byte, err error)
	// Lead does work while this replica has the lease of that name. Nil means that there
	// is no other replica.
	Lead func(ctx context.Context, name string, work func(ctx context.Context))
	// Now is the clock. Nil means time.Now.
	Now func() time.Time
	// Log is required.
	Log *slog.Logger
	// Changed is called when our present key is another one. It must not block. Nil means nobody.
	Changed func()
}

// Ring has the keys. Its methods may be called concurrently.
type Ring struct {
	cfg Config

	mu    sync.Mutex // guards what follows
	own   []seal.PrivateKey
	made  time.Time // of the newest
	peers map[string]store.PeerSealKey
	read  time.Time // when own and peers were read last
}

// New reads the keys, and makes the first.
func New(ctx context.Context, cfg Config) (*Ring, error) {
	if cfg.Store == nil || cfg.Vouched == nil || cfg.Log == nil {
		return nil, errors.New("building the keyring: store, vouched and log are required")
	}
	if cfg.Now == nil {
		cfg.Now = time.Now
	}
	if cfg.Lead == nil {
		cfg.Lead = func(ctx context.Context, _ string, work func(context.Context)) { work(ctx) }
	}
	if cfg.Changed == nil {
		cfg.Changed = func() {}
	}
	r := &Ring{cfg: cfg, peers: map[string]store.PeerSealKey{}}
	if err := r.reload(ctx); err != nil {
		return nil, err
	}
	if len(r.own) > 0 {
		return r, nil
	}
	// Replicas that start at once store one key: the second finds that of the first.
	if err := r.make(ctx, time.Unix(0, 0)); err != nil {
		return nil, err
	}
	return r, nil
}

// Run makes keys and deletes old ones until ctx ends.
func (r *Ring) Run(ctx context.Context) error {
	r.cfg.Lead(ctx, leaseName, func(ctx context.Context) {
		for {
			wait := again
			if err := r.turn(ctx); err != nil && ctx.Err() == nil {
				r.cfg.Log.Error("keys for sealing cannot be renewed, the present one stays", "error", err)
				wait = soon
			}
			select {
			case <-ctx.Done():
				return
			case <-time.After(wait):
			}
		}
	})
	return nil
}

// turn does what is due.
//
//  1. A new key is stored. A crash before leaves the old one, after it both.
//  2. It becomes the present one, and our next offer names it. A crash before that makes
//     the next start do so.
//  3. Keys that are too old are deleted.
func (r *Ring) turn(ctx context.Context) error {
	now := r.cfg.Now()
	r.mu.Lock()
	made, due := r.made, now.Sub(r.made) >= Lifetime
	r.mu.Unlock()
	if due {
		if err := r.make(ctx, made.Add(time.Microsecond)); err != nil {
			return err
		}
		r.cfg.Log.Info("a new key for sealing is in use; the old ones still open what was sealed to them")
		r.cfg.Changed()
	}
	dropped, err := r.cfg.Store.DropSealKeys(ctx, now.Add(-Kept))
	if err != nil || dropped == 0 {
		return err
	}
	return r.reload(ctx)
}

// make adds a key of ours unless there is one since.
func (r *Ring) make(ctx context.Context, since time.Time) error {
	key, err := seal.NewPrivateKey()
	if err != nil {
		return err
	}
	raw, err := key.Bytes()
	if err != nil {
		return fmt.Errorf("making key: %w", err)
	}
	k := store.SealKey{ID: key.Public().ID().String(), Private: raw, CreatedAt: r.cfg.Now().UTC().Truncate(time.Microsecond)}
	if _, err := r.cfg.Store.AddSealKey(ctx, k, since); err != nil {
		return err
	}
	return r.reload(ctx)
}

// reload reads what is stored.
func (r *Ring) reload(ctx context.Context) error {
	stored, err := r.cfg.Store.SealKeys(ctx)
	if err != nil {
		return err
	}
	peers, err := r.cfg.Store.PeerSealKeys(ctx)
	if err != nil {
		return err
	}
	own := make([]seal.PrivateKey, 0, len(stored))
	for _, k := range stored {
		key, err := seal.ParsePrivateKey(k.Private)
		if err != nil {
			return fmt.Errorf("reading our key %s: %w", k.ID, err)
		}
		own = append(own, key)
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.own, r.peers, r.read = own, map[string]store.PeerSealKey{}, r.cfg.Now()
	if len(stored) > 0 {
		r.made = stored[0].CreatedAt
	}
	for _, k := range peers {
		r.peers[k.Peer] = k
	}
	return nil
}

// Public is our present key; nil while there is none.
func (r *Ring) Public() []byte {
	r.mu.Lock()
	defer r.mu.Unlock()
	if len(r.own) == 0 {
		return nil
	}
	return r.own[0].Public().Bytes()
}

// Private returns our keys for what was sealed to the one with an id. Another replica may
// have made it, so one that we do not have is looked for, at most once a second.
func (r *Ring) Private(ctx context.Context, id seal.KeyID) []seal.PrivateKey {
	own, found := r.find(id)
	if found || !r.mayReread() {
		return own
	}
	if err := r.reload(ctx); err != nil {
		r.cfg.Log.Warn("our keys for sealing cannot be read", "error", err)
	}
	own, _ = r.find(id)
	return own
}

func (r *Ring) find(id seal.KeyID) ([]seal.PrivateKey, bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, k := range r.own {
		if k.Public().ID() == id {
			return r.own, true
		}
	}
	return r.own, false
}

func (r *Ring) mayReread() bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	since := r.cfg.Now().Sub(r.read)
	return since >= rereadGap || since < 0
}

// Learn keeps the key of a peer; durable on return. Nothing is written while the stored
// one is the same and still vouched for.
func (r *Ring) Learn(ctx context.Context, trustDomain string, public, statement []byte, at time.Time) error {
	if _, err := seal.ParsePublicKey(public); err != nil {
		return err
	}
	r.mu.Lock()
	known, ok := r.peers[trustDomain]
	r.mu.Unlock()
	if ok && string(known.Public) == string(public) && r.vouched(known) == nil {
		return nil
	}
	k := store.PeerSealKey{Peer: trustDomain, Public: public, Statement: statement, LearnedAt: at.UTC().Truncate(time.Microsecond)}
	if err := r.cfg.Store.PutPeerSealKey(ctx, k); err != nil {
		return err
	}
	r.mu.Lock()
	r.peers[trustDomain] = k
	r.mu.Unlock()
	return nil
}

// Peer returns the key to which we seal for a peer. The error wraps ErrUnknownKey.
func (r *Ring) Peer(ctx context.Context, trustDomain string) (seal.PublicKey, error) {
	k, ok := r.peer(trustDomain)
	if !ok && r.mayReread() { // another replica may have learned it
		if err := r.reload(ctx); err != nil {
			return seal.PublicKey{}, err
		}
		k, ok = r.peer(trustDomain)
	}
	if !ok {
		return seal.PublicKey{}, fmt.Errorf("%w: %s never told us one, as the direct link was not up since both relays can do this; it is learned once the link is up", ErrUnknownKey, trustDomain)
	}
	if err := r.vouched(k); err != nil {
		return seal.PublicKey{}, fmt.Errorf("%w: that of %s was vouched for by a certificate that we do not trust now (%w); it is learned anew once the link is up", ErrUnknownKey, trustDomain, err)
	}
	return seal.ParsePublicKey(k.Public)
}

func (r *Ring) peer(trustDomain string) (store.PeerSealKey, bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	k, ok := r.peers[trustDomain]
	return k, ok
}

// vouched checks the statement of a stored key under the trust in force now.
func (r *Ring) vouched(k store.PeerSealKey) error {
	from, public, err := r.cfg.Vouched(k.Statement, k.LearnedAt)
	switch {
	case err != nil:
		return err
	case from != k.Peer || string(public) != string(k.Public):
		return fmt.Errorf("the stored statement is of %q and not about this key", from)
	}
	return nil
}
