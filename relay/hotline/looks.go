// SPDX-FileCopyrightText: The certlink authors
// SPDX-License-Identifier: Apache-2.0

package hotline

import (
	"github.com/certlink/certlink/relay/hotline/wire"
	"github.com/certlink/certlink/relay/store"
)

// expectedFlash is how many FLASH an express lane expects to wait at once.
const expectedFlash = 8

// looksAt is how many pending messages a lane reads at first: what it may send, and what flies. An
// express lane looks after each FLASH once more, and must not read what else waits for that.
func looksAt(n lane, flying int) int {
	if n.express() {
		return expectedFlash
	}
	return min(wire.MaxEntries+flying, store.MaxMessages)
}

// seen tells whether pending, read up to limit, holds all that a lane may send: an express
// lane has nothing to look for behind what is not FLASH.
func seen(pending []store.Message, limit int, n lane) bool {
	return len(pending) < limit || limit == store.MaxMessages || n.express() && pending[limit-1].Urgency > 0
}
