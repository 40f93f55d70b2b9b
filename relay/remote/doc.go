// SPDX-FileCopyrightText: The certlink authors
// SPDX-License-Identifier: Apache-2.0

// Package remote calls HTTP(S) servers that are no peers: our own tools, and the
// servers of partners without certlink. Every such call of the relay goes through it.
//
// It promises:
//
//   - A Client talks to the one server of its configuration. Neither a path nor a
//     redirect leads to another host or from https to http, and credentials go
//     nowhere else. They go over http only where the configured URL is http.
//   - TLS 1.2 at least, the server's name is checked, and the certificate chains to
//     the configured CAs, or without them to those of the system. No proxy is taken
//     from the environment.
//   - Credentials, certificates and CAs are read from their files for each request.
//     What was changed counts from the next request on; a file that is missing or
//     makes no sense fails it. The last good ones are not kept: a person who takes
//     a password away means it.
//   - What comes in is bounded by the caller, after decompression, is given up when it
//     comes too slowly (Options.Stall), and is no decompression bomb. It is a
//     stream; the package itself holds none of it.
//   - What passes in moments is repeated a few times with growing, random pauses, as
//     long as the request may be repeated; a server's Retry-After is heeded. What
//     lasts longer is the caller's: he finds Retry-After in the StatusError.
//   - An error names the host, never the rest of the URL, and repeats no word of the
//     server but its status. Credentials are in no error and in no log.
//
// It keeps no state but idle connections, and starts no goroutine of its own.
package remote
