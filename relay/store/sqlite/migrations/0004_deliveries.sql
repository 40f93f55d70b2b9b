-- SPDX-FileCopyrightText: The certlink authors
-- SPDX-License-Identifier: Apache-2.0

-- See store.Delivery. dead and queued are kept by every change of dead_letters.
CREATE TABLE deliveries (
  id         INTEGER PRIMARY KEY,
  collection INTEGER NOT NULL,
  name       TEXT    NOT NULL,
  position   INTEGER NOT NULL DEFAULT 0,
  delivered  INTEGER NOT NULL DEFAULT 0,
  dead       INTEGER NOT NULL DEFAULT 0,
  queued     INTEGER NOT NULL DEFAULT 0,
  UNIQUE (collection, name)
) STRICT;

-- version is that of the object; the smallest integer stands for "none".
CREATE TABLE dead_letters (
  delivery INTEGER NOT NULL,
  seq      INTEGER NOT NULL,
  stix_id  TEXT    NOT NULL,
  version  INTEGER NOT NULL,
  reason   TEXT    NOT NULL,
  at       INTEGER NOT NULL,
  queued   INTEGER NOT NULL DEFAULT 0,
  PRIMARY KEY (delivery, seq)
) STRICT, WITHOUT ROWID;
CREATE INDEX dead_letters_queued ON dead_letters (delivery, seq) WHERE queued = 1;
