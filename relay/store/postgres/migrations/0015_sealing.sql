-- SPDX-FileCopyrightText: The certlink authors
-- SPDX-License-Identifier: Apache-2.0

-- Keys of ours to which others seal; private is a secret. Old ones stay as long as a courier may travel.
CREATE TABLE seal_keys (
  id         text COLLATE "C" PRIMARY KEY,
  private    bytea NOT NULL,
  created_at bigint NOT NULL
);

-- The key of each peer, and the signed statement that says so.
CREATE TABLE peer_seal_keys (
  peer       text COLLATE "C" PRIMARY KEY,
  public     bytea NOT NULL,
  statement  bytea NOT NULL,
  learned_at bigint NOT NULL
);

-- Requests that came through others, so that none is taken twice.
CREATE TABLE transit_seen (
  peer    text COLLATE "C" NOT NULL,
  id      text COLLATE "C" NOT NULL,
  expires bigint NOT NULL,
  PRIMARY KEY (peer, id)
);
CREATE INDEX transit_seen_by_expiry ON transit_seen (expires);

-- Answers to batches that a courier brought, for the next one back.
CREATE TABLE courier_answers (
  seq    bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  peer   text COLLATE "C" NOT NULL,
  batch  text COLLATE "C" NOT NULL,
  answer bytea NOT NULL,
  at     bigint NOT NULL,
  UNIQUE (peer, batch)
);
