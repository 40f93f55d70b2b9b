// SPDX-FileCopyrightText: The certlink authors
// SPDX-License-Identifier: Apache-2.0

package probe

// maxShares bounds the processes of a peer of which it is remembered which of our beats went to them last; one
// that has a connection is not forgotten.
const maxShares = 16

// shares are which of our beats on a path went to which process at its other end: an address may lead
// to several replicas of a relay, and all connections of a path count with the same numbers.
type shares struct {
	// last is the number of the last beat to each process, unsure that of the last over a connection that had
	// not said yet whom it leads to.
	last   map[string]uint64
	unsure uint64
}

// leaves notes a beat that leaves over a line, and returns which one went to its process before, or may have; 0
// while it is not known whom the line leads to.
func (s *shares) leaves(l *line, seq uint64, open map[*line]struct{}) (after uint64) {
	if l.instance == "" {
		s.unsure = seq
		return 0
	}
	before, known := s.last[l.instance]
	if !known && len(s.last) >= maxShares || s.last == nil {
		s.prune(open)
	}
	s.last[l.instance] = seq
	return max(before, s.unsure)
}

// prune forgets the processes to which no connection leads.
func (s *shares) prune(open map[*line]struct{}) {
	kept := map[string]uint64{}
	for l := range open {
		if n, known := s.last[l.instance]; known {
			kept[l.instance] = n
		}
	}
	s.last = kept
}
