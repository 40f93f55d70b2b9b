// SPDX-FileCopyrightText: The certlink authors
// SPDX-License-Identifier: Apache-2.0

package feed

import (
	"crypto/sha256"
	"encoding/hex"
	"reflect"
	"sync"

	"github.com/certlink/certlink/relay/config"
	"github.com/certlink/certlink/relay/rule"
	"github.com/certlink/certlink/relay/store"
	"github.com/certlink/certlink/relay/territory"
)

// outlook is an export as it is toward one peer at one moment. It does not change.
type outlook struct {
	policy *rule.Policy
	// hash stands for all that decides what leaves, and in which form.
	hash string

	// What it was made from, to know whether it still holds.
	base  *rule.Policy
	atlas *territory.Atlas
	area  config.PeerTerritory
}

// outlooks remembers the last outlook toward each peer.
type outlooks struct {
	mu     sync.Mutex
	byPeer map[string]*outlook
}

// toward is the export's outlook toward a reader; nil while the policy is not known.
func (e *export) toward(reader config.Peer, atlas *territory.Atlas) (*outlook, error) {
	base := e.current()
	if base == nil {
		return nil, nil
	}
	if !base.Territorial() {
		// The rest does not count.
		reader.Territory, atlas = config.PeerTerritory{}, nil
	}
	e.outlooks.mu.Lock()
	defer e.outlooks.mu.Unlock()
	last := e.outlooks.byPeer[reader.TrustDomain]
	if last != nil && last.base == base && last.atlas == atlas && reflect.DeepEqual(last.area, reader.Territory) {
		return last, nil
	}
	o := &outlook{policy: base, base: base, atlas: atlas, area: reader.Territory}
	if base.Territorial() {
		area, err := territory.NewArea(reader.Territory)
		if err != nil {
			return nil, err
		}
		o.policy = base.Toward(area, atlas)
	}
	o.hash = o.policy.Hash()
	if digest := e.redaction.Digest(); digest != "" {
		sum := sha256.Sum256([]byte(o.hash + " " + digest))
		o.hash = hex.EncodeToString(sum[:])
	}
	if e.outlooks.byPeer == nil {
		e.outlooks.byPeer = map[string]*outlook{}
	}
	e.outlooks.byPeer[reader.TrustDomain] = o
	return o, nil
}

// view is what the peer sees of the export now.
func (o *outlook) view(e *export, reader config.Peer) store.View {
	return store.View{Feed: e.Name, Peer: reader.TrustDomain, Rule: o.hash}
}

// collections are those that a peer's view of the export draws on: the sources, and
// what we tell this peer ourselves.
func (e *export) collections(trustDomain string) []string {
	all := append(make([]string, 0, len(e.stored)+2), e.stored...)
	return append(all, noticeName(e.Name, trustDomain), noteName(e.Name, trustDomain))
}

// noticeName and noteName are names of collections in the store: our announcements
// to one peer, and our notes about territory.
func noticeName(export, trustDomain string) string { return "notice/" + export + "/" + trustDomain }

func noteName(export, trustDomain string) string { return "note/" + export + "/" + trustDomain }

// atlas is the territory data of the moment; nil for none.
func (e *Engine) atlas() *territory.Atlas {
	if e.cfg.Atlas == nil {
		return nil
	}
	return e.cfg.Atlas()
}

// TerritoryChanged decides again what depends on the territory data.
func (e *Engine) TerritoryChanged() { e.exporter.wake() }
