// SPDX-FileCopyrightText: The certlink authors
// SPDX-License-Identifier: Apache-2.0

package taxii

import (
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"fmt"
	"slices"

	"github.com/certlink/certlink/relay/store"
)

// A cursor says where a page ended and to which query it belongs: one byte of
// format, eight of position, eight of a digest of the query. It holds no secret
// and gives no right: a forged one only starts elsewhere in what its caller may
// see anyway. So it needs no key, and it is good at every replica and after a restart.
const (
	cursorFormat = 1
	cursorBytes  = 1 + 8 + 8
)

// encodeCursor makes the cursor behind a position.
func encodeCursor(collection string, q store.Query, position int64) string {
	b := make([]byte, 0, cursorBytes)
	b = append(b, cursorFormat)
	b = binary.BigEndian.AppendUint64(b, uint64(position))
	b = append(b, queryDigest(collection, q)...)
	return base64.RawURLEncoding.EncodeToString(b)
}

// decodeCursor returns the position of a cursor that belongs to the query.
func decodeCursor(text, collection string, q store.Query) (int64, bool) {
	b, err := base64.RawURLEncoding.Strict().DecodeString(text)
	if err != nil || len(b) != cursorBytes || b[0] != cursorFormat || !slices.Equal(b[9:], queryDigest(collection, q)) {
		return 0, false
	}
	position := int64(binary.BigEndian.Uint64(b[1:9]))
	return position, position > 0
}

// queryDigest covers what must stay the same from page to page. The limit need not.
func queryDigest(collection string, q store.Query) []byte {
	h := sha256.New()
	added := ""
	if !q.AddedAfter.IsZero() {
		added = FormatTime(q.AddedAfter)
	}
	v := q.Versions
	// A hash takes everything.
	_, _ = fmt.Fprintf(h, "%q %q %q %q %q %t %t %t", collection, added, q.IDs, q.Types, q.Specs, q.NewestSpec, v.First, v.Last)
	for _, at := range v.At {
		_, _ = fmt.Fprintf(h, " %q", FormatTime(at))
	}
	return h.Sum(nil)[:8]
}
