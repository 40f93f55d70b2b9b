-- SPDX-FileCopyrightText: The certlink authors
-- SPDX-License-Identifier: Apache-2.0

-- entry is the place in our journal, from 1: of a message of ours its own, of a received one that of our receipt; 0 before
-- the journal began. proof is that of what the peer said, its message or its receipt, under a checkpoint of its journal, and
-- proof_chain the signer of that, 0 for none.
ALTER TABLE messages ADD COLUMN entry BIGINT NOT NULL DEFAULT 0;
ALTER TABLE messages ADD COLUMN proof BYTEA;
ALTER TABLE messages ADD COLUMN proof_chain BIGINT NOT NULL DEFAULT 0;

-- What an entry of ours held before its message got another serial, after a database was set back.
CREATE TABLE superseded (
  peer    TEXT NOT NULL,
  entry   BIGINT NOT NULL,
  id      TEXT NOT NULL,
  payload BYTEA    NOT NULL,
  PRIMARY KEY (peer, entry)
);

-- Checkpoints of the peers' journals, as they were received. A journal whose database was set back goes on in another era. Nothing
-- was written here by releases before.
DROP TABLE peer_checkpoints;
CREATE TABLE peer_checkpoints (
  peer      TEXT NOT NULL,
  era       BIGINT NOT NULL,
  size      BIGINT NOT NULL,
  root      BYTEA NOT NULL,
  signed    BYTEA NOT NULL,
  chain     BIGINT NOT NULL,
  stored_at BIGINT NOT NULL,
  PRIMARY KEY (peer, era, size)
);

-- When a journal of a line went on after its database had been set back: ours, or the peer's. old_size is what was signed
-- before, size where it goes on, note the entry that says so.
CREATE TABLE journal_breaks (
  peer     TEXT NOT NULL,
  ours     BIGINT NOT NULL,
  at       BIGINT NOT NULL,
  old_size BIGINT NOT NULL,
  size     BIGINT NOT NULL,
  note     BYTEA NOT NULL,
  PRIMARY KEY (peer, ours, at)
);
