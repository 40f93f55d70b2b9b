// SPDX-FileCopyrightText: The certlink authors
// SPDX-License-Identifier: Apache-2.0

// Package feed shares STIX objects with peers and collects theirs.
//
// Exports. Local tools push objects into the sources of an export. The exporter
// decides about each object for each peer, by package rule, within a second, and
// stores the decision. A peer reads only what a stored decision under the
// present policy shares with it: no decision, or one under another policy, and
// the object is not there. Whether the peer is named by the export and Active is
// looked up for each request in the live configuration.
//
// The policy includes the statement markings found in the sources themselves. A
// new one, as a change of the rule, makes another policy, under which everything
// is decided again.
//
// A decision may rest on other objects (containers, who is a victim), on data about
// territories and on time; when these change it lapses, and is made again. What a peer was
// handed, and may not have any more, is withdrawn by a notice in its view. What leaves by
// territory comes with a note, and what leaves redacted says so. The peer's relay answers
// with a signed receipt. See docs/rules.md.
//
// What a tool deletes from a source is gone from every view when the call
// returns. A deleted marking definition stops an export until its policy is known
// without it.
//
// Imports. For each import one goroutine pulls the peer's collection page by
// page. What a peer may not send as it does, a fork, in another peer's name, after a
// revocation, goes into quarantine, before the cursor moves:
//
//	read page → quarantine → store objects → quarantine forks, note revocations → store cursor
//
// A crash before the end leaves the old cursor and perhaps a part of the page;
// the page is read again, and what is stored already is a duplicate. A crash
// after the end leaves nothing to do. Nothing is lost, nothing is there twice.
//
// An object keeps its bytes from the POST that brought it in to the page that a
// tool of the peer reads. The package keeps nothing in memory that grows with
// the number of objects.
package feed
