-- SPDX-FileCopyrightText: The certlink authors
-- SPDX-License-Identifier: Apache-2.0

-- What came and was not put into its collection. state: 0 held, 1 accepted, 2 dropped. raw of an accepted item is what it
-- replaced. digest is SHA-256 of what came: the same is kept once.
CREATE TABLE quarantine (
  seq        bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  version    bigint  NOT NULL,
  at         bigint  NOT NULL,
  settled_at bigint  NOT NULL DEFAULT 0,
  collection integer NOT NULL,
  state      integer NOT NULL DEFAULT 0 CHECK (state IN (0, 1, 2)),
  stix_id    text COLLATE "C" NOT NULL,
  type       text COLLATE "C" NOT NULL,
  spec       text COLLATE "C" NOT NULL,
  reason     text COLLATE "C" NOT NULL,
  settled_by text COLLATE "C" NOT NULL DEFAULT '',
  digest     bytea   NOT NULL,
  raw        bytea   NOT NULL
);
CREATE UNIQUE INDEX quarantine_once ON quarantine (collection, stix_id, version, reason, digest);
CREATE INDEX quarantine_by_place ON quarantine (collection, seq);
CREATE INDEX quarantine_by_state ON quarantine (collection, state, seq);

-- Sums of what is held, kept by every change, and how often something found no room. Whoever changes the quarantine of a
-- collection holds its row.
CREATE TABLE quarantine_sums (
  collection integer PRIMARY KEY,
  held       bigint NOT NULL DEFAULT 0,
  bytes      bigint NOT NULL DEFAULT 0,
  overflow   bigint NOT NULL DEFAULT 0
);

-- Since which version an object is revoked.
CREATE TABLE revocations (
  since      bigint  NOT NULL,
  collection integer NOT NULL,
  stix_id    text COLLATE "C" NOT NULL,
  PRIMARY KEY (collection, stix_id)
);
