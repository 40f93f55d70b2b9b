// SPDX-FileCopyrightText: The certlink authors
// SPDX-License-Identifier: Apache-2.0

package config

// Postgres is a PostgreSQL database, 13 or newer, which any number of replicas of
// one relay share.
type Postgres struct {
	// URLFile is a file with the connection URI (postgres://…), read again when it changes.
	URLFile string `json:"urlFile"`
	// MaxConnections to the database: 2 to 1000, default 16.
	MaxConnections int32 `json:"maxConnections,omitempty"`
}
