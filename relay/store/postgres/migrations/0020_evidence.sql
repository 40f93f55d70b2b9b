-- SPDX-FileCopyrightText: The certlink authors
-- SPDX-License-Identifier: Apache-2.0

-- What all that a peer said in one batch has in common: its signed checkpoint, and hashes of the tree under it, 32 bytes each.
CREATE TABLE evidence (
  id         bigint PRIMARY KEY GENERATED ALWAYS AS IDENTITY,
  checkpoint bytea  NOT NULL,
  hashes     bytea  NOT NULL,
  chain      bigint NOT NULL
);

-- The evidence of what the peer said; its proof is then what package store packs. 0 where the proof is a whole text, as earlier
-- releases stored it.
ALTER TABLE messages ADD COLUMN evidence bigint NOT NULL DEFAULT 0;

-- The last receipt is found in messages_by_receipt.
DROP INDEX messages_received;
