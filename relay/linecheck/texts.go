// SPDX-FileCopyrightText: The certlink authors
// SPDX-License-Identifier: Apache-2.0

package linecheck

import "strconv"

// text is what a check carries, so that people who read it see a test and nothing else.
type text struct{ id, text string }

// builtIn is the agreed list. It names no person, state, place, event or weather, and asks
// for nothing.
var builtIn = []text{
	{"fox", "The quick brown fox jumps over the lazy dog. 1234567890"},
	{"liquor-jugs", "Pack my box with five dozen jugs. 0987654321"},
	{"quartz", "Sphinx of black quartz, judge my vow. 1357924680"},
	{"waltz", "Waltz, nymph, for quick jigs vex bud. 2468013579"},
	{"primes", "The first primes are 2, 3, 5, 7, 11, 13, 17, 19, 23 and 29."},
	{"squares", "The first squares are 1, 4, 9, 16, 25, 36, 49, 64, 81 and 100."},
	{"circle", "All points of a circle have the same distance from its centre."},
	{"triangle", "The angles of a triangle in the plane add up to two right angles."},
	{"alphabet", "abcdefghijklmnopqrstuvwxyz ABCDEFGHIJKLMNOPQRSTUVWXYZ"},
	{"rainbow", "Red, orange, yellow, green, blue, indigo and violet are names of colours."},
	{"months", "A year has twelve months, and a week has seven days."},
	{"water", "Water is made of hydrogen and oxygen."},
}

// textFor chooses the text of a slot: in turn, so that both sides see that it is a new one.
func textFor(own []string, slot int64) (id, content string) {
	if n := int64(len(own)); n > 0 {
		i := (slot%n + n) % n
		return "own-" + strconv.FormatInt(i+1, 10), own[i]
	}
	n := int64(len(builtIn))
	t := builtIn[(slot%n+n)%n]
	return t.id, t.text
}
