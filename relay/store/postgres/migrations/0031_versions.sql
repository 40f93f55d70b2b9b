-- SPDX-FileCopyrightText: The certlink authors
-- SPDX-License-Identifier: Apache-2.0

-- Whether another version lies beyond one is found at once among however many the object has: each was compared with all
-- of them. That a version is there once, of whichever spec version, is seen to by the one writer at a time.
DROP INDEX objects_by_version;
CREATE UNIQUE INDEX objects_by_version ON objects (collection, stix_id, spec, version);
