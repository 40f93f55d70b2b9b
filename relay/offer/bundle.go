// SPDX-FileCopyrightText: The certlink authors
// SPDX-License-Identifier: Apache-2.0

package offer

import (
	"crypto/x509"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/spiffe/go-spiffe/v2/bundle/x509bundle"
	"github.com/spiffe/go-spiffe/v2/spiffeid"
	"github.com/spiffe/go-spiffe/v2/svid/x509svid"

	"github.com/certlink/certlink/internal/cabundle"
	"github.com/certlink/certlink/relay/config"
	"github.com/certlink/certlink/relay/identity"
)

// action is what is done about an offered bundle.
type action int

const (
	keep   action = iota // it is in force, or older than what was learned
	learn                // it comes into force
	wait                 // a person decides
	refuse               // it is wrong
)

// offered is a bundle in an offer, with all that it is judged by.
type offered struct {
	trustDomain  string
	bundle, hash string
	serial       int64
	// trust in force, rotation as configured, and the serial of what was learned last.
	trust    identity.PeerTrust
	rotation config.Rotation
	learned  int64
	// withdrawn are the hashes of keys that a person does not want.
	withdrawn []string
	// signing is the chain that signed the offer, seen the one that the peer's relay
	// showed in its last handshake; nil when there was none.
	signing, seen []*x509.Certificate
	now           time.Time
}

// verdict about an offered bundle: what is done, with its roots, or why it is refused.
type verdict struct {
	action action
	roots  []*x509.Certificate
	err    error
	// note says what of the bundle stays out, if anything does.
	note error
}

// judge decides what becomes of an offered bundle.
func judge(o offered) verdict {
	if o.bundle == "" {
		return verdict{action: keep}
	}
	roots, err := cabundle.Parse(o.bundle)
	if err != nil {
		return verdict{action: refuse, err: fmt.Errorf("the bundle that the peer offers cannot be used: %w; its operators must correct their CA", err)}
	}
	roots = cabundle.Union(roots)
	// As it is stored it must be a bundle, too: lines make it longer.
	if _, err := cabundle.Parse(cabundle.Encode(roots)); err != nil {
		return verdict{action: refuse, err: fmt.Errorf("the bundle that the peer offers cannot be used: in lines of 64 characters %w; its operators must shorten it", err)}
	}
	set := cabundle.SetHash(roots)
	if o.hash != "" && o.hash != set {
		return verdict{action: refuse, roots: roots, err: fmt.Errorf(
			"the bundle that the peer offers has the hash %s, but the peer says %s: it was damaged before it was signed", set, o.hash)}
	}
	note := error(nil)
	if o.rotation != config.Manual { // with Manual a person sees all of it
		roots, note = o.wanted(roots)
		set = cabundle.SetHash(roots)
	}
	switch {
	case len(roots) == 0:
		return verdict{action: refuse, err: note}
	case set == cabundle.SetHash(o.trust.Roots), o.serial < o.learned:
		return verdict{action: keep, roots: roots, note: note}
	case !slices.ContainsFunc(roots, func(c *x509.Certificate) bool { return !o.now.Before(c.NotBefore) && !o.now.After(c.NotAfter) }):
		err = errors.New("no CA certificate in the bundle that the peer offers is valid now: the peer must renew its CA, or one of the two clocks is wrong")
	case o.rotation == config.Manual:
		return verdict{action: wait, roots: roots}
	case !overlap(roots, o.trust.Roots):
		err = errors.New("the bundle that the peer offers shares no CA certificate with the one in force: a jump to another CA is for people; " +
			"compare fingerprints over another channel and put the peer's new card into our PeerCERT")
	default:
		err = o.lockedOut(roots)
	}
	if err != nil {
		return verdict{action: refuse, roots: roots, err: err}
	}
	return verdict{action: learn, roots: roots, note: note}
}

// wanted leaves out what a person took out of the configured bundle: the rest may be
// taken all the same, so that the peer can go on to another CA.
func (o offered) wanted(roots []*x509.Certificate) ([]*x509.Certificate, error) {
	var in, out []*x509.Certificate
	for _, c := range roots {
		if slices.Contains(o.withdrawn, cabundle.KeyHash(c)) {
			out = append(out, c)
		} else {
			in = append(in, c)
		}
	}
	if len(out) == 0 {
		return roots, nil
	}
	return in, fmt.Errorf("the peer still offers the CA certificate %s, which was taken out of our PeerCERT; it stays out: "+
		"the peer must take it out of its bundle, or put it back into our PeerCERT with the peer's new card", cabundle.Hash(out[0]))
}

// lockedOut says that the bundle would refuse what the peer uses now.
func (o offered) lockedOut(roots []*x509.Certificate) error {
	td, err := spiffeid.TrustDomainFromString(o.trustDomain)
	if err != nil {
		return fmt.Errorf("reading the peer's trust domain: %w", err)
	}
	bundle := x509bundle.FromX509Authorities(td, roots)
	for _, c := range []struct {
		name  string
		chain []*x509.Certificate
	}{{"signing", o.signing}, {"link", o.seen}} {
		if c.chain == nil {
			continue
		}
		if _, _, err := x509svid.Verify(c.chain, bundle, x509svid.WithTime(o.now)); err != nil {
			return fmt.Errorf("the bundle that the peer offers does not vouch for the %s certificate that the peer uses now, and would lock it out: "+
				"the peer must issue that certificate from the new CA before the old one leaves its bundle", c.name)
		}
	}
	return nil
}

func overlap(a, b []*x509.Certificate) bool {
	return slices.ContainsFunc(a, func(c *x509.Certificate) bool { return slices.ContainsFunc(b, c.Equal) })
}
