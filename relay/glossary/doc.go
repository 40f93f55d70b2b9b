// SPDX-FileCopyrightText: The certlink authors
// SPDX-License-Identifier: Apache-2.0

// Package glossary makes the two-sided glossary of a hotline out of its messages of kind
// TERM, and finds terms in texts.
//
// A TERM message is a statement of its sender. With the position "proposed" it is the
// sender's own definition, and its version counts the sender's definitions of that term
// from 1. With "agreed" or "disagreed" it is an answer to the receiver's definition of
// that version, which it repeats word for word: name, language and definition.
//
// The state of a term follows from the newest definition of each side, which is the one
// of the largest version, and from the newest answer of the other side to that version,
// which is the one of the largest serial:
//
//	Agreed          there is a definition, and the other side agrees to each that there is
//	Disagreed       the other side disagrees with at least one
//	ProposedByUs    ours waits for their answer      (and theirs, if any, is agreed)
//	ProposedByThem  theirs waits for ours            (and ours, if any, is agreed)
//	ProposedByBoth  both wait
//	Unclear         there are answers, but no definition that they are about
//
// So a newer definition by either side opens the term again: answers to older versions
// no longer count. It promises that the result does not depend on the order in which
// statements are added, that no statement of a peer makes it fail, and that what does not
// fit (one version with two definitions, versions that go back, answers to words that were
// never proposed) counts for nothing and is noted. What it keeps is bounded.
//
// It does not read the store, does not know who may speak for a side, and knows no
// grammar: an inflected form of a term is another word.
package glossary
