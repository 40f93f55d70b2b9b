-- SPDX-FileCopyrightText: The certlink authors
-- SPDX-License-Identifier: Apache-2.0

-- Our journal of each line, one row for each commit. size is the number of entries after it, first before it; hashes holds
-- 32 bytes for each hash from first_hash on, entries what package store encodes. chain is that of the signer.
CREATE TABLE journals (
  peer       TEXT    NOT NULL,
  size       INTEGER NOT NULL CHECK (size > first),
  first      INTEGER NOT NULL,
  first_hash INTEGER NOT NULL,
  next_hash  INTEGER NOT NULL,
  entries    BLOB NOT NULL,
  hashes     BLOB NOT NULL,
  root       BLOB NOT NULL,
  signed     BLOB NOT NULL,
  chain      INTEGER NOT NULL,
  stored_at  INTEGER NOT NULL,
  PRIMARY KEY (peer, size)
) STRICT, WITHOUT ROWID;
CREATE UNIQUE INDEX journal_hashes ON journals (peer, first_hash);

-- Checkpoints of the peers' journals, as they were received.
CREATE TABLE peer_checkpoints (
  peer      TEXT    NOT NULL,
  size      INTEGER NOT NULL,
  root      BLOB NOT NULL,
  signed    BLOB NOT NULL,
  chain     INTEGER NOT NULL,
  stored_at INTEGER NOT NULL,
  PRIMARY KEY (peer, size)
) STRICT, WITHOUT ROWID;

-- Certificate chains of signers, each once.
CREATE TABLE signer_chains (
  id    INTEGER PRIMARY KEY,
  chain BLOB NOT NULL UNIQUE
) STRICT;

-- A journal is append-only.
CREATE TRIGGER journals_stay BEFORE DELETE ON journals BEGIN
  SELECT RAISE(ABORT, 'a journal is append-only');
END;
CREATE TRIGGER journals_keep BEFORE UPDATE ON journals BEGIN
  SELECT RAISE(ABORT, 'a journal is append-only');
END;
