// SPDX-FileCopyrightText: The certlink authors
// SPDX-License-Identifier: Apache-2.0

// Package postgres is the store for several replicas of one relay: a PostgreSQL
// database, 13 or newer, that they share. See docs/design/003-postgres.md.
//
// Besides the contract of package store it promises:
//
//   - A commit is fsynced by the server before a call returns nil: a server with
//     fsync off is refused, and synchronous_commit is on for every session.
//   - Positions become visible in their order. Whoever gives them out holds the one
//     row of the clock until its commit, so a reader who has seen a position has
//     seen all smaller ones, whichever replica stored them.
//   - A connection that breaks costs the calls that are on it, which return an
//     error, and no others. Only a commit that was under way may have been made
//     nevertheless; every call may be repeated.
//   - Messages have connections of their own and wait for no feed: neither for the
//     clock's row nor for a connection, nor for a lock of its commit. They share the server's
//     disk: Pace says how few objects at once let them through.
//   - A page costs what it returns, at any size of the store, and no call holds
//     more than a page in memory: the server leaves out what does not fit.
//   - A disk that the server calls full is store.ErrFull with nothing stored. How
//     much room is left is the server's to watch: there is no reserve.
//   - The schema is migrated forward under a lock. A database of a newer release is
//     refused, also for new connections while the relay runs.
//   - The connection URI is in no error.
package postgres
