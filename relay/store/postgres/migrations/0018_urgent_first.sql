-- SPDX-FileCopyrightText: The certlink authors
-- SPDX-License-Identifier: Apache-2.0

-- What waits is looked at the most urgent first: very many ROUTINE messages must not hide that nobody answers a FLASH.
DROP INDEX messages_unanswered;
CREATE INDEX messages_unanswered ON messages (direction, peer, urgency, serial) WHERE acknowledged_by = '' AND kind <> 'ACK';

ALTER TABLE unanswered ADD COLUMN urgency integer NOT NULL DEFAULT 4;
UPDATE unanswered SET urgency = CASE precedence WHEN 'FLASH' THEN 0 WHEN 'IMMEDIATE' THEN 1 WHEN 'PRIORITY' THEN 2 WHEN 'ROUTINE' THEN 3 ELSE 4 END;
DROP INDEX unanswered_by_serial;
CREATE INDEX unanswered_by_urgency ON unanswered (peer, urgency, serial);
