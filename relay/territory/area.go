// SPDX-FileCopyrightText: The certlink authors
// SPDX-License-Identifier: Apache-2.0

package territory

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"strings"

	"github.com/gaissmai/bart"

	"github.com/certlink/certlink/relay/config"
	"github.com/certlink/certlink/relay/territory/clue"
	"github.com/certlink/certlink/relay/territory/span"
)

// Area is what counts as one peer's own territory. It does not change.
type Area struct {
	countries []span.Country
	networks  bart.Lite
	numbers   []uint32
	domains   []string
	digest    string
}

// NewArea reads the configuration, which validation has accepted.
func NewArea(c config.PeerTerritory) (*Area, error) {
	a := &Area{}
	var faults []error
	for _, text := range c.Countries {
		country, ok := span.ParseCountry(text)
		if !ok {
			faults = append(faults, fmt.Errorf("reading country %q: it is no two capital letters", text))
		}
		a.countries = append(a.countries, country)
	}
	for _, text := range c.Networks {
		p, err := netip.ParsePrefix(text)
		if err != nil {
			faults = append(faults, fmt.Errorf("reading network: %w", err))
			continue
		}
		a.networks.Insert(plainPrefix(p))
	}
	for _, n := range c.AutonomousSystems {
		if n < 1 || n > 1<<32-1 {
			faults = append(faults, fmt.Errorf("reading AS number %d: it is out of range", n))
			continue
		}
		a.numbers = append(a.numbers, uint32(n))
	}
	for _, d := range c.Domains {
		a.domains = append(a.domains, strings.ToLower(strings.Trim(d, ".")))
	}
	a.digest = digestOf(c)
	return a, errors.Join(faults...)
}

// Digest stands for the area: two with the same digest decide alike.
func (a *Area) Digest() string { return a.digest }

func digestOf(c config.PeerTerritory) string {
	var lines []string
	for _, v := range c.Countries {
		lines = append(lines, "country "+v)
	}
	for _, v := range c.Networks {
		lines = append(lines, "network "+v)
	}
	for _, v := range c.AutonomousSystems {
		lines = append(lines, fmt.Sprintf("as %d", v))
	}
	for _, v := range c.Domains {
		lines = append(lines, "domain "+v)
	}
	slices.Sort(lines)
	sum := sha256.Sum256([]byte(strings.Join(slices.Compact(lines), "\n")))
	return hex.EncodeToString(sum[:])
}

// names tells whether the area's own lists name a value; they count whatever the
// data sets say.
func (a *Area) names(f *finding) bool {
	switch f.Kind {
	case clue.Address:
		return a.networks.Lookup(f.Prefix.Addr()) || a.numbered(f.system)
	case clue.Network:
		return a.networks.LookupPrefix(f.Prefix) || a.numbered(f.system)
	case clue.Number:
		return a.numbered(f.Number)
	case clue.Domain:
		return a.holds(f.Name)
	}
	return false
}

func (a *Area) numbered(n uint32) bool { return n != 0 && slices.Contains(a.numbers, n) }

// holds tells whether a name is one of the area's domains or below one.
func (a *Area) holds(name string) bool {
	for _, d := range a.domains {
		if below, ok := strings.CutSuffix(name, d); ok && (below == "" || below[len(below)-1] == '.') {
			return true
		}
	}
	return false
}

// plainPrefix is a prefix without host bits, IPv4 written as IPv4.
func plainPrefix(p netip.Prefix) netip.Prefix {
	if a := p.Addr(); a.Is4In6() && p.Bits() >= 96 {
		p = netip.PrefixFrom(a.Unmap(), p.Bits()-96)
	}
	return p.Masked()
}
