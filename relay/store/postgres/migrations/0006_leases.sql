-- SPDX-FileCopyrightText: The certlink authors
-- SPDX-License-Identifier: Apache-2.0

-- Work that one replica does at a time. token grows with every change of holder. note is for all replicas to read.
CREATE TABLE leases (
  name    text COLLATE "C" PRIMARY KEY,
  holder  text COLLATE "C" NOT NULL,
  token   bigint NOT NULL,
  expires bigint NOT NULL,
  note    bytea
);
