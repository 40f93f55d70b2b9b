-- SPDX-FileCopyrightText: The certlink authors
-- SPDX-License-Identifier: Apache-2.0

-- Times are microseconds since 1970, UTC. 0 means "not yet" wherever a time may be absent.

-- The one clock of the store: the largest position given out. It only grows, even when the machine's clock goes back.
CREATE TABLE clock (
  one  INTEGER PRIMARY KEY CHECK (one = 1),
  last INTEGER NOT NULL
) STRICT;
INSERT INTO clock (one, last) VALUES (1, 0);

-- Strings that occur often: names of collections, STIX types, rules, reasons.
CREATE TABLE words (
  id   INTEGER PRIMARY KEY,
  word TEXT NOT NULL UNIQUE
) STRICT;

-- collection is a word. objects is kept by every insert, so that counting needs no scan.
CREATE TABLE collections (
  collection INTEGER PRIMARY KEY,
  objects    INTEGER NOT NULL DEFAULT 0,
  cursor     TEXT    NOT NULL DEFAULT ''
) STRICT;

-- seq is the date added in microseconds: one column serves as position, time and key.
-- version is the object's version; the smallest integer stands for "none".
CREATE TABLE objects (
  seq        INTEGER PRIMARY KEY,
  collection INTEGER NOT NULL,
  stix_id    TEXT    NOT NULL,
  version    INTEGER NOT NULL,
  type       INTEGER NOT NULL,
  spec       TEXT    NOT NULL,
  raw        BLOB    NOT NULL
) STRICT;
CREATE UNIQUE INDEX objects_by_version ON objects (collection, stix_id, version);
CREATE INDEX objects_by_position ON objects (collection, seq, type);

CREATE TABLE views (
  id   INTEGER PRIMARY KEY,
  feed TEXT NOT NULL,
  peer TEXT NOT NULL,
  UNIQUE (feed, peer)
) STRICT;

-- The last decision about each record of a view, and under which rule. added is the date added in the view of a shared
-- record, 0 for a held one. collection and type repeat those of the object, so that a page is selected in one index.
CREATE TABLE decisions (
  view       INTEGER NOT NULL,
  seq        INTEGER NOT NULL,
  rule       INTEGER NOT NULL,
  share      INTEGER NOT NULL CHECK (share IN (0, 1)),
  reason     INTEGER NOT NULL,
  added      INTEGER NOT NULL,
  collection INTEGER NOT NULL,
  type       INTEGER NOT NULL,
  PRIMARY KEY (view, seq)
) STRICT, WITHOUT ROWID;
CREATE INDEX decisions_shared ON decisions (view, added, rule, collection, type) WHERE share = 1;

-- Sums of decisions, kept by every decision.
CREATE TABLE decision_counts (
  view       INTEGER NOT NULL,
  collection INTEGER NOT NULL,
  rule       INTEGER NOT NULL,
  share      INTEGER NOT NULL,
  reason     INTEGER NOT NULL,
  records    INTEGER NOT NULL,
  PRIMARY KEY (view, collection, rule, share, reason)
) STRICT, WITHOUT ROWID;

-- Every record of the collection up to decided_to has a decision under the rule: the search for undecided ones starts there.
CREATE TABLE decision_progress (
  view       INTEGER NOT NULL,
  collection INTEGER NOT NULL,
  rule       INTEGER NOT NULL,
  decided_to INTEGER NOT NULL,
  PRIMARY KEY (view, collection)
) STRICT, WITHOUT ROWID;

-- One row for each peer: the last serial given out, and what was received.
CREATE TABLE lines (
  peer        TEXT PRIMARY KEY,
  out_serial  INTEGER NOT NULL DEFAULT 0,
  in_messages INTEGER NOT NULL DEFAULT 0,
  in_serial   INTEGER NOT NULL DEFAULT 0
) STRICT, WITHOUT ROWID;

-- urgency is that of the precedence, 0 the most urgent; a message takes over that of a later one in its conversation.
CREATE TABLE messages (
  pos             INTEGER PRIMARY KEY,
  direction       TEXT    NOT NULL CHECK (direction IN ('in', 'out')),
  peer            TEXT    NOT NULL,
  id              TEXT    NOT NULL,
  serial          INTEGER NOT NULL CHECK (serial > 0),
  conversation    TEXT    NOT NULL,
  kind            TEXT    NOT NULL,
  precedence      TEXT    NOT NULL,
  urgency         INTEGER NOT NULL,
  in_reply_to     TEXT    NOT NULL,
  payload         BLOB    NOT NULL,
  signed          BLOB,
  created_at      INTEGER NOT NULL,
  stored_at       INTEGER NOT NULL,
  receipt         BLOB,
  receipt_at      INTEGER NOT NULL DEFAULT 0,
  acknowledged_by TEXT    NOT NULL DEFAULT '',
  acknowledged_at INTEGER NOT NULL DEFAULT 0,
  UNIQUE (direction, peer, id),
  UNIQUE (direction, peer, serial)
) STRICT;
CREATE INDEX messages_by_peer ON messages (peer, pos);
CREATE INDEX messages_by_both ON messages (direction, peer, pos);
CREATE INDEX messages_by_direction ON messages (direction, pos);
CREATE INDEX messages_queued ON messages (peer, urgency, serial) WHERE direction = 'out' AND receipt IS NULL;
CREATE INDEX messages_queued_talk ON messages (peer, conversation) WHERE direction = 'out' AND receipt IS NULL;
CREATE INDEX messages_received ON messages (peer, receipt_at) WHERE direction = 'out' AND receipt IS NOT NULL;
CREATE INDEX messages_unanswered ON messages (direction, peer, serial) WHERE acknowledged_by = '' AND kind <> 'ACK';
