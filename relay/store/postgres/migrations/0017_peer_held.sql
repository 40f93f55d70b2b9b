-- SPDX-FileCopyrightText: The certlink authors
-- SPDX-License-Identifier: Apache-2.0

-- How many entries of our journal each peer was last seen to hold, of our history: a courier's set is proven to continue that.
CREATE TABLE peer_held (
  peer text COLLATE "C" NOT NULL PRIMARY KEY,
  size bigint           NOT NULL CHECK (size > 0)
);
