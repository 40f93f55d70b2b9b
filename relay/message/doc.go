// SPDX-FileCopyrightText: The certlink authors
// SPDX-License-Identifier: Apache-2.0

// Package message is the content of a hotline message: its members, the published JSON
// Schema that both sides check it against, and the Reference Security Incident Taxonomy
// that it is coded with.
//
// It promises that what Decode returns is within the bounds of the schema, has no member
// twice and is UTF-8; and that members and kinds of later releases are kept: the bytes
// are what counts, a Message is only what this release understands of them.
//
// It does not know who sent a message, or whether it was seen before.
package message
