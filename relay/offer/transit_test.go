// SPDX-FileCopyrightText: The certlink authors
// SPDX-License-Identifier: Apache-2.0

package offer_test

import (
	"bytes"
	"context"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/certlink/certlink/internal/testca"
	"github.com/certlink/certlink/relay/config"
	"github.com/certlink/certlink/relay/offer"
	"github.com/certlink/certlink/relay/report"
)

// sealKeys is a ring of one key that remembers what it learned.
type sealKeys struct {
	mu        sync.Mutex // guards what follows
	public    []byte
	learned   []byte
	statement []byte
	at        time.Time
}

func (k *sealKeys) Public() []byte {
	k.mu.Lock()
	defer k.mu.Unlock()
	return k.public
}

func (k *sealKeys) Learn(_ context.Context, _ string, public, statement []byte, at time.Time) error {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.learned, k.statement, k.at = public, statement, at
	return nil
}

func (k *sealKeys) knows(public string) bool {
	k.mu.Lock()
	defer k.mu.Unlock()
	return string(k.learned) == public
}

// vouched is the statement that came with the key, and when.
func (k *sealKeys) vouched() (statement []byte, at time.Time) {
	k.mu.Lock()
	defer k.mu.Unlock()
	return k.statement, k.at
}

func TestAnOfferTellsTheKeyForSealingAndVouchesForIt(t *testing.T) {
	ours, theirs := &sealKeys{public: []byte("alfa's key")}, &sealKeys{}
	alfa, bravo := newWorld(t, func(alfa, bravo *nation) { alfa.keys, bravo.keys = ours, theirs })
	bravo.eventually("alfa's key", func(*report.Offer) bool { return theirs.knows("alfa's key") })
	statement, at := theirs.vouched()
	td, public, err := offer.SealKeyOf(bravo.source().Current(), statement, at)
	if err != nil || td != alfa.td || string(public) != "alfa's key" {
		t.Errorf("vouched: %q %q, %v", td, public, err)
	}
	if _, _, err := offer.SealKeyOf(bravo.source().Current(), statement, at.AddDate(20, 0, 0)); err == nil {
		t.Error("it vouches for ever, whenever it came")
	}
	changed := bytes.Clone(statement)
	changed[len(changed)/2] ^= 1
	if _, _, err := offer.SealKeyOf(bravo.source().Current(), changed, at); err == nil {
		t.Error("a changed offer vouches")
	}
	ours.mu.Lock()
	ours.public = []byte("the next key")
	ours.mu.Unlock()
	alfa.engine().KeyChanged()
	bravo.eventually("the next key", func(*report.Offer) bool { return theirs.knows("the next key") })
	statement, at = theirs.vouched()
	if _, _, err := offer.SealKeyOf(alfa.source().Current(), statement, at); err != nil {
		t.Errorf("our own offer: %v", err)
	}
}

func TestAnOfferTellsThroughWhomMessagesMayGo(t *testing.T) {
	alfa, bravo := newWorld(t, func(alfa, _ *nation) {
		charlie := testca.New(t, "charlie.example")
		alfa.cfg.Peers = append(alfa.cfg.Peers, config.Peer{Name: "charlie", TrustDomain: charlie.TrustDomain, Bundle: charlie.Bundle(), State: config.Active, Transit: config.TransitAllowed})
		alfa.cfg.Hotlines = []config.Hotline{{Name: "red", Peer: "bravo", Transit: []string{"charlie"}}}
	})
	if _, known := bravo.engine().Through("nobody.example"); known {
		t.Error("who says nothing is known")
	}
	bravo.eventually("alfa's offer", func(*report.Offer) bool {
		through, known := bravo.engine().Through(alfa.td)
		carries, _ := bravo.engine().Carries(alfa.td)
		return known && slices.Equal(through, []string{"charlie.example"}) && !carries
	})
	alfa.apply(func(c *config.Config) {
		c.Hotlines = nil
		for i := range c.Peers {
			c.Peers[i].Transit = config.TransitAllowed
		}
	})
	bravo.eventually("the change", func(*report.Offer) bool {
		through, _ := bravo.engine().Through(alfa.td)
		carries, _ := bravo.engine().Carries(alfa.td)
		return carries && len(through) == 0
	})
}
