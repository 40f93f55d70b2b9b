-- SPDX-FileCopyrightText: The certlink authors
-- SPDX-License-Identifier: Apache-2.0

-- A checkpoint of a peer's journal stands with what it proves: what came with a batch was stored twice, as a checkpoint that is
-- kept and as the evidence of its messages. The key of such a row is the number of the era of that journal times 2^40, and
-- the size; evidence under a checkpoint that another row has, and all of before, has a smaller number. alone: it proves no
-- message and no receipt, and goes when it is too old.
CREATE TABLE peer_logs (
  id   INTEGER PRIMARY KEY CHECK (id > 0 AND id < 8388608),
  peer TEXT    NOT NULL,
  era  INTEGER NOT NULL,
  UNIQUE (peer, era)
) STRICT;
ALTER TABLE evidence ADD COLUMN root BLOB;
ALTER TABLE evidence ADD COLUMN stored_at INTEGER NOT NULL DEFAULT 0;
ALTER TABLE evidence ADD COLUMN alone INTEGER NOT NULL DEFAULT 0;
CREATE INDEX evidence_alone ON evidence (id) WHERE alone = 1;

-- No row of messages, receipts or evidence is written again: of each line there are some hundred checkpoints.
INSERT INTO peer_logs (peer, era) SELECT DISTINCT peer, era FROM peer_checkpoints WHERE size BETWEEN 0 AND 1099511627775 ORDER BY peer, era;
INSERT INTO evidence (id, checkpoint, hashes, chain, root, stored_at, alone)
  SELECT (l.id << 40) + c.size, c.signed, x'', c.chain, c.root, c.stored_at, 1
  FROM peer_logs AS l CROSS JOIN peer_checkpoints AS c ON c.peer = l.peer AND c.era = l.era
  WHERE c.size BETWEEN 0 AND 1099511627775 ORDER BY l.id, c.size;
DROP TABLE peer_checkpoints;
