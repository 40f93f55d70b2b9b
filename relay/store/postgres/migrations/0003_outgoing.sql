-- SPDX-FileCopyrightText: The certlink authors
-- SPDX-License-Identifier: Apache-2.0

-- Versions that a peer was handed and should now drop.
CREATE TABLE withdrawals (
  pos     bigint  NOT NULL,
  version bigint  NOT NULL,
  view    integer NOT NULL,
  stix_id text COLLATE "C" NOT NULL,
  PRIMARY KEY (view, pos)
);

-- Versions that a peer has received and not kept.
CREATE TABLE refusals (
  version bigint  NOT NULL,
  at      bigint  NOT NULL,
  view    integer NOT NULL,
  stix_id text COLLATE "C" NOT NULL,
  reason  text    NOT NULL,
  PRIMARY KEY (view, stix_id, version)
);
CREATE INDEX refusals_by_age ON refusals (view, at, stix_id, version);

-- Relations between objects of a collection on which decisions depend.
CREATE TABLE object_references (
  collection integer NOT NULL,
  to_id      text COLLATE "C" NOT NULL,
  kind       text COLLATE "C" NOT NULL,
  from_id    text COLLATE "C" NOT NULL,
  PRIMARY KEY (collection, to_id, kind, from_id)
);
