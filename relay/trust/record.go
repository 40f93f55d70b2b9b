// SPDX-FileCopyrightText: The certlink authors
// SPDX-License-Identifier: Apache-2.0

package trust

import (
	"crypto/sha256"
	"crypto/x509"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/certlink/certlink/internal/cabundle"
	"github.com/certlink/certlink/relay/store"
)

// What changed.
type What string

// The changes. Those of our own trust domain are LeafChanged, RootAdded and
// RootRetired; the others are about a peer.
const (
	// LeafChanged: Item ("link", "local" or "signing") is a new certificate.
	LeafChanged What = "LeafChanged"
	// RootAdded, RootRetired: of the bundle by which peers are to know us.
	RootAdded   What = "RootAdded"
	RootRetired What = "RootRetired"
	// PeerAdded, PeerRemoved: with the bundle in force, and the state.
	PeerAdded   What = "PeerAdded"
	PeerRemoved What = "PeerRemoved"
	// StateChanged, RotationChanged: from From to To.
	StateChanged    What = "StateChanged"
	RotationChanged What = "RotationChanged"
	// BundleChanged: a person changed the configured bundle, which counts now.
	BundleChanged What = "BundleChanged"
	// BundleLearned: the peer offered a bundle that is in force now.
	BundleLearned What = "BundleLearned"
	// BundleOffered: the peer offered a bundle that waits for a person.
	BundleOffered What = "BundleOffered"
)

// Cause of a change.
type Cause string

// The causes.
const (
	// Configuration: a person, or our operator for one, changed the configuration.
	Configuration Cause = "Configuration"
	// Offer: the peer's signed offer, over its authenticated link.
	Offer Cause = "Offer"
	// File: our certificate files were renewed.
	File Cause = "File"
)

// Hash names a certificate, and its key, which may outlive it: hexadecimal SHA-256
// over the DER encoding of each.
type Hash struct {
	Certificate string `json:"certificate"`
	Key         string `json:"key"`
}

// Record is one change of trust.
type Record struct {
	// Seq counts from 1, without gaps. At is by our clock.
	Seq int64     `json:"seq"`
	At  time.Time `json:"at"`
	// Subject is the trust domain whose trust changed.
	Subject string `json:"subject"`
	What    What   `json:"what"`
	Cause   Cause  `json:"cause"`
	// Item, From and To as What says.
	Item string `json:"item,omitempty"`
	From string `json:"from,omitempty"`
	To   string `json:"to,omitempty"`
	// Old and New are the certificates that counted before and count after.
	Old []Hash `json:"old,omitempty"`
	New []Hash `json:"new,omitempty"`
	// Base names the configured bundle of a peer at that moment (cabundle.SetHash).
	Base string `json:"base,omitempty"`
	// OfferSerial is that of the offer that caused it.
	OfferSerial int64 `json:"offerSerial,omitempty"`
	// Previous is the SHA-256, hexadecimal, of the record before this one as it is
	// stored; empty in the first.
	Previous string `json:"previous,omitempty"`
}

func hashOf(c *x509.Certificate) Hash {
	return Hash{Certificate: cabundle.Hash(c), Key: cabundle.KeyHash(c)}
}

// hashesOf are sorted, each once.
func hashesOf(certs []*x509.Certificate) []Hash {
	var all []Hash
	for _, c := range certs {
		all = append(all, hashOf(c))
	}
	slices.SortFunc(all, func(a, b Hash) int { return strings.Compare(a.Certificate, b.Certificate) })
	return slices.Compact(all)
}

// digest names a stored record.
func digest(content []byte) string {
	sum := sha256.Sum256(content)
	return hex.EncodeToString(sum[:])
}

// seal chains records to the last one that is stored, and writes them.
func seal(last store.TrustRecord, records []Record) ([]store.TrustRecord, error) {
	previous := ""
	if last.Seq > 0 {
		previous = digest(last.Content)
	}
	out := make([]store.TrustRecord, 0, len(records))
	for i, r := range records {
		r.Seq, r.Previous = last.Seq+int64(i)+1, previous
		content, err := json.Marshal(r)
		if err != nil {
			return nil, fmt.Errorf("writing a record of trust: %w", err)
		}
		out = append(out, store.TrustRecord{Subject: r.Subject, Content: content})
		previous = digest(content)
	}
	return out, nil
}

// chain verifies stored records, from the first one on.
type chain struct {
	last   int64
	digest string
}

// next reads a record. Its error says why the record does not follow the one
// before; the chain goes on from it nevertheless.
func (c *chain) next(stored store.TrustRecord) (Record, error) {
	var r Record
	parsed := json.Unmarshal(stored.Content, &r)
	wantSeq, wantPrevious := c.last+1, c.digest
	c.last, c.digest = stored.Seq, digest(stored.Content)
	switch {
	case parsed != nil:
		return Record{Seq: stored.Seq, Subject: stored.Subject}, fmt.Errorf("record %d cannot be read: %w", stored.Seq, parsed)
	case stored.Seq != wantSeq:
		return r, fmt.Errorf("record %d is missing", wantSeq)
	case r.Seq != stored.Seq || r.Subject != stored.Subject:
		return r, fmt.Errorf("record %d was written as record %d about %q", stored.Seq, r.Seq, r.Subject)
	case r.Previous != wantPrevious:
		return r, fmt.Errorf("record %d was changed after it was written", stored.Seq-1)
	}
	return r, nil
}
