-- SPDX-FileCopyrightText: The certlink authors
-- SPDX-License-Identifier: Apache-2.0

-- deletions counts the records that were ever deleted from a collection.
ALTER TABLE collections ADD COLUMN deletions INTEGER NOT NULL DEFAULT 0;

-- receipt_at is when the peer signed the receipt, as it says.
ALTER TABLE views ADD COLUMN receipt_at INTEGER NOT NULL DEFAULT 0;

-- gone is when the last version of the object was deleted, 0 while there is one.
ALTER TABLE revocations ADD COLUMN gone INTEGER NOT NULL DEFAULT 0;
UPDATE revocations SET gone = 1 WHERE NOT EXISTS (SELECT 1 FROM objects o INDEXED BY objects_by_key
  WHERE o.key = certlink_key(revocations.stix_id) AND o.collection = revocations.collection AND o.stix_id = revocations.stix_id);
CREATE INDEX revocations_gone ON revocations (collection, gone, stix_id) WHERE gone > 0;

-- References go with the object that they come from. Who was named a victim once stays one.
CREATE INDEX object_references_from ON object_references (collection, from_id);
DELETE FROM object_references WHERE kind = 'contains' AND NOT EXISTS (SELECT 1 FROM objects o INDEXED BY objects_by_key
  WHERE o.key = certlink_key(object_references.from_id) AND o.collection = object_references.collection AND o.stix_id = object_references.from_id);
