-- SPDX-FileCopyrightText: The certlink authors
-- SPDX-License-Identifier: Apache-2.0

-- What came and was not put into its collection. state: 0 held, 1 accepted, 2 dropped. raw of an accepted item is what it
-- replaced. digest is SHA-256 of what came: the same is kept once.
CREATE TABLE quarantine (
  seq        INTEGER PRIMARY KEY AUTOINCREMENT,
  collection INTEGER NOT NULL,
  stix_id    TEXT    NOT NULL,
  version    INTEGER NOT NULL,
  type       TEXT    NOT NULL,
  spec       TEXT    NOT NULL,
  reason     TEXT    NOT NULL,
  digest     BLOB    NOT NULL,
  raw        BLOB    NOT NULL,
  at         INTEGER NOT NULL,
  state      INTEGER NOT NULL DEFAULT 0 CHECK (state IN (0, 1, 2)),
  settled_at INTEGER NOT NULL DEFAULT 0,
  settled_by TEXT    NOT NULL DEFAULT ''
) STRICT;
CREATE UNIQUE INDEX quarantine_once ON quarantine (collection, stix_id, version, reason, digest);
CREATE INDEX quarantine_by_state ON quarantine (collection, state, seq);

-- Sums of what is held, kept by every change, and how often something found no room.
CREATE TABLE quarantine_sums (
  collection INTEGER PRIMARY KEY,
  held       INTEGER NOT NULL DEFAULT 0,
  bytes      INTEGER NOT NULL DEFAULT 0,
  overflow   INTEGER NOT NULL DEFAULT 0
) STRICT;

-- Since which version an object is revoked.
CREATE TABLE revocations (
  collection INTEGER NOT NULL,
  stix_id    TEXT    NOT NULL,
  since      INTEGER NOT NULL,
  PRIMARY KEY (collection, stix_id)
) STRICT, WITHOUT ROWID;
