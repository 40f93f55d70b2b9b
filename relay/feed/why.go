// SPDX-FileCopyrightText: The certlink authors
// SPDX-License-Identifier: Apache-2.0

package feed

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"time"

	"github.com/certlink/certlink/relay/config"
	"github.com/certlink/certlink/relay/desk"
	"github.com/certlink/certlink/relay/rule"
	"github.com/certlink/certlink/relay/stix"
	"github.com/certlink/certlink/relay/store"
)

// maxVersions is the largest number of versions of an object that Why shows.
const maxVersions = 100

// Why says for each export what was decided about an object for a peer. It
// implements desk.Explainer.
func (e *Engine) Why(ctx context.Context, object, peer string) (desk.Why, error) {
	if _, ok := stix.SplitID(object); !ok {
		return desk.Why{}, &desk.InvalidError{Faults: []desk.Fault{{Field: "object", Reason: "is no STIX identifier, such as indicator--8e2e2d2b-17d4-4cbf-938f-98ee46b3cd3f"}}}
	}
	p := e.live.Load()
	asked, ok := p.known[peer]
	if !ok {
		return desk.Why{}, fmt.Errorf("peer %q: %w", peer, store.ErrNotFound)
	}
	out := desk.Why{Object: object, Peer: peer, Feeds: []desk.WhyFeed{}}
	for _, x := range p.exports {
		f, err := e.why(ctx, x, object, asked)
		if err != nil {
			return desk.Why{}, err
		}
		if len(f.Versions) > 0 || slices.Contains(x.Peers, peer) {
			out.Feeds = append(out.Feeds, f)
		}
	}
	return out, nil
}

func (e *Engine) why(ctx context.Context, x *export, object string, peer config.Peer) (desk.WhyFeed, error) {
	f := desk.WhyFeed{Feed: x.Name, Stops: stops(x, peer)}
	o, err := x.toward(peer, e.atlas())
	if err != nil {
		return f, err
	}
	if o != nil {
		f.Rule = o.hash
	}
	view := store.View{Feed: x.Name, Peer: peer.TrustDomain, Rule: f.Rule}
	found, err := e.cfg.Store.Explain(ctx, view, x.stored, object, maxVersions)
	if err != nil {
		return f, err
	}
	came, err := e.whereabouts(ctx, view, object)
	if err != nil {
		return f, err
	}
	for _, v := range found {
		one := x.version(f.Rule, v)
		came.tell(&one, v)
		f.Versions = append(f.Versions, one)
	}
	return f, nil
}

// stops says why a feed does not reach a peer, whatever its rule says.
func stops(x *export, peer config.Peer) string {
	switch {
	case !slices.Contains(x.Peers, peer.Name):
		return fmt.Sprintf("the feed does not name %s: add it to spec.export.peerRefs, if it is to have the feed", peer.Name)
	case !active(peer):
		return fmt.Sprintf("%s is %s by our side: feeds flow again when spec.state of the PeerCERT is Active", peer.Name, peer.State)
	}
	return ""
}

// version judges what the store knows by the rule in force.
func (e *export) version(inForce string, v store.Explained) desk.WhyVersion {
	out := desk.WhyVersion{Version: v.Version, Source: e.sources[v.Collection], AddedAt: v.DateAdded, Reason: v.Reason, DecidedAt: v.DecidedAt}
	if v.Evidence != "" {
		out.Evidence = json.RawMessage(v.Evidence)
	}
	switch {
	case v.Rule == "" || v.Rule != inForce:
		out.Outcome, out.Reason, out.DecidedAt, out.Evidence = desk.Undecided, "", time.Time{}, nil
		out.Message = "the rule in force has not decided about this version yet"
	case v.Share:
		out.Outcome, out.SharedAt, out.Until, out.Redacted = desk.Shared, v.SharedAt, v.Until, v.Form != ""
		out.Message = rule.Explain(v.Reason, e.Rule)
	case v.Reason == store.Replacing:
		out.Outcome = desk.Held
		out.Message = "the peer has it in another form, which it is asked to drop first: it is shared again in a moment"
	default:
		out.Outcome = desk.Held
		out.Message = rule.Explain(v.Reason, e.Rule)
	}
	return out
}
