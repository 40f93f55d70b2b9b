-- SPDX-FileCopyrightText: The certlink authors
-- SPDX-License-Identifier: Apache-2.0

-- See store.Delivery. dead and queued are kept by every change of dead_letters. Whoever changes a delivery holds its row.
CREATE TABLE deliveries (
  id         integer GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  collection integer NOT NULL,
  name       text COLLATE "C" NOT NULL,
  position   bigint NOT NULL DEFAULT 0,
  delivered  bigint NOT NULL DEFAULT 0,
  dead       bigint NOT NULL DEFAULT 0,
  queued     bigint NOT NULL DEFAULT 0,
  UNIQUE (collection, name)
);

-- version is that of the object; the smallest integer stands for "none".
CREATE TABLE dead_letters (
  seq      bigint  NOT NULL,
  version  bigint  NOT NULL,
  at       bigint  NOT NULL,
  delivery integer NOT NULL,
  queued   boolean NOT NULL DEFAULT false,
  stix_id  text COLLATE "C" NOT NULL,
  reason   text    NOT NULL,
  PRIMARY KEY (delivery, seq)
);
CREATE INDEX dead_letters_queued ON dead_letters (delivery, seq) WHERE queued;
