-- SPDX-FileCopyrightText: The certlink authors
-- SPDX-License-Identifier: Apache-2.0

-- The record of trust changes, without gaps. content holds the hash of the content before it; see package trust.
CREATE TABLE trust_records (
  seq     INTEGER PRIMARY KEY CHECK (seq > 0),
  subject TEXT    NOT NULL,
  content BLOB    NOT NULL
) STRICT;
CREATE INDEX trust_by_subject ON trust_records (subject, seq);
CREATE TRIGGER trust_records_stay BEFORE DELETE ON trust_records BEGIN
  SELECT RAISE(ABORT, 'the record of trust changes is append-only');
END;
CREATE TRIGGER trust_records_keep BEFORE UPDATE ON trust_records BEGIN
  SELECT RAISE(ABORT, 'the record of trust changes is append-only');
END;

-- Bundles of peers that came in their offers. base names the configured bundle that each builds on.
CREATE TABLE learned_bundles (
  trust_domain TEXT    PRIMARY KEY,
  base         TEXT    NOT NULL,
  bundle       TEXT    NOT NULL,
  serial       INTEGER NOT NULL,
  learned_at   INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
