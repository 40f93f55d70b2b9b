-- SPDX-FileCopyrightText: The certlink authors
-- SPDX-License-Identifier: Apache-2.0

-- Checks of the paths of a line, by direction ('out' is ours). done_at is 0 while a check has not succeeded.
CREATE TABLE line_checks (
  peer      TEXT    NOT NULL,
  direction TEXT    NOT NULL CHECK (direction IN ('in', 'out')),
  path      TEXT    NOT NULL,
  number    INTEGER NOT NULL CHECK (number > 0),
  slot      INTEGER NOT NULL,
  at        INTEGER NOT NULL,
  done_at   INTEGER NOT NULL,
  content   BLOB    NOT NULL,
  statement BLOB,
  receipt   BLOB,
  PRIMARY KEY (peer, direction, path, number)
) STRICT, WITHOUT ROWID;
CREATE INDEX line_checks_by_slot ON line_checks (peer, slot, direction, path, number);
CREATE INDEX line_checks_done ON line_checks (peer, direction, path, number) WHERE done_at > 0;

-- Sums of the checks of a day (days since 1970), all paths in one document.
CREATE TABLE line_check_days (
  peer    TEXT    NOT NULL,
  day     INTEGER NOT NULL,
  content BLOB    NOT NULL,
  PRIMARY KEY (peer, day)
) STRICT, WITHOUT ROWID;

-- Signed documents about a line: availability records, exercises.
CREATE TABLE line_records (
  peer    TEXT    NOT NULL,
  kind    TEXT    NOT NULL,
  name    TEXT    NOT NULL,
  part    TEXT    NOT NULL,
  content BLOB    NOT NULL,
  final   INTEGER NOT NULL,
  at      INTEGER NOT NULL,
  PRIMARY KEY (peer, kind, name, part)
) STRICT, WITHOUT ROWID;

-- Conversations that belong to an exercise.
CREATE TABLE exercise_conversations (
  peer         TEXT NOT NULL,
  conversation TEXT NOT NULL,
  name         TEXT NOT NULL,
  PRIMARY KEY (peer, conversation)
) STRICT, WITHOUT ROWID;
CREATE INDEX messages_by_receipt ON messages (direction, peer, receipt_at) WHERE receipt_at > 0;
