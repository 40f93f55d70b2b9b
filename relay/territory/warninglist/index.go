// SPDX-FileCopyrightText: The certlink authors
// SPDX-License-Identifier: Apache-2.0

package warninglist

import (
	"net/netip"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"github.com/gaissmai/bart"
)

// Index answers for several lists at once. It does not change. Where a value stands
// on more than one, the first of them is the answer, of each kind of list.
type Index struct {
	networks     bart.Table[uint16]
	hosts, exact hashed
	parts        []part
	expressions  []expression
}

// hashed is a set of texts with the list of each: sorted hashes, because a list of a
// million names would take ten times the memory otherwise. Two texts with the same
// hash cannot be told apart; that one of a million meets another text by accident is
// as likely as 1 to 2^44, and it would hold back too much, not too little.
type hashed struct {
	sums  []uint64
	lists []uint16
}

type part struct {
	text string
	list uint16
	of   *List
}

type expression struct {
	re   *regexp.Regexp
	list uint16
	of   *List
}

// NewIndex makes an index of lists; answers are positions among them. There are at
// most 65,535.
func NewIndex(lists []*List) *Index {
	x := &Index{}
	var hosts, exact []sum
	for i, l := range lists {
		at := uint16(i)
		if l.addresses {
			for _, p := range l.networks {
				if _, known := x.networks.Get(p); !known {
					x.networks.Insert(p, at)
				}
			}
		}
		if l.names {
			for _, h := range l.hosts {
				hosts = append(hosts, sum{hashOf(h), at})
			}
		}
		if l.names || l.numbers {
			for _, e := range l.exact {
				exact = append(exact, sum{hashOf(e), at})
			}
		}
		for _, p := range l.parts {
			x.parts = append(x.parts, part{p, at, l})
		}
		for _, re := range l.expressions {
			x.expressions = append(x.expressions, expression{re, at, l})
		}
	}
	x.hosts, x.exact = newHashed(hosts), newHashed(exact)
	return x
}

// Address returns the list that an address stands on.
func (x *Index) Address(a netip.Addr) (list int, ok bool) {
	if at, ok := x.networks.Lookup(a); ok {
		return int(at), true
	}
	if x.slow() {
		return x.try(a.String(), func(l *List) bool { return l.addresses })
	}
	return 0, false
}

// Network returns a list that holds all of a network.
func (x *Index) Network(p netip.Prefix) (list int, ok bool) {
	if at, ok := x.networks.LookupPrefix(p); ok {
		return int(at), true
	}
	return 0, false
}

// Number returns the list that the number of an autonomous system stands on, as
// "AS64500" or as "64500".
func (x *Index) Number(n uint32) (list int, ok bool) {
	if len(x.exact.sums) == 0 && !x.slow() {
		return 0, false
	}
	text := strconv.FormatUint(uint64(n), 10)
	for _, form := range []string{"as" + text, text} {
		if at, ok := x.exact.find(hashOf(form)); ok {
			return at, true
		}
	}
	return x.try("AS"+text, func(l *List) bool { return l.numbers })
}

// Name returns the list that the name of a host, in lower case, stands on. A list of
// hostnames holds what is below its entries, too.
func (x *Index) Name(name string) (list int, ok bool) {
	if at, ok := x.exact.find(hashOf(name)); ok {
		return at, true
	}
	if len(x.hosts.sums) > 0 {
		for rest := name; ; {
			if at, ok := x.hosts.find(hashOf(rest)); ok {
				return at, true
			}
			_, parent, more := strings.Cut(rest, ".")
			if !more {
				break
			}
			rest = parent
		}
	}
	if x.slow() {
		return x.try(name, func(l *List) bool { return l.names })
	}
	return 0, false
}

func (x *Index) slow() bool { return len(x.parts)+len(x.expressions) > 0 }

// try asks the entries that have to be tried one by one.
func (x *Index) try(text string, reads func(*List) bool) (list int, ok bool) {
	lower := strings.ToLower(text)
	for _, p := range x.parts {
		if reads(p.of) && strings.Contains(lower, p.text) {
			return int(p.list), true
		}
	}
	for _, e := range x.expressions {
		if reads(e.of) && e.re.MatchString(text) {
			return int(e.list), true
		}
	}
	return 0, false
}

type sum struct {
	hash uint64
	list uint16
}

func newHashed(all []sum) hashed {
	slices.SortStableFunc(all, func(a, b sum) int {
		switch {
		case a.hash < b.hash:
			return -1
		case a.hash > b.hash:
			return 1
		}
		return 0
	})
	all = slices.CompactFunc(all, func(a, b sum) bool { return a.hash == b.hash })
	h := hashed{make([]uint64, len(all)), make([]uint16, len(all))}
	for i, s := range all {
		h.sums[i], h.lists[i] = s.hash, s.list
	}
	return h
}

func (h *hashed) find(hash uint64) (list int, ok bool) {
	if len(h.sums) == 0 {
		return 0, false
	}
	i, ok := slices.BinarySearch(h.sums, hash)
	if !ok {
		return 0, false
	}
	return int(h.lists[i]), true
}

// hashOf is FNV-1a of 64 bits, the same on every machine: a decision can be repeated.
func hashOf(text string) uint64 {
	h := uint64(14695981039346656037)
	for i := range len(text) {
		h = (h ^ uint64(text[i])) * 1099511628211
	}
	return h
}
