// SPDX-FileCopyrightText: The certlink authors
// SPDX-License-Identifier: Apache-2.0

// Package testpostgres runs a real PostgreSQL server for tests: one for a test
// binary, started when the first test asks for it, in a directory of its own,
// reachable over a Unix socket only, with fsync on.
//
// A test binary that uses it ends with Stop in its TestMain. If it is killed, so
// is the server. As root the server runs as the user postgres or nobody, because
// PostgreSQL refuses root. Each test takes a schema of its own.
//
// It needs the server's programs (Debian: hack/postgres.sh installs them). A test
// that asks for a server where they are missing fails, and says so.
package testpostgres
