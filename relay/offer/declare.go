// SPDX-FileCopyrightText: The certlink authors
// SPDX-License-Identifier: Apache-2.0

package offer

import (
	"cmp"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"slices"

	"github.com/certlink/certlink/internal/cabundle"
	"github.com/certlink/certlink/relay/config"
	"github.com/certlink/certlink/relay/identity"
	"github.com/certlink/certlink/relay/report"
)

// declared is what the configuration says about one peer.
type declared struct {
	peer                                             config.Peer
	exports, imports, serviceExports, serviceImports []string
	hotline, carries                                 bool
	transit                                          []string // trust domains
}

// declarations reads what the configuration declares for a peer. Imports have the
// names of the peer.
func declarations(c *config.Config, p config.Peer) declared {
	d := declared{peer: p}
	for _, x := range c.Exports {
		if slices.Contains(x.Peers, p.Name) {
			d.exports = append(d.exports, x.Name)
		}
	}
	for _, x := range c.Imports {
		if x.Peer == p.Name {
			d.imports = append(d.imports, x.Collection)
		}
	}
	for _, x := range c.ServiceExports {
		if slices.Contains(x.Peers, p.Name) {
			d.serviceExports = append(d.serviceExports, x.Name)
		}
	}
	for _, x := range c.ServiceImports {
		if x.Peer == p.Name {
			d.serviceImports = append(d.serviceImports, x.Service)
		}
	}
	d.hotline = slices.ContainsFunc(c.Hotlines, func(x config.Hotline) bool { return x.Peer == p.Name })
	d.declareTransit(c)
	for _, list := range []*[]string{&d.exports, &d.imports, &d.serviceExports, &d.serviceImports} {
		slices.Sort(*list)
		*list = slices.Compact(*list)
		*list = (*list)[:min(len(*list), maxNames)]
	}
	return d
}

// view is how we see the link.
type view struct {
	outbound, inbound report.State
	pathsUp           int32
}

// compose puts an offer together, without its serials and time.
func compose(now *identity.Snapshot, d declared, seenRoot string, sealKey []byte, v view, versions []int32, release string) Document {
	trust, _ := now.PeerTrust(d.peer.TrustDomain)
	ours := now.Advertised()
	doc := Document{
		From: now.TrustDomain(), To: d.peer.TrustDomain, Versions: versions, Release: printable(release, maxRelease), State: string(cmp.Or(d.peer.State, config.Active)),
		Card: cabundle.Fingerprint(d.peer.TrustDomain, trust.Roots), AcceptedRoots: cabundle.Hashes(trust.Roots), SeenRoot: seenRoot, Leaf: cabundle.Hash(now.Leaves()["link"]),
		Bundle: cabundle.Encode(ours), BundleHash: cabundle.SetHash(ours),
		Exports: d.exports, Imports: d.imports, ServiceExports: d.serviceExports, ServiceImports: d.serviceImports, Hotline: d.hotline,
		SealKey: sealKey, Carries: d.carries, Transit: d.transit,
		Outbound: v.outbound, Inbound: v.inbound, PathsUp: v.pathsUp,
	}
	doc.Revision = revisionOf(doc)
	return doc
}

// revisionOf names a document that has no serials and no time yet.
func revisionOf(d Document) string {
	text, err := json.Marshal(d)
	if err != nil { // the fields of a document have no value that cannot be written
		text = []byte(err.Error())
	}
	sum := sha256.Sum256(text)
	return hex.EncodeToString(sum[:8])
}
