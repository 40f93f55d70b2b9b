-- SPDX-FileCopyrightText: The certlink authors
-- SPDX-License-Identifier: Apache-2.0

-- Revoked objects are decided before others.
ALTER TABLE objects ADD COLUMN revoked INTEGER NOT NULL DEFAULT 0;
CREATE INDEX objects_revoked ON objects (collection, seq) WHERE revoked = 1;

-- decided is when the decision was stored. until is when it lapses, 0 for never. form is a word, 0 for none. evidence is 1 if
-- decision_evidence has a row.
ALTER TABLE decisions ADD COLUMN decided INTEGER NOT NULL DEFAULT 0;
ALTER TABLE decisions ADD COLUMN until INTEGER NOT NULL DEFAULT 0;
ALTER TABLE decisions ADD COLUMN form INTEGER NOT NULL DEFAULT 0;
ALTER TABLE decisions ADD COLUMN evidence INTEGER NOT NULL DEFAULT 0;
CREATE INDEX decisions_lapsing ON decisions (view, until) WHERE until > 0;
CREATE TABLE decision_evidence (
  view     INTEGER NOT NULL,
  seq      INTEGER NOT NULL,
  evidence TEXT    NOT NULL,
  PRIMARY KEY (view, seq)
) STRICT;

-- See store.Progress. takings counts the times that something was held or deleted that had been shared: a page that was
-- read before is read again before it is handed out.
ALTER TABLE views ADD COLUMN handed_to INTEGER NOT NULL DEFAULT 0;
ALTER TABLE views ADD COLUMN sent_to INTEGER NOT NULL DEFAULT 0;
ALTER TABLE views ADD COLUMN sent_at INTEGER NOT NULL DEFAULT 0;
ALTER TABLE views ADD COLUMN received_to INTEGER NOT NULL DEFAULT 0;
ALTER TABLE views ADD COLUMN received_at INTEGER NOT NULL DEFAULT 0;
ALTER TABLE views ADD COLUMN receipt BLOB;
ALTER TABLE views ADD COLUMN takings INTEGER NOT NULL DEFAULT 0;

CREATE TABLE withdrawals (
  view    INTEGER NOT NULL,
  pos     INTEGER NOT NULL,
  stix_id TEXT    NOT NULL,
  version INTEGER NOT NULL,
  PRIMARY KEY (view, pos)
) STRICT, WITHOUT ROWID;

CREATE TABLE refusals (
  view    INTEGER NOT NULL,
  stix_id TEXT    NOT NULL,
  version INTEGER NOT NULL,
  reason  TEXT    NOT NULL,
  at      INTEGER NOT NULL,
  PRIMARY KEY (view, stix_id, version)
) STRICT, WITHOUT ROWID;
CREATE INDEX refusals_by_age ON refusals (view, at);

CREATE TABLE object_references (
  collection INTEGER NOT NULL,
  to_id      TEXT    NOT NULL,
  kind       TEXT    NOT NULL,
  from_id    TEXT    NOT NULL,
  PRIMARY KEY (collection, to_id, kind, from_id)
) STRICT, WITHOUT ROWID;
