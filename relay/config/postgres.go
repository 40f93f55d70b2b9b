// SPDX-FileCopyrightText: The certlink authors
// SPDX-License-Identifier: Apache-2.0

package config

// Postgres is a PostgreSQL database, 13 or newer, which any number of replicas of
// one relay share.
type Postgres struct {
	// URLFile is a file with the connection URI (postgres://…), read again when it changes.
	URLFile string `json:"urlFile"`
	// MaxConnections of this relay to the database: 4 to 1000, default 16.
	MaxConnections int32 `json:"maxConnections,omitempty"`
}

// Bounds of MaxConnections.
const (
	leastConnections   = 4
	mostConnections    = 1000
	defaultConnections = 16
)

func (p *Postgres) setDefaults() {
	if p != nil {
		fill(&p.MaxConnections, defaultConnections)
	}
}

// validate checks that there is exactly one store.
func (s Store) validate(f faults) {
	if s.Postgres == nil {
		s.SQLite.validate(f.in("sqlite"))
		return
	}
	if s.SQLite.Path != "" {
		f.add("must have one of sqlite and postgres, not both")
	}
	f = f.in("postgres")
	checkFile(f.in("urlFile"), s.Postgres.URLFile)
	if n := s.Postgres.MaxConnections; n < leastConnections || n > mostConnections {
		f.in("maxConnections").add("must be %d to %d", leastConnections, mostConnections)
	}
}

// Same tells whether another store is the same one.
func (s Store) Same(other Store) bool {
	if s.SQLite != other.SQLite || (s.Postgres == nil) != (other.Postgres == nil) {
		return false
	}
	return s.Postgres == nil || *s.Postgres == *other.Postgres
}
