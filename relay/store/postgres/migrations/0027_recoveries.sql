-- SPDX-FileCopyrightText: The certlink authors
-- SPDX-License-Identifier: Apache-2.0

-- Lines that get back what this database lost when it was set back: since when, above which serial of ours the peer is asked
-- next, and how many messages and receipts came back so far. A line without a row is in no recovery.
CREATE TABLE recoveries (
  peer     text COLLATE "C" NOT NULL PRIMARY KEY,
  since    bigint NOT NULL,
  ours     bigint NOT NULL,
  messages bigint NOT NULL,
  receipts bigint NOT NULL
);
