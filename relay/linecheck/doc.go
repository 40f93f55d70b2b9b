// SPDX-FileCopyrightText: The certlink authors
// SPDX-License-Identifier: Apache-2.0

// Package linecheck tests every path of a hotline on a schedule, and keeps what came of
// it: the line checks of the direct communications links between states.
//
// At each slot the relay sends a signed statement of a type of its own over each path that
// it dials, standby ones too, and over each that the peer dials, on the connections that
// messages use. The peer answers with a signed receipt. Both sides do so, in slots half an
// interval apart, so that each path is tested in both directions. Days are summed up, and
// each month both sides sign an availability record of their own view and countersign that
// of the other.
//
// It promises:
//   - A statement of this package cannot be taken for a message: its type, its code (RSIT
//     test:test) and its table are others. Each check, sent or received, is an act in our
//     journal.
//   - The checks of a path are numbered without gaps, so that the receiver knows of each
//     that it did not get; those that were not sent, because we were down, are declared by
//     the sender and never counted as the fault of the line.
//   - A path and direction without a good check within the declared time is named, by a
//     timer of the relay, with no other component in between.
//   - Deciding is pure: when a check is due, what a received one is, how a path stands, what
//     a month amounts to.
//
// It does not choose paths, does not repair them, and never holds back a message.
package linecheck
