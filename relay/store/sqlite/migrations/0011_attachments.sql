-- SPDX-FileCopyrightText: The certlink authors
-- SPDX-License-Identifier: Apache-2.0

-- Attachments of messages: stored is how much there is, from the beginning; complete is set once all of it was compared
-- with sha256. held counts the holders; what has none is deleted after a while.
CREATE TABLE attachments (
  id         INTEGER PRIMARY KEY AUTOINCREMENT,
  direction  TEXT    NOT NULL CHECK (direction IN ('in', 'out')),
  peer       TEXT    NOT NULL,
  sha256     BLOB NOT NULL,
  size       INTEGER NOT NULL CHECK (size > 0),
  stored     INTEGER NOT NULL CHECK (stored <= size),
  complete   INTEGER NOT NULL DEFAULT 0,
  held       INTEGER NOT NULL DEFAULT 0,
  changed_at INTEGER NOT NULL,
  UNIQUE (direction, peer, sha256)
) STRICT;
CREATE INDEX attachments_loose ON attachments (direction, peer, size) WHERE held = 0;
CREATE INDEX attachments_old ON attachments (changed_at) WHERE held = 0;

-- Their content: first is the offset of a chunk.
CREATE TABLE attachment_chunks (
  attachment INTEGER NOT NULL,
  first      INTEGER NOT NULL,
  content    BLOB NOT NULL,
  PRIMARY KEY (attachment, first)
) STRICT;

-- Who holds them: holder is the id of a message, or another name of ours.
CREATE TABLE attachment_holders (
  direction  TEXT    NOT NULL,
  peer       TEXT    NOT NULL,
  holder     TEXT    NOT NULL,
  attachment INTEGER NOT NULL,
  PRIMARY KEY (direction, peer, holder, attachment)
) STRICT, WITHOUT ROWID;
