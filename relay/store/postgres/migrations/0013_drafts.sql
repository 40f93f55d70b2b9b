-- SPDX-FileCopyrightText: The certlink authors
-- SPDX-License-Identifier: Apache-2.0

-- Messages of ours that wait for their release, and what became of them.
CREATE TABLE drafts (
  seq        bigint  GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  peer       TEXT    NOT NULL,
  id         TEXT    NOT NULL,
  waiting    boolean NOT NULL,
  precedence TEXT    NOT NULL,
  created_at bigint  NOT NULL,
  expires_at bigint  NOT NULL,
  body       bytea   NOT NULL,
  UNIQUE (peer, id)
);
CREATE INDEX drafts_waiting ON drafts (peer, seq) WHERE waiting;
