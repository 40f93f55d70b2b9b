-- SPDX-FileCopyrightText: The certlink authors
-- SPDX-License-Identifier: Apache-2.0

-- What both sides said to each other last is put together from the last of either, which messages_by_both has.
DROP INDEX messages_by_peer;
