// SPDX-FileCopyrightText: The certlink authors
// SPDX-License-Identifier: Apache-2.0

package stix

import "time"

// plainTime reads 2006-01-02T15:04:05Z, and the same with three or six digits of a
// fraction: nearly all times have one of these forms, and a general parser costs as much
// as all else of a short object. False for anything else, also for what is no time.
func plainTime(text string) (time.Time, bool) {
	const form = "0000-00-00T00:00:00"
	if len(text) <= len(form) || text[len(text)-1] != 'Z' || !hasForm(text, form) {
		return time.Time{}, false
	}
	micros, ok := fraction(text[len(form) : len(text)-1])
	two := func(at int) int { return int(text[at]-'0')*10 + int(text[at+1]-'0') }
	year, month, day := two(0)*100+two(2), two(5), two(8)
	hour, minute, second := two(11), two(14), two(17)
	// The last days of a month are for the general parser.
	if !ok || year < 1 || month < 1 || month > 12 || day < 1 || day > 28 || hour > 23 || minute > 59 || second > 59 {
		return time.Time{}, false
	}
	return time.Date(year, time.Month(month), day, hour, minute, second, micros*1000, time.UTC), true
}

// hasForm tells whether a text begins with digits where form has them, and else as form.
func hasForm(text, form string) bool {
	for i := range len(form) {
		if digit := text[i] >= '0' && text[i] <= '9'; digit != (form[i] == '0') || !digit && text[i] != form[i] {
			return false
		}
	}
	return true
}

// fraction reads nothing, or a point and three or six digits, as microseconds.
func fraction(text string) (micros int, ok bool) {
	switch len(text) {
	case 0:
		return 0, true
	case 4, 7:
	default:
		return 0, false
	}
	for _, c := range []byte(text[1:]) {
		if c < '0' || c > '9' {
			return 0, false
		}
		micros = micros*10 + int(c-'0')
	}
	if len(text) == 4 {
		micros *= 1000
	}
	return micros, text[0] == '.'
}
