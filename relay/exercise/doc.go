// SPDX-FileCopyrightText: The certlink authors
// SPDX-License-Identifier: Apache-2.0

// Package exercise runs drills over a hotline: scripted test messages that go the way of
// real ones, and a measured report of what came of them.
//
// It promises that what belongs to an exercise cannot be taken for real traffic, nor real
// traffic for an exercise: such a message has the code RSIT test:test, the name of the
// exercise, and a subject that begins with Prefix, which the relay puts there when it sends
// and again when it shows; and a conversation is one or the other, for good. The rules are
// pure; package hotline calls them for every message.
//
// A drill is registered durably before its first message, and its messages have ids that
// follow from it: a relay that was killed goes on with the step at which it was, and sends
// nothing twice. It does not judge people; it measures times.
package exercise
