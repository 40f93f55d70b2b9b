-- SPDX-FileCopyrightText: The certlink authors
-- SPDX-License-Identifier: Apache-2.0

-- Times are microseconds since 1970, UTC. 0 means "not yet" wherever a time may be absent.
-- Texts are compared byte by byte (collation C): faster, and the same on every server.

-- The one clock of the store: the largest position given out. Whoever gives out positions holds this row until its commit,
-- so positions become visible in their order.
CREATE TABLE clock (
  one  boolean PRIMARY KEY CHECK (one),
  last bigint  NOT NULL
);
INSERT INTO clock (one, last) VALUES (true, 0);

-- Strings that occur often: names of collections, STIX types, rules, reasons. They are never deleted.
CREATE TABLE words (
  id   integer GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  word text COLLATE "C" NOT NULL UNIQUE
);

-- collection is a word. objects is kept by every insert, so that counting needs no scan. cursor is the peer's: any bytes.
CREATE TABLE collections (
  collection integer PRIMARY KEY,
  objects    bigint NOT NULL DEFAULT 0,
  cursor     bytea  NOT NULL DEFAULT ''
);

-- seq is the date added in microseconds: one column serves as position, time and key.
-- version is the object's version; the smallest integer stands for "none".
CREATE TABLE objects (
  seq        bigint  PRIMARY KEY,
  version    bigint  NOT NULL,
  collection integer NOT NULL,
  type       integer NOT NULL,
  revoked    boolean NOT NULL,
  stix_id    text COLLATE "C" NOT NULL,
  spec       text COLLATE "C" NOT NULL,
  raw        bytea   NOT NULL
);
CREATE UNIQUE INDEX objects_by_version ON objects (collection, stix_id, version);
CREATE INDEX objects_by_position ON objects (collection, seq);
-- Revoked objects are decided before others.
CREATE INDEX objects_revoked ON objects (collection, seq) WHERE revoked;

-- See store.Progress. takings counts the times that something was held or deleted that had been shared: a page that was
-- read before is read again before it is handed out. Whoever changes what a peer sees holds the row of the view.
CREATE TABLE views (
  id          integer GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  feed        text COLLATE "C" NOT NULL,
  peer        text COLLATE "C" NOT NULL,
  handed_to   bigint NOT NULL DEFAULT 0,
  sent_to     bigint NOT NULL DEFAULT 0,
  sent_at     bigint NOT NULL DEFAULT 0,
  received_to bigint NOT NULL DEFAULT 0,
  received_at bigint NOT NULL DEFAULT 0,
  takings     bigint NOT NULL DEFAULT 0,
  receipt     bytea,
  UNIQUE (feed, peer)
);

-- The last decision about each record of a view, and under which rule. added is the date added in the view of a shared
-- record, 0 for a held one. collection and type repeat those of the object, so that a page is selected in one index.
-- decided is when the decision was stored. until is when it lapses, 0 for never. form is a word, 0 for none. evidence tells
-- whether decision_evidence has a row.
CREATE TABLE decisions (
  seq        bigint  NOT NULL,
  added      bigint  NOT NULL,
  decided    bigint  NOT NULL,
  until      bigint  NOT NULL,
  view       integer NOT NULL,
  rule       integer NOT NULL,
  reason     integer NOT NULL,
  collection integer NOT NULL,
  type       integer NOT NULL,
  form       integer NOT NULL,
  share      boolean NOT NULL,
  evidence   boolean NOT NULL,
  PRIMARY KEY (view, seq)
);
CREATE INDEX decisions_shared ON decisions (view, rule, added, collection, type) WHERE share;
CREATE INDEX decisions_lapsing ON decisions (view, until, seq) WHERE until > 0;
CREATE TABLE decision_evidence (
  seq      bigint  NOT NULL,
  view     integer NOT NULL,
  evidence bytea   NOT NULL,
  PRIMARY KEY (view, seq)
);

-- Sums of decisions, kept by every decision.
CREATE TABLE decision_counts (
  view       integer NOT NULL,
  collection integer NOT NULL,
  rule       integer NOT NULL,
  share      boolean NOT NULL,
  reason     integer NOT NULL,
  records    bigint  NOT NULL,
  PRIMARY KEY (view, collection, rule, share, reason)
);

-- Every record of the collection up to decided_to has a decision under the rule: the search for undecided ones starts there.
CREATE TABLE decision_progress (
  view       integer NOT NULL,
  collection integer NOT NULL,
  rule       integer NOT NULL,
  decided_to bigint  NOT NULL,
  PRIMARY KEY (view, collection)
);

-- One row for each peer: the last serial given out, and what was received. Whoever changes messages of the peer holds it.
CREATE TABLE lines (
  peer        text COLLATE "C" PRIMARY KEY,
  out_serial  bigint NOT NULL DEFAULT 0,
  in_messages bigint NOT NULL DEFAULT 0,
  in_serial   bigint NOT NULL DEFAULT 0
);

-- urgency is that of the precedence, 0 the most urgent; a message takes over that of a later one in its conversation.
CREATE TABLE messages (
  pos             bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  direction       text COLLATE "C" NOT NULL CHECK (direction IN ('in', 'out')),
  peer            text COLLATE "C" NOT NULL,
  id              text COLLATE "C" NOT NULL,
  serial          bigint NOT NULL CHECK (serial > 0),
  conversation    text COLLATE "C" NOT NULL,
  kind            text COLLATE "C" NOT NULL,
  precedence      text COLLATE "C" NOT NULL,
  urgency         integer NOT NULL,
  in_reply_to     text COLLATE "C" NOT NULL,
  payload         bytea  NOT NULL,
  signed          bytea,
  created_at      bigint NOT NULL,
  stored_at       bigint NOT NULL,
  receipt         bytea,
  receipt_at      bigint NOT NULL DEFAULT 0,
  acknowledged_by text COLLATE "C" NOT NULL DEFAULT '',
  acknowledged_at bigint NOT NULL DEFAULT 0,
  UNIQUE (direction, peer, id),
  UNIQUE (direction, peer, serial)
);
CREATE INDEX messages_by_peer ON messages (peer, pos);
CREATE INDEX messages_by_both ON messages (direction, peer, pos);
CREATE INDEX messages_by_direction ON messages (direction, pos);
CREATE INDEX messages_queued ON messages (peer, urgency, serial) WHERE direction = 'out' AND receipt IS NULL;
CREATE INDEX messages_queued_talk ON messages (peer, conversation) WHERE direction = 'out' AND receipt IS NULL;
CREATE INDEX messages_received ON messages (peer, receipt_at) WHERE direction = 'out' AND receipt IS NOT NULL;
CREATE INDEX messages_unanswered ON messages (direction, peer, serial) WHERE acknowledged_by = '' AND kind <> 'ACK';
