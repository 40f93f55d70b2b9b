-- SPDX-FileCopyrightText: The certlink authors
-- SPDX-License-Identifier: Apache-2.0

-- A version of an object, and whether another one lies beyond it, is found at once among however many the object has: each
-- was compared with all of them, so that ten thousand versions of one object kept the writer for a minute.
DROP INDEX objects_by_key;
CREATE INDEX objects_by_key ON objects (key, spec, version);
