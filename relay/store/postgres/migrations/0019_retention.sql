-- SPDX-FileCopyrightText: The certlink authors
-- SPDX-License-Identifier: Apache-2.0

-- deletions counts the records that were ever deleted from a collection.
ALTER TABLE collections ADD COLUMN deletions bigint NOT NULL DEFAULT 0;

-- receipt_at is when the peer signed the receipt, as it says.
ALTER TABLE views ADD COLUMN receipt_at bigint NOT NULL DEFAULT 0;

-- gone is when the last version of the object was deleted, 0 while there is one.
ALTER TABLE revocations ADD COLUMN gone bigint NOT NULL DEFAULT 0;
UPDATE revocations r SET gone = 1 WHERE NOT EXISTS (SELECT 1 FROM objects o WHERE o.collection = r.collection AND o.stix_id = r.stix_id);
CREATE INDEX revocations_gone ON revocations (collection, gone, stix_id) WHERE gone > 0;

-- References go with the object that they come from. Who was named a victim once stays one.
CREATE INDEX object_references_from ON object_references (collection, from_id);
DELETE FROM object_references r WHERE kind = 'contains' AND NOT EXISTS
  (SELECT 1 FROM objects o WHERE o.collection = r.collection AND o.stix_id = r.from_id);
