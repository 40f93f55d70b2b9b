// SPDX-FileCopyrightText: The certlink authors
// SPDX-License-Identifier: Apache-2.0

package relayconfig

import (
	"fmt"
	"strings"

	"github.com/certlink/certlink/api/v1alpha1"
	"github.com/certlink/certlink/controllers/internal/status"
	"github.com/certlink/certlink/internal/card"
	"github.com/certlink/certlink/relay/config"
)

// Bundle is the trust bundle of a PeerCERT as it was found.
type Bundle struct {
	// PEM of the certificates.
	PEM string
	// Missing says why there is none; empty when there is.
	Missing string
	// Last is the PEM that the relay's configuration has had until now, for as long as
	// what was found cannot be used: a ConfigMap that is made anew must not cut the link.
	// Whoever wants that says so with spec.state. Empty when there was none.
	Last string
}

// Usable tells whether certificates were found.
func (b Bundle) Usable() bool {
	if b.Missing != "" {
		return false
	}
	_, err := card.Certificates(b.PEM)
	return err == nil
}

// inForce is the bundle that the relay gets: the one that was found, else the last good one.
func (b Bundle) inForce() Bundle {
	if b.Last != "" && !b.Usable() {
		return Bundle{PEM: b.Last}
	}
	return b
}

// PeerFault says why a PeerCERT cannot become part of the configuration of
// local; nil when it can. Siblings are the PeerCERTs of the namespace with the
// same trust domain.
func PeerFault(p *v1alpha1.PeerCERT, local *v1alpha1.LocalCERT, bundle Bundle, siblings []v1alpha1.PeerCERT) *status.Verdict {
	domain := p.Spec.Identity.TrustDomain
	if domain == local.Spec.Identity.TrustDomain {
		return stalled(v1alpha1.ReasonOwnTrustDomain,
			"spec.identity.trustDomain %q is our own, as LocalCERT %q says; put the peer's card here", domain, local.Name)
	}
	for i := range siblings {
		if s := &siblings[i]; s.Name != p.Name && s.Spec.Identity.TrustDomain == domain && Older(s, p) {
			return stalled(v1alpha1.ReasonPeerNotUnique,
				"PeerCERT %q is older and has the same trust domain %q; delete one of the two", s.Name, domain)
		}
	}
	if bundle.Missing != "" {
		return stalled(v1alpha1.ReasonBundleNotFound, "%s", bundle.Missing)
	}
	if _, err := card.Certificates(bundle.PEM); err != nil {
		return stalled(v1alpha1.ReasonBundleInvalid,
			"the trust bundle of the peer cannot be used: %v; ask the peer for its card and compare the fingerprint", err)
	}
	return invalid(config.Config{Peers: []config.Peer{Peer(p, bundle.PEM)}})
}

// FeedFault says why a SharedFeed cannot become part of the configuration, or
// not wholly; nil when it can. Exists tells whether there is a PeerCERT of a
// name; usable, whether it is part of the configuration.
func FeedFault(f *v1alpha1.SharedFeed, exists, usable func(peer string) bool) *status.Verdict {
	whole := config.Config{}
	var refs []string
	if f.Spec.Direction == v1alpha1.FeedImport {
		refs = []string{f.Spec.Import.PeerRef.Name}
		whole.Imports = []config.Import{Import(f)}
	} else {
		for _, ref := range f.Spec.Export.PeerRefs {
			refs = append(refs, ref.Name)
		}
		whole.Exports = []config.Export{Export(f, func(string) bool { return false })}
	}
	if v := invalid(whole); v != nil {
		return v
	}
	return peerFault(refs, exists, usable)
}

// HotlineFault says why a Hotline cannot become part of the configuration; nil
// when it can. Siblings are the hotlines of the namespace to the same peer.
func HotlineFault(h *v1alpha1.Hotline, siblings []v1alpha1.Hotline, exists, usable func(peer string) bool) *status.Verdict {
	for i := range siblings {
		if s := &siblings[i]; s.Name != h.Name && s.Spec.PeerRef == h.Spec.PeerRef && Older(s, h) {
			return stalled(v1alpha1.ReasonHotlineNotUnique,
				"Hotline %q is older and has the same peer %q; delete one of the two", s.Name, h.Spec.PeerRef.Name)
		}
	}
	if v := invalid(config.Config{Hotlines: []config.Hotline{Hotline(h)}}); v != nil {
		return v
	}
	return peerFault([]string{h.Spec.PeerRef.Name}, exists, usable)
}

func peerFault(refs []string, exists, usable func(string) bool) *status.Verdict {
	var missing, waiting []string
	for _, name := range refs {
		switch {
		case !exists(name):
			missing = append(missing, name)
		case !usable(name):
			waiting = append(waiting, name)
		}
	}
	if len(missing) > 0 {
		return stalled(v1alpha1.ReasonPeerNotFound,
			"there is no PeerCERT %s in this namespace; create it or take it out of the spec", quoted(missing))
	}
	if len(waiting) > 0 {
		return &status.Verdict{
			Fate:    status.Working,
			Reason:  v1alpha1.ReasonPeerNotReady,
			Message: fmt.Sprintf("our relay has no PeerCERT %s yet; its condition Ready says why", quoted(waiting)),
		}
	}
	return nil
}

// invalid runs the relay's own checks over a part of the configuration, without
// those that need the other parts.
func invalid(part config.Config) *status.Verdict {
	faults := check(part)
	if len(faults) == 0 {
		return nil
	}
	return stalled(v1alpha1.ReasonSpecInvalid, "our relay cannot run this spec: %s", strings.Join(faults, "; "))
}

func stalled(reason, format string, args ...any) *status.Verdict {
	return &status.Verdict{Fate: status.Stalled, Reason: reason, Message: fmt.Sprintf(format, args...)}
}

func quoted(names []string) string {
	out := make([]string, len(names))
	for i, n := range names {
		out[i] = fmt.Sprintf("%q", n)
	}
	return strings.Join(out, ", ")
}
