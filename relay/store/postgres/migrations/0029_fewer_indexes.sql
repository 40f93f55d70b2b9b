-- SPDX-FileCopyrightText: The certlink authors
-- SPDX-License-Identifier: Apache-2.0

-- The messages of a direction are found line by line, by messages_by_both.
DROP INDEX messages_by_direction;
