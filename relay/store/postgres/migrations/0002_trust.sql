-- SPDX-FileCopyrightText: The certlink authors
-- SPDX-License-Identifier: Apache-2.0

-- The record of trust changes, without gaps. content holds the hash of the content before it; see package trust.
CREATE TABLE trust_records (
  seq     bigint PRIMARY KEY CHECK (seq > 0),
  subject text COLLATE "C" NOT NULL,
  content bytea NOT NULL
);
CREATE INDEX trust_by_subject ON trust_records (subject, seq);
CREATE FUNCTION trust_records_stay() RETURNS trigger LANGUAGE plpgsql AS
  'BEGIN RAISE EXCEPTION ''the record of trust changes is append-only''; END';
CREATE TRIGGER trust_records_stay BEFORE DELETE OR UPDATE OR TRUNCATE ON trust_records
  FOR EACH STATEMENT EXECUTE FUNCTION trust_records_stay();

-- Bundles of peers that came in their offers. base names the configured bundle that each builds on.
CREATE TABLE learned_bundles (
  trust_domain text COLLATE "C" PRIMARY KEY,
  base         text   NOT NULL,
  bundle       text   NOT NULL,
  serial       bigint NOT NULL,
  learned_at   bigint NOT NULL
);
