-- SPDX-FileCopyrightText: The certlink authors
-- SPDX-License-Identifier: Apache-2.0

-- The types of objects that a collection may have, see AdmitTypes. Words are never deleted, and neither are these.
CREATE TABLE collection_types (
  collection INTEGER NOT NULL,
  type       INTEGER NOT NULL,
  PRIMARY KEY (collection, type)
) STRICT, WITHOUT ROWID;
INSERT INTO collection_types (collection, type) SELECT DISTINCT collection, type FROM objects;
