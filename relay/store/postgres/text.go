// SPDX-FileCopyrightText: The certlink authors
// SPDX-License-Identifier: Apache-2.0

package postgres

import "strings"

// storable is a text that others may have chosen, such as what a server answered, as the database can keep it: it takes neither
// zero bytes nor what is no UTF-8, and refuses the whole transaction instead. SQLite keeps any bytes.
func storable(text string) string {
	return strings.ToValidUTF8(strings.ReplaceAll(text, "\x00", " "), "")
}
