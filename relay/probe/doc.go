// SPDX-FileCopyrightText: The certlink authors
// SPDX-License-Identifier: Apache-2.0

// Package probe proves that links are up, through the data plane, for each
// direction: it asks every peer over every path at the declared interval, and
// notes the questions that arrive.
//
//	            first answer                 `misses` in a row
//	Unknown ────────────────► Up ────────────────────────────► Down
//	   │                       ▲                                │
//	   │    `misses` in a row  └──────────── an answer ─────────┘
//	   └────────────────────────────────────────────────────────►
//
// Outbound is Up while the answers to our probes return over at least one path.
// Inbound is Up while the peer's probes reach us within the budget that the peer
// itself announces in them. Nothing else makes a direction Up: not a TCP
// connection, not a handshake, not a configuration.
//
// A cut is noticed after at most interval × (misses + 1) plus the time that one
// probe may take, which is the larger of one interval and two seconds. Probes do
// not wait for each other, so a slow one delays none.
//
// It carries no data, and what a peer says of its own view only ever chooses
// among texts of ours.
package probe
