-- SPDX-FileCopyrightText: The certlink authors
-- SPDX-License-Identifier: Apache-2.0

-- What all that a peer said in one batch has in common: its signed checkpoint, and hashes of the tree under it, 32 bytes each.
CREATE TABLE evidence (
  id         INTEGER PRIMARY KEY,
  checkpoint BLOB    NOT NULL,
  hashes     BLOB    NOT NULL,
  chain      INTEGER NOT NULL
) STRICT;

-- The evidence of a received message; its proof is then what package store packs. 0 where the proof is a whole text, as
-- earlier releases stored it.
ALTER TABLE messages ADD COLUMN evidence INTEGER NOT NULL DEFAULT 0;

-- Receipts of the peers for messages of ours, by their pos: a message is not written again when its receipt comes. Those that
-- earlier releases stored stay with their messages.
CREATE TABLE receipts (
  pos      INTEGER PRIMARY KEY,
  peer     TEXT    NOT NULL,
  at       INTEGER NOT NULL,
  body     BLOB    NOT NULL,
  evidence INTEGER NOT NULL,
  proof    BLOB
) STRICT;
CREATE INDEX receipts_by_time ON receipts (peer, at);

-- Messages of ours without receipt, and only they. talk is the conversation, where that is not the message's own id.
CREATE TABLE queued (
  peer    TEXT    NOT NULL,
  urgency INTEGER NOT NULL,
  serial  INTEGER NOT NULL,
  pos     INTEGER NOT NULL,
  talk    TEXT,
  PRIMARY KEY (peer, urgency, serial)
) STRICT, WITHOUT ROWID;
CREATE INDEX queued_talk ON queued (peer, talk) WHERE talk IS NOT NULL;
INSERT INTO queued (peer, urgency, serial, pos, talk)
  SELECT peer, urgency, serial, pos, nullif(conversation, id) FROM messages INDEXED BY messages_queued
  WHERE direction = 'out' AND receipt IS NULL ORDER BY peer, urgency, serial;

-- No message is written again: with 200,000 messages, 50,000 of them queued, all of this takes some seconds.

DROP INDEX messages_queued;
DROP INDEX messages_queued_talk;
DROP INDEX messages_received;
