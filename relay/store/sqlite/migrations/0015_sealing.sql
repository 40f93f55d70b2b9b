-- SPDX-FileCopyrightText: The certlink authors
-- SPDX-License-Identifier: Apache-2.0

-- Keys of ours to which others seal; private is a secret. Old ones stay as long as a courier may travel.
CREATE TABLE seal_keys (
  id         TEXT    PRIMARY KEY,
  private    BLOB    NOT NULL,
  created_at INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

-- The key of each peer, and the signed statement that says so.
CREATE TABLE peer_seal_keys (
  peer       TEXT    PRIMARY KEY,
  public     BLOB    NOT NULL,
  statement  BLOB    NOT NULL,
  learned_at INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

-- Requests that came through others, so that none is taken twice.
CREATE TABLE transit_seen (
  peer    TEXT    NOT NULL,
  id      TEXT    NOT NULL,
  expires INTEGER NOT NULL,
  PRIMARY KEY (peer, id)
) STRICT, WITHOUT ROWID;
CREATE INDEX transit_seen_by_expiry ON transit_seen (expires);

-- Answers to batches that a courier brought, for the next one back.
CREATE TABLE courier_answers (
  seq    INTEGER PRIMARY KEY,
  peer   TEXT    NOT NULL,
  batch  TEXT    NOT NULL,
  answer BLOB    NOT NULL,
  at     INTEGER NOT NULL,
  UNIQUE (peer, batch)
) STRICT;
