-- SPDX-FileCopyrightText: The certlink authors
-- SPDX-License-Identifier: Apache-2.0

-- The row of a hash of a journal is found by the size of the log, see JournalHashes.
DROP INDEX journal_hashes;
