// SPDX-FileCopyrightText: The certlink authors
// SPDX-License-Identifier: Apache-2.0

// Package probe proves that links are up, through the data plane, for each path
// and each direction: relays exchange heartbeats over three connections on every
// path, and silence is judged by a declared budget.
//
//	          first proof            silence             more silence
//	Unknown ───────────────► Up ────────────────► Suspect ───────────► Down
//	                         ▲ ▲                    │                   │ beats are back
//	                         │ └────── any byte ────┘                   ▼
//	                         └──────── 5 s to 60 s of beats ─────── Recovering
//
// Inbound is what we hear of the peer: any byte that arrives on any connection of
// the path counts. Outbound is what the peer hears of us: it is Up or Down by what
// the peer's own beats say, and Unknown when nothing arrives that could say it.
// Nothing else makes a direction Up: not a TCP connection, not a handshake, not a
// configuration. The state of a path is the worse of its two directions, that of
// a direction of the link the best over its paths.
//
// It promises that a path is Down no later than the time in the report after it
// was cut (limits.worst), if our own process gets to run, and that the time for
// which it did not is not held against the peer. Clocks that jump change nothing:
// silence is measured by the monotonic clock, and the round trip on one side alone.
//
// It carries no data. Everything from a peer is bounded before it is read, and
// what a peer says of its own view only ever chooses among texts of ours.
package probe
