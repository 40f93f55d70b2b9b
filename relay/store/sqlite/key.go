// SPDX-FileCopyrightText: The certlink authors
// SPDX-License-Identifier: Apache-2.0

package sqlite

import (
	"crypto/sha256"
	"database/sql/driver"
	"encoding/binary"
	"errors"
	"sync"

	"modernc.org/sqlite"
)

// keyOf is the key under which an object is found: 64 bits of its identifier's
// SHA-256. It takes a third of the identifier's room in the index, which with random
// identifiers decides what a new object costs. Nobody can choose identifiers that
// share a key, and who looks by key compares the identifier too.
func keyOf(id string) int64 {
	sum := sha256.Sum256([]byte(id))
	return int64(binary.BigEndian.Uint64(sum[:])) //nolint:gosec // all bits count, the sign means nothing
}

func keysOf(ids []string) []int64 {
	keys := make([]int64, len(ids))
	for i, id := range ids {
		keys[i] = keyOf(id)
	}
	return keys
}

// registerKey makes keyOf known to the connections that are opened from then on. The
// migration that made the keys computes them in SQL; nothing else does.
var registerKey = sync.OnceFunc(func() {
	sqlite.MustRegisterDeterministicScalarFunction("certlink_key", 1, func(_ *sqlite.FunctionContext, args []driver.Value) (driver.Value, error) {
		id, ok := args[0].(string)
		if !ok {
			return nil, errors.New("certlink_key takes an identifier")
		}
		return keyOf(id), nil
	})
})
