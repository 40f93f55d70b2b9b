// SPDX-FileCopyrightText: The certlink authors
// SPDX-License-Identifier: Apache-2.0

package config

import (
	"net"
	"path/filepath"
	"strings"

	"github.com/certlink/certlink/relay/rule/expression"
)

// maxList is the largest number of peers, exports and imports.
const maxList = 1024

// Validate returns a FaultsError with every fault, or nil. Defaults must have
// been set.
func (c *Config) Validate() error {
	f := newFaults()
	if c.APIVersion != APIVersion {
		f.in("apiVersion").add("must be %q, not %q", APIVersion, c.APIVersion)
	}
	if c.Kind != Kind {
		f.in("kind").add("must be %q, not %q", Kind, c.Kind)
	}
	c.Identity.validate(f.in("identity"))
	c.Listen.validate(f.in("listen"))
	c.Store.validate(f.in("store"))
	c.Territory.validate(f.in("territory"))
	c.Desk.validate(f.in("desk"))
	peers := c.validatePeers(f.in("peers"))
	c.validateFeeds(f, peers)
	c.validateHotlines(f.in("hotlines"), peers)
	c.validateServices(f, peers)
	return f.err()
}

func (id Identity) validate(f faults) {
	checkTrustDomain(f.in("trustDomain"), id.TrustDomain)
	checkText(f.in("displayName"), id.DisplayName, 256)
	if id.Bundle != "" {
		checkBundle(f.in("bundle"), id.Bundle)
	}
	pairs := []struct {
		name string
		pair KeyPair
	}{{"link", id.Link}, {"local", id.Local}, {"signing", id.Signing}}
	for _, p := range pairs {
		at := f.in(p.name)
		checkFile(at.in("certFile"), p.pair.CertFile)
		checkFile(at.in("keyFile"), p.pair.KeyFile)
		checkFile(at.in("caFile"), p.pair.CAFile)
	}
}

func (l Listen) validate(f faults) {
	checkListen(f.in("link"), l.Link)
	checkListen(f.in("local"), l.Local)
	checkListen(f.in("health"), l.Health)
	fixed := func(a string) bool { return a != "" && !strings.HasSuffix(a, ":0") }
	if fixed(l.Link) && (l.Link == l.Local || l.Link == l.Health) || fixed(l.Local) && l.Local == l.Health {
		f.add("link, local and health must be three different addresses")
	}
}

func (s SQLite) validate(f faults) {
	f = f.in("path")
	checkFile(f, s.Path)
	if s.Path != "" && filepath.Clean(s.Path) != s.Path {
		f.add("must be written as %q", filepath.Clean(s.Path))
	}
}

// validatePeers returns the names of the peers.
func (c *Config) validatePeers(f faults) *set {
	checkCount(f, len(c.Peers), maxList)
	names, domains := newSet("peer name"), newSet("trust domain")
	for i, p := range c.Peers {
		at := f.at(i)
		checkName(at.in("name"), p.Name)
		names.add(at.in("name"), p.Name)
		checkTrustDomain(at.in("trustDomain"), p.TrustDomain)
		domains.add(at.in("trustDomain"), p.TrustDomain)
		if p.TrustDomain != "" && p.TrustDomain == c.Identity.TrustDomain {
			at.in("trustDomain").add("is our own; a peer is another party")
		}
		checkText(at.in("displayName"), p.DisplayName, 256)
		checkOneOf(at.in("state"), p.State, Active, Suspended, Drained, Revoked)
		checkOneOf(at.in("rotation"), p.Rotation, Automatic, Manual)
		checkBundle(at.in("bundle"), p.Bundle)
		checkRange(at.in("detection").in("intervalMilliseconds"), p.Detection.IntervalMilliseconds, 50, 60_000)
		checkRange(at.in("detection").in("misses"), p.Detection.Misses, 2, 100)
		p.Limits.validate(at.in("limits"))
		p.Territory.validate(at.in("territory"))
		p.validateIdentities(at.in("identities"))
		checkOneOf(at.in("transit"), p.Transit, TransitDenied, TransitAllowed)
		validateEndpoints(at.in("endpoints"), p.Endpoints)
	}
	return names
}

func validateEndpoints(f faults, endpoints []Endpoint) {
	checkCount(f, len(endpoints), 8)
	addresses := newSet("address")
	for i, e := range endpoints {
		at := f.at(i)
		checkAddress(at.in("address"), e.Address)
		addresses.add(at.in("address"), e.Address)
		checkText(at.in("label"), e.Label, 63)
		checkRange(at.in("priority"), e.Priority, 0, 100)
	}
}

