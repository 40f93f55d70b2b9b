// SPDX-FileCopyrightText: The certlink authors
// SPDX-License-Identifier: Apache-2.0

package link

// What the tests outside of the package ask of its inside.
var (
	Again = unaccepted
	Facts = facts
)

// WatchAfter is how late an answer is when somebody looks whether the peer still waits.
const WatchAfter = watchAfter

// Opening counts the connections that are being dialled.
func (p *Pool) Opening() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	n := 0
	for _, pr := range p.peers {
		for _, pt := range pr.paths {
			n += pt.opening()
		}
	}
	return n
}
