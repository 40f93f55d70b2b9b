-- SPDX-FileCopyrightText: The certlink authors
-- SPDX-License-Identifier: Apache-2.0

-- Messages of ours that ask for an answer and have none. answer_by is 0 where the message does not say. What was stored before
-- is not here: it would all be overdue at once.
CREATE TABLE unanswered (
  peer       TEXT    NOT NULL,
  id         TEXT    NOT NULL,
  serial     INTEGER NOT NULL,
  kind       TEXT    NOT NULL,
  precedence TEXT    NOT NULL,
  stored_at  INTEGER NOT NULL,
  answer_by  INTEGER NOT NULL,
  PRIMARY KEY (peer, id)
) STRICT, WITHOUT ROWID;
CREATE INDEX unanswered_by_serial ON unanswered (peer, serial);

-- Steps that were taken because somebody is silent. settled_at is 0 while that lasts.
CREATE TABLE escalations (
  peer       TEXT    NOT NULL,
  direction  TEXT    NOT NULL,
  message    TEXT    NOT NULL,
  stage      TEXT    NOT NULL,
  step       TEXT    NOT NULL,
  taken      INTEGER NOT NULL,
  first_at   INTEGER NOT NULL,
  last_at    INTEGER NOT NULL,
  settled_at INTEGER NOT NULL DEFAULT 0,
  PRIMARY KEY (peer, direction, message, stage, step)
) STRICT, WITHOUT ROWID;
CREATE INDEX escalations_open ON escalations (peer) WHERE settled_at = 0;

-- What is to be told to notifiers, and what became of it. next_at is 0 when it was told or given up.
CREATE TABLE notices (
  seq        INTEGER PRIMARY KEY AUTOINCREMENT,
  peer       TEXT    NOT NULL,
  id         TEXT    NOT NULL,
  event      TEXT    NOT NULL,
  stage      TEXT    NOT NULL,
  step       TEXT    NOT NULL,
  occurrence INTEGER NOT NULL,
  direction  TEXT    NOT NULL,
  message    TEXT    NOT NULL,
  notifier   TEXT    NOT NULL,
  urgency    INTEGER NOT NULL,
  deadline   INTEGER NOT NULL,
  at         INTEGER NOT NULL,
  batch      TEXT    NOT NULL,
  attempts   INTEGER NOT NULL,
  next_at    INTEGER NOT NULL,
  sent_at    INTEGER NOT NULL,
  error      TEXT    NOT NULL,
  UNIQUE (peer, id)
) STRICT;
CREATE INDEX notices_by_peer ON notices (peer, seq);
CREATE INDEX notices_open ON notices (peer, notifier, urgency, seq) WHERE next_at <> 0;
CREATE INDEX notices_failed ON notices (peer, seq) WHERE next_at <> 0 AND attempts > 0;
CREATE INDEX notices_of_message ON notices (peer, message, seq);

-- Up to where received messages were announced to notifiers.
CREATE TABLE announced (
  peer TEXT PRIMARY KEY,
  pos  INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
