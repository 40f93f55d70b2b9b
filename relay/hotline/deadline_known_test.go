// SPDX-FileCopyrightText: The certlink authors
// SPDX-License-Identifier: Apache-2.0

package hotline

import (
	"testing"
	"time"
)

func TestOnlyAnEarlierDeadlineOrWhatIsLateNeedsALook(t *testing.T) {
	at := func(s int) time.Time { return time.Unix(int64(s), 0) }
	for name, c := range map[string]struct {
		before func(*dues)
		due    time.Time
		spared bool
		next   time.Time
	}{
		"before the first look":             {func(*dues) {}, at(5), false, at(5)},
		"while nothing waits":               {func(d *dues) { d.end(time.Time{}, false) }, at(5), false, at(5)},
		"a later deadline":                  {func(d *dues) { d.end(at(4), false) }, at(5), true, at(4)},
		"an earlier deadline":               {func(d *dues) { d.end(at(6), false) }, at(5), false, at(5)},
		"settled":                           {func(d *dues) { d.end(at(6), false) }, time.Time{}, true, at(6)},
		"settled while something is late":   {func(d *dues) { d.end(at(6), true) }, time.Time{}, false, at(6)},
		"a later one, with something late":  {func(d *dues) { d.end(at(4), true) }, at(5), false, at(4)},
		"during a look, which may not see":  {func(d *dues) { d.begin() }, at(5), true, at(5)},
		"after a look during which one was": {func(d *dues) { d.begin(); d.spares(at(3)); d.end(at(4), false) }, at(5), true, at(3)},
	} {
		t.Run(name, func(t *testing.T) {
			var d dues
			c.before(&d)
			if got := d.spares(c.due); got != c.spared || !d.next.Equal(c.next) {
				t.Errorf("spared: %t, next at %v", got, d.next)
			}
		})
	}
}
