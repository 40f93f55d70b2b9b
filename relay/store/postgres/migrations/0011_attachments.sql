-- SPDX-FileCopyrightText: The certlink authors
-- SPDX-License-Identifier: Apache-2.0

-- Attachments of messages: stored is how much there is, from the beginning; complete is set once all of it was compared
-- with sha256. held counts the holders; what has none is deleted after a while.
CREATE TABLE attachments (
  id         bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  direction  TEXT    NOT NULL CHECK (direction IN ('in', 'out')),
  peer       TEXT    NOT NULL,
  sha256     bytea NOT NULL,
  size       bigint NOT NULL CHECK (size > 0),
  stored     bigint NOT NULL CHECK (stored <= size),
  complete   bigint NOT NULL DEFAULT 0,
  held       bigint NOT NULL DEFAULT 0,
  changed_at bigint NOT NULL,
  UNIQUE (direction, peer, sha256)
);
CREATE INDEX attachments_loose ON attachments (direction, peer, size) WHERE held = 0;
CREATE INDEX attachments_old ON attachments (changed_at) WHERE held = 0;

-- Their content: first is the offset of a chunk.
CREATE TABLE attachment_chunks (
  attachment bigint NOT NULL,
  first      bigint NOT NULL,
  content    bytea NOT NULL,
  PRIMARY KEY (attachment, first)
);
-- It is mostly compressed by its authors.
ALTER TABLE attachment_chunks ALTER content SET STORAGE EXTERNAL;

-- Who holds them: holder is the id of a message, or another name of ours.
CREATE TABLE attachment_holders (
  direction  TEXT    NOT NULL,
  peer       TEXT    NOT NULL,
  holder     TEXT    NOT NULL,
  attachment bigint NOT NULL,
  PRIMARY KEY (direction, peer, holder, attachment)
);
