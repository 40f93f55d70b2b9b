-- SPDX-FileCopyrightText: The certlink authors
-- SPDX-License-Identifier: Apache-2.0

-- Checks of the paths of a line, by direction ('out' is ours). done_at is 0 while a check has not succeeded.
CREATE TABLE line_checks (
  peer      text COLLATE "C" NOT NULL,
  direction text COLLATE "C" NOT NULL CHECK (direction IN ('in', 'out')),
  path      text COLLATE "C" NOT NULL,
  number    bigint  NOT NULL CHECK (number > 0),
  slot      bigint  NOT NULL,
  at        bigint  NOT NULL,
  done_at   bigint  NOT NULL,
  content   bytea    NOT NULL,
  statement bytea,
  receipt   bytea,
  PRIMARY KEY (peer, direction, path, number)
);
CREATE INDEX line_checks_by_slot ON line_checks (peer, slot, direction, path, number);
CREATE INDEX line_checks_done ON line_checks (peer, direction, path, number) WHERE done_at > 0;

-- Sums of the checks of a day (days since 1970), all paths in one document.
CREATE TABLE line_check_days (
  peer    text COLLATE "C" NOT NULL,
  day     bigint  NOT NULL,
  content bytea    NOT NULL,
  PRIMARY KEY (peer, day)
);

-- Signed documents about a line: availability records, exercises.
CREATE TABLE line_records (
  peer    text COLLATE "C" NOT NULL,
  kind    text COLLATE "C" NOT NULL,
  name    text COLLATE "C" NOT NULL,
  part    text COLLATE "C" NOT NULL,
  content bytea    NOT NULL,
  final   boolean NOT NULL,
  at      bigint  NOT NULL,
  PRIMARY KEY (peer, kind, name, part)
);

-- Conversations that belong to an exercise.
CREATE TABLE exercise_conversations (
  peer         text COLLATE "C" NOT NULL,
  conversation text COLLATE "C" NOT NULL,
  name         text COLLATE "C" NOT NULL,
  PRIMARY KEY (peer, conversation)
);
CREATE INDEX messages_by_receipt ON messages (direction, peer, receipt_at) WHERE receipt_at > 0;
