// SPDX-FileCopyrightText: The certlink authors
// SPDX-License-Identifier: Apache-2.0

// Package taxii is TAXII 2.1 (OASIS Standard, 10 June 2021): a server's Handler
// over a Backend, and a Client.
//
// The Handler promises that every answer, an error too, is TAXII with the right
// media type; that what a caller may not see answers as if it were not there;
// that pages ascend by date added, which no two records share; that a page's
// cursor is stateless and outlives a restart; that one bad object of a POST
// never rejects the others; and that an object goes out as the bytes that came in.
// Memory is bounded: by MaxContentLength and MaxObjectsPerPost for what comes
// in, by MaxPageBytes for what goes out, each times the requests at once. Of these
// every caller has its share: one with many delays its own alone.
//
// The Client promises that a page is streamed with one object in memory,
// whatever the server sends; that a walk through pages loses nothing, and ends or
// names why it does not; that it follows no redirect but one over the slash at the end
// of a path, and leaves the server it was made for never; and that what it repeats of
// a server's words in an error is short and printable. The mistakes of servers that it
// lives with are in docs/taxii-conformance.md.
//
// Neither authenticates: the listener does, and the Backend judges by what it
// finds in the request's context. What is served, clause by clause, is in
// docs/taxii-conformance.md.
package taxii
