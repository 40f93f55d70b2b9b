-- SPDX-FileCopyrightText: The certlink authors
-- SPDX-License-Identifier: Apache-2.0

-- Objects are found by 64 bits of the SHA-256 of their identifier. Several may share a key: versions, collections, and in
-- theory strangers, so stix_id is always compared too. That a version is there once is seen to by the one writer.
ALTER TABLE objects ADD COLUMN key INTEGER NOT NULL DEFAULT 0;
UPDATE objects SET key = certlink_key(stix_id);
DROP INDEX objects_by_version;
CREATE INDEX objects_by_key ON objects (key);
