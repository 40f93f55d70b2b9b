-- SPDX-FileCopyrightText: The certlink authors
-- SPDX-License-Identifier: Apache-2.0

-- Which messages a message corrects, cancels, extends or releases: target is the id of a message of the same direction and
-- peer, pos that of the message that says so. The target may come later, or never.
CREATE TABLE message_marks (
  direction text COLLATE "C" NOT NULL,
  peer      text COLLATE "C" NOT NULL,
  target    text COLLATE "C" NOT NULL,
  pos       bigint           NOT NULL,
  PRIMARY KEY (direction, peer, target, pos)
);
INSERT INTO message_marks (direction, peer, target, pos)
  SELECT m.direction, m.peer, r ->> 'id', m.pos
  FROM messages m CROSS JOIN LATERAL json_array_elements(convert_from(m.payload, 'UTF8')::json -> 'references') r
  WHERE m.kind IN ('CORRECT', 'CANCEL', 'EXTEND', 'RELEASE')
    AND coalesce(r ->> 'by', '') <> 'receiver' AND coalesce(r ->> 'id', m.id) <> m.id
  ON CONFLICT DO NOTHING;

-- The first message of most conversations is found by its id, so that those of one message cost nothing here.
CREATE INDEX messages_talk ON messages (peer, conversation, pos) WHERE conversation <> id;
CREATE INDEX messages_terms ON messages (direction, peer, pos) WHERE kind = 'TERM';
