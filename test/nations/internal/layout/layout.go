// SPDX-FileCopyrightText: The certlink authors
// SPDX-License-Identifier: Apache-2.0

// Package layout says where a nation is: its addresses and its directories.
//
// It only computes. Every address exists solely inside the nations' own network namespaces, so nothing here can clash
// with the network of the machine; the one thing a nation shows to the machine is a port on loopback.
package layout

import (
	"fmt"
	"net/netip"
	"slices"
)

// Names are the nations that can be raised, in order: the first N of them make "N nations".
var Names = []string{"alfa", "bravo", "charlie"}

// WAN is the network between the nations (RFC 2544, reserved for benchmarks).
var WAN = netip.MustParsePrefix("198.18.0.0/24")

// LoadBalancers is how many LoadBalancer addresses each nation has.
const LoadBalancers = 20

// Nation is one nation's place among the others.
type Nation struct {
	Name string `json:"name"`
	// Index counts from 1: alfa is 1.
	Index int `json:"index"`
}

// Find returns the nation of that name.
func Find(name string) (Nation, error) {
	i := slices.Index(Names, name)
	if i < 0 {
		return Nation{}, fmt.Errorf("no nation %q: the nations are %v", name, Names)
	}
	return Nation{Name: name, Index: i + 1}, nil
}

// All returns every possible nation, raised or not.
func All() []Nation {
	all := make([]Nation, 0, len(Names))
	for i, name := range Names {
		all = append(all, Nation{Name: name, Index: i + 1})
	}
	return all
}

// Node is the address of the nation's node on the WAN; pods of the nation appear under it to the others.
func (n Nation) Node() netip.Addr { return netip.AddrFrom4([4]byte{198, 18, 0, byte(n.Index)}) }

// NodeName is the name of the nation's node in its cluster.
func (n Nation) NodeName() string { return "node-" + n.Name }

// Pods is the network of the nation's pods.
func (n Nation) Pods() netip.Prefix {
	return netip.PrefixFrom(netip.AddrFrom4([4]byte{10, byte(10 * n.Index), 0, 0}), 24)
}

// Services is the network of the nation's cluster addresses.
func (n Nation) Services() netip.Prefix {
	return netip.PrefixFrom(netip.AddrFrom4([4]byte{10, byte(10*n.Index + 1), 0, 0}), 24)
}

// APIService is the cluster address of the nation's API server.
func (n Nation) APIService() netip.Addr { return n.Services().Addr().Next() }

// DNS is the cluster address of the nation's DNS server.
func (n Nation) DNS() netip.Addr {
	return netip.AddrFrom4([4]byte{10, byte(10*n.Index + 1), 0, 10})
}

// LoadBalancer is the i-th LoadBalancer address of the nation, counted from 0. It is valid for i < LoadBalancers.
func (n Nation) LoadBalancer(i int) netip.Addr {
	first := []byte{101, 201, 151}[n.Index-1]
	return netip.AddrFrom4([4]byte{198, 18, 0, first + byte(i)})
}

// Owns tells whether packets to that address of the WAN belong to this nation.
func (n Nation) Owns(a netip.Addr) bool {
	return a == n.Node() || n.LoadBalancer(0).Compare(a) <= 0 && a.Compare(n.LoadBalancer(LoadBalancers-1)) <= 0
}

// Domain is the DNS name under which every nation finds this nation's LoadBalancer addresses.
func (n Nation) Domain() string { return n.Name + ".test" }

// APIPort is the port on the machine's loopback that leads to the nation's API server, unless it is taken.
func (n Nation) APIPort() int { return 16440 + n.Index }
