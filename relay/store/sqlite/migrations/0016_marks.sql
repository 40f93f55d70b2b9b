-- SPDX-FileCopyrightText: The certlink authors
-- SPDX-License-Identifier: Apache-2.0

-- Which messages a message corrects, cancels, extends or releases: target is the id of a message of the same direction and
-- peer, pos that of the message that says so. The target may come later, or never.
CREATE TABLE message_marks (
  direction TEXT    NOT NULL,
  peer      TEXT    NOT NULL,
  target    TEXT    NOT NULL,
  pos       INTEGER NOT NULL,
  PRIMARY KEY (direction, peer, target, pos)
) STRICT, WITHOUT ROWID;
INSERT OR IGNORE INTO message_marks (direction, peer, target, pos)
  SELECT m.direction, m.peer, r.value ->> 'id', m.pos
  FROM messages m, json_each(CAST(m.payload AS TEXT), '$.references') r
  WHERE m.kind IN ('CORRECT', 'CANCEL', 'EXTEND', 'RELEASE') AND json_valid(CAST(m.payload AS TEXT))
    AND coalesce(r.value ->> 'by', '') <> 'receiver' AND coalesce(r.value ->> 'id', m.id) <> m.id;

-- The first message of most conversations is found by its id, so that those of one message cost nothing here.
CREATE INDEX messages_talk ON messages (peer, conversation, pos) WHERE conversation <> id;
CREATE INDEX messages_terms ON messages (direction, peer, pos) WHERE kind = 'TERM';
