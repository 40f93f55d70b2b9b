-- SPDX-FileCopyrightText: The certlink authors
-- SPDX-License-Identifier: Apache-2.0

-- Lines that get back what this database lost when it was set back: since when, above which serial of ours the peer is asked
-- next, and how many messages and receipts came back so far. A line without a row is in no recovery.
CREATE TABLE recoveries (
  peer     TEXT    NOT NULL PRIMARY KEY,
  since    INTEGER NOT NULL,
  ours     INTEGER NOT NULL,
  messages INTEGER NOT NULL,
  receipts INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
