-- SPDX-FileCopyrightText: The certlink authors
-- SPDX-License-Identifier: Apache-2.0

-- lines is written seldom from now on: out_serial and in_serial are at least what they say, the rest follows from the
-- messages, and in_serial - in_messages is how many are missing.

-- A batch of a journal is appended to the end of one table, where it was put into a tree as deep as its rows are long. key is
-- the number of the line times 2^40, and the size of the log after the batch. A hash is found by the size that the log
-- had, so journal_hashes goes, too. Row after row is copied, nothing is sorted: 250,000 batches took four seconds on two busy cores.
CREATE TABLE journal_lines (
  id   INTEGER PRIMARY KEY CHECK (id > 0 AND id < 8388608),
  peer TEXT    NOT NULL UNIQUE
) STRICT;
INSERT INTO journal_lines (peer) SELECT DISTINCT peer FROM journals ORDER BY peer;
CREATE TABLE journal_batches (
  key        INTEGER PRIMARY KEY CHECK (key & 1099511627775 > first),
  first      INTEGER NOT NULL,
  first_hash INTEGER NOT NULL,
  next_hash  INTEGER NOT NULL,
  entries    BLOB NOT NULL,
  hashes     BLOB NOT NULL,
  root       BLOB NOT NULL,
  signed     BLOB NOT NULL,
  chain      INTEGER NOT NULL,
  stored_at  INTEGER NOT NULL
) STRICT;
INSERT INTO journal_batches (key, first, first_hash, next_hash, entries, hashes, root, signed, chain, stored_at)
  SELECT (l.id << 40) + j.size, j.first, j.first_hash, j.next_hash, j.entries, j.hashes, j.root, j.signed, j.chain, j.stored_at
  FROM journal_lines AS l CROSS JOIN journals AS j ON j.peer = l.peer ORDER BY l.id, j.size;
DROP TABLE journals;
ALTER TABLE journal_batches RENAME TO journals;
CREATE TRIGGER journals_stay BEFORE DELETE ON journals BEGIN
  SELECT RAISE(ABORT, 'a journal is append-only');
END;
CREATE TRIGGER journals_keep BEFORE UPDATE ON journals BEGIN
  SELECT RAISE(ABORT, 'a journal is append-only');
END;
