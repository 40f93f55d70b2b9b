-- SPDX-FileCopyrightText: The certlink authors
-- SPDX-License-Identifier: Apache-2.0

-- Messages of ours that wait for their release, and what became of them.
CREATE TABLE drafts (
  seq        INTEGER PRIMARY KEY AUTOINCREMENT,
  peer       TEXT    NOT NULL,
  id         TEXT    NOT NULL,
  waiting    INTEGER NOT NULL,
  precedence TEXT    NOT NULL,
  created_at INTEGER NOT NULL,
  expires_at INTEGER NOT NULL,
  body       BLOB    NOT NULL,
  UNIQUE (peer, id)
) STRICT;
CREATE INDEX drafts_waiting ON drafts (peer, seq) WHERE waiting = 1;
