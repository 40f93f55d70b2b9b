// SPDX-FileCopyrightText: The certlink authors
// SPDX-License-Identifier: Apache-2.0

package link

// What the tests outside of the package ask of its inside.
var (
	Again = unaccepted
	Facts = facts
)
