-- SPDX-FileCopyrightText: The certlink authors
-- SPDX-License-Identifier: Apache-2.0

-- What ended long ago is found by when that was, see ForgetEnded.
CREATE INDEX notices_ended ON notices (peer, at) WHERE next_at = 0;
CREATE INDEX escalations_settled ON escalations (peer, settled_at) WHERE settled_at <> 0;
CREATE INDEX drafts_ended ON drafts (peer, expires_at) WHERE NOT waiting;
