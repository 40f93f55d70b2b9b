-- SPDX-FileCopyrightText: The certlink authors
-- SPDX-License-Identifier: Apache-2.0

-- What speaks against the journal of a peer: evidence holds two checkpoints that it signed, as package store encodes them.
-- settled_at is 0 while nobody has settled it.
CREATE TABLE peer_doubts (
  peer       TEXT NOT NULL,
  kind       TEXT NOT NULL,
  at         BIGINT NOT NULL,
  evidence   BYTEA NOT NULL,
  settled_at BIGINT NOT NULL DEFAULT 0,
  settled_by TEXT NOT NULL DEFAULT '',
  PRIMARY KEY (peer, kind, at)
);
CREATE UNIQUE INDEX peer_doubts_open ON peer_doubts (peer, kind) WHERE settled_at = 0;
