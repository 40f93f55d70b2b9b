-- SPDX-FileCopyrightText: The certlink authors
-- SPDX-License-Identifier: Apache-2.0

-- Our journal of each line, one row for each commit. size is the number of entries after it, first before it; hashes holds
-- 32 bytes for each hash from first_hash on, entries what package store encodes. chain is that of the signer.
CREATE TABLE journals (
  peer       TEXT    NOT NULL,
  size       bigint  NOT NULL CHECK (size > first),
  first      bigint  NOT NULL,
  first_hash bigint  NOT NULL,
  next_hash  bigint  NOT NULL,
  entries    bytea NOT NULL,
  hashes     bytea NOT NULL,
  root       bytea NOT NULL,
  signed     bytea NOT NULL,
  chain      bigint  NOT NULL,
  stored_at  bigint  NOT NULL,
  PRIMARY KEY (peer, size)
);
CREATE UNIQUE INDEX journal_hashes ON journals (peer, first_hash);

-- Checkpoints of the peers' journals, as they were received.
CREATE TABLE peer_checkpoints (
  peer      TEXT    NOT NULL,
  size      bigint  NOT NULL,
  root      bytea NOT NULL,
  signed    bytea NOT NULL,
  chain     bigint  NOT NULL,
  stored_at bigint  NOT NULL,
  PRIMARY KEY (peer, size)
);

-- Certificate chains of signers, each once: hash is the SHA-256 of the chain.
CREATE TABLE signer_chains (
  id    bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  chain bytea NOT NULL,
  hash  bytea NOT NULL UNIQUE
);

-- A journal is append-only.
CREATE FUNCTION journals_stay() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  RAISE EXCEPTION 'a journal is append-only';
END $$;
CREATE TRIGGER journals_stay BEFORE DELETE OR UPDATE ON journals FOR EACH ROW EXECUTE FUNCTION journals_stay();
