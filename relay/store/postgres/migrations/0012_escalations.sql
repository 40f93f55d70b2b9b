-- SPDX-FileCopyrightText: The certlink authors
-- SPDX-License-Identifier: Apache-2.0

-- Messages of ours that ask for an answer and have none. answer_by is 0 where the message does not say. What was stored before
-- is not here: it would all be overdue at once.
CREATE TABLE unanswered (
  peer       text COLLATE "C" NOT NULL,
  id         text COLLATE "C" NOT NULL,
  serial     bigint NOT NULL,
  kind       text COLLATE "C" NOT NULL,
  precedence text COLLATE "C" NOT NULL,
  stored_at  bigint NOT NULL,
  answer_by  bigint NOT NULL,
  PRIMARY KEY (peer, id)
);
CREATE INDEX unanswered_by_serial ON unanswered (peer, serial);

-- Steps that were taken because somebody is silent. settled_at is 0 while that lasts.
CREATE TABLE escalations (
  peer       text COLLATE "C" NOT NULL,
  direction  text COLLATE "C" NOT NULL,
  message    text COLLATE "C" NOT NULL,
  stage      text COLLATE "C" NOT NULL,
  step       text COLLATE "C" NOT NULL,
  taken      bigint NOT NULL,
  first_at   bigint NOT NULL,
  last_at    bigint NOT NULL,
  settled_at bigint NOT NULL DEFAULT 0,
  PRIMARY KEY (peer, direction, message, stage, step)
);
CREATE INDEX escalations_open ON escalations (peer) WHERE settled_at = 0;

-- What is to be told to notifiers, and what became of it. next_at is 0 when it was told or given up.
CREATE TABLE notices (
  seq        bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  peer       text COLLATE "C" NOT NULL,
  id         text COLLATE "C" NOT NULL,
  event      text COLLATE "C" NOT NULL,
  stage      text COLLATE "C" NOT NULL,
  step       text COLLATE "C" NOT NULL,
  occurrence bigint NOT NULL,
  direction  text COLLATE "C" NOT NULL,
  message    text COLLATE "C" NOT NULL,
  notifier   text COLLATE "C" NOT NULL,
  urgency    bigint NOT NULL,
  deadline   bigint NOT NULL,
  at         bigint NOT NULL,
  batch      text COLLATE "C" NOT NULL,
  attempts   bigint NOT NULL,
  next_at    bigint NOT NULL,
  sent_at    bigint NOT NULL,
  error      text COLLATE "C" NOT NULL,
  UNIQUE (peer, id)
);
CREATE INDEX notices_by_peer ON notices (peer, seq);
CREATE INDEX notices_open ON notices (peer, notifier, urgency, seq) WHERE next_at <> 0;
CREATE INDEX notices_failed ON notices (peer, seq) WHERE next_at <> 0 AND attempts > 0;
CREATE INDEX notices_of_message ON notices (peer, message, seq);

-- Up to where received messages were announced to notifiers.
CREATE TABLE announced (
  peer text COLLATE "C" PRIMARY KEY,
  pos  bigint NOT NULL
);