// validateFeeds checks exports and imports, whose collections stand side by side
// on the local port and so have one set of names.
func (c *Config) validateFeeds(f faults, peers *set) {
	names, aliases := newSet("feed name"), newSet("local collection alias")
	exports := f.in("exports")
	checkCount(exports, len(c.Exports), maxList)
	for i, e := range c.Exports {
		at := exports.at(i)
		checkFeedName(at.in("name"), e.Name)
		names.add(at.in("name"), e.Name)
		checkText(at.in("title"), e.Title, 256)
		validatePeerList(at.in("peers"), e.Peers, peers)
		e.validateSources(at.in("sources"), aliases)
		e.Rule.validate(at.in("rule"))
		e.Redaction.validate(at.in("redaction"))
	}
	imports := f.in("imports")
	checkCount(imports, len(c.Imports), maxList)
	for i, m := range c.Imports {
		at := imports.at(i)
		checkFeedName(at.in("name"), m.Name)
		names.add(at.in("name"), m.Name)
		aliases.add(at.in("name"), m.Name)
		checkText(at.in("title"), m.Title, 256)
		checkPeer(at.in("peer"), m.Peer, peers)
		checkAlias(at.in("collection"), m.Collection)
		checkRange(at.in("intervalSeconds"), m.IntervalSeconds, 1, 86_400)
		checkRange(at.in("maxObjects"), m.MaxObjects, 1, 100_000_000)
		m.validateDeliveries(at.in("deliveries"))
	}
}

func (e Export) validateSources(f faults, aliases *set) {
	checkCount(f, len(e.Sources), 16)
	if len(e.Sources) == 0 {
		f.add("must name at least one source")
	}
	names := newSet("source name")
	for i, s := range e.Sources {
		at := f.at(i)
		checkName(at.in("name"), s.Name)
		names.add(at.in("name"), s.Name)
		aliases.add(at.in("name"), e.Name+"."+s.Name)
		checkOneOf(at.in("unmarkedAs"), s.UnmarkedAs, "CLEAR", "GREEN", "AMBER", "AMBER+STRICT", "RED")
		s.Pull.validate(at.in("pull"))
	}
}

func (r Rule) validate(f faults) {
	if r.MaxTLP != "" {
		checkOneOf(f.in("maxTLP"), r.MaxTLP, "CLEAR", "GREEN", "AMBER")
	}
	checkCount(f.in("types"), len(r.Types), 64)
	types := newSet("type")
	for i, t := range r.Types {
		at := f.in("types").at(i)
		types.add(at, t)
		if !stixType.MatchString(t) {
			at.add("%q is no STIX type: lower-case letters, digits and '-', 3 to 250 characters", clip(t))
		}
	}
	r.validateMore(f)
	if r.CEL != "" {
		if _, err := expression.Compile(r.CEL); err != nil {
			f.in("cel").add("%s", clip256(err.Error()))
		}
	}
}

func validatePeerList(f faults, list []string, peers *set) {
	checkCount(f, len(list), maxList)
	names := newSet("peer")
	for i, name := range list {
		names.add(f.at(i), name)
		checkPeer(f.at(i), name, peers)
	}
}

func (c *Config) validateHotlines(f faults, peers *set) {
	checkCount(f, len(c.Hotlines), maxList)
	names, ends := newSet("hotline name"), newSet("hotline's peer")
	for i, h := range c.Hotlines {
		at := f.at(i)
		checkFeedName(at.in("name"), h.Name)
		names.add(at.in("name"), h.Name)
		checkPeer(at.in("peer"), h.Peer, peers)
		ends.add(at.in("peer"), h.Peer)
		h.validateDeadlines(at.in("deadlines"))
		h.LineChecks.validate(at.in("lineChecks"))
		h.validateTransit(at.in("transit"), peers)
		h.Release.validate(at.in("release"))
		h.validateEscalation(at)
	}
}

func (h Hotline) validateDeadlines(f faults) {
	precedences := newSet("precedence")
	for i, d := range h.Deadlines {
		at := f.at(i)
		checkOneOf(at.in("precedence"), d.Precedence, "FLASH", "IMMEDIATE", "PRIORITY", "ROUTINE")
		precedences.add(at.in("precedence"), d.Precedence)
		checkRange(at.in("receiptSeconds"), d.ReceiptSeconds, 1, 604_800)
		checkRange(at.in("acknowledgementSeconds"), d.AcknowledgementSeconds, 1, 2_592_000)
		checkRange(at.in("answerSeconds"), d.AnswerSeconds, 1, 31_536_000)
		if d.ReceiptSeconds > d.AcknowledgementSeconds {
			at.in("receiptSeconds").add("must not be longer than acknowledgementSeconds")
		}
	}
}

func checkPeer(f faults, name string, peers *set) {
	if !peers.has(name) {
		f.add("no peer is named %q", clip(name))
	}
}

// checkListen accepts HOST:PORT with an empty host, which means every address,
// and port 0, which means any free port.
func checkListen(f faults, address string) {
	_, port, err := net.SplitHostPort(address)
	if err != nil || !isPort(port, 0) {
		f.add("%q must be HOST:PORT or :PORT", clip(address))
	}
}
