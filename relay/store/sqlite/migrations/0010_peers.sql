-- SPDX-FileCopyrightText: The certlink authors
-- SPDX-License-Identifier: Apache-2.0

-- entry is the place in our journal, from 1: of a message of ours its own, of a received one that of our receipt; 0 before
-- the journal began. proof is that of what the peer said, its message or its receipt, under a checkpoint of its journal, and
-- proof_chain the signer of that, 0 for none.
ALTER TABLE messages ADD COLUMN entry INTEGER NOT NULL DEFAULT 0;
ALTER TABLE messages ADD COLUMN proof BLOB;
ALTER TABLE messages ADD COLUMN proof_chain INTEGER NOT NULL DEFAULT 0;

-- What an entry of ours held before its message got another serial, after a database was set back.
CREATE TABLE superseded (
  peer    TEXT    NOT NULL,
  entry   INTEGER NOT NULL,
  id      TEXT    NOT NULL,
  payload BLOB    NOT NULL,
  PRIMARY KEY (peer, entry)
) STRICT, WITHOUT ROWID;

-- Checkpoints of the peers' journals, as they were received. A journal whose database was set back goes on in another era. Nothing
-- was written here by releases before.
DROP TABLE peer_checkpoints;
CREATE TABLE peer_checkpoints (
  peer      TEXT    NOT NULL,
  era       INTEGER NOT NULL,
  size      INTEGER NOT NULL,
  root      BLOB NOT NULL,
  signed    BLOB NOT NULL,
  chain     INTEGER NOT NULL,
  stored_at INTEGER NOT NULL,
  PRIMARY KEY (peer, era, size)
) STRICT, WITHOUT ROWID;

-- When a journal of a line went on after its database had been set back: ours, or the peer's. old_size is what was signed
-- before, size where it goes on, note the entry that says so.
CREATE TABLE journal_breaks (
  peer     TEXT    NOT NULL,
  ours     INTEGER NOT NULL,
  at       INTEGER NOT NULL,
  old_size INTEGER NOT NULL,
  size     INTEGER NOT NULL,
  note     BLOB NOT NULL,
  PRIMARY KEY (peer, ours, at)
) STRICT, WITHOUT ROWID;
