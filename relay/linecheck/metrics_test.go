// SPDX-FileCopyrightText: The certlink authors
// SPDX-License-Identifier: Apache-2.0

package linecheck

import (
	"fmt"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus/testutil"
)

func TestPathsThatAPeerNamesAndLeavesDoNotPileUpInTheMetrics(t *testing.T) {
	m, err := newMetrics(nil)
	if err != nil {
		t.Fatal(err)
	}
	stays := standing{sight: sight{way: Way{DialledBy: "bravo.example", Address: "stays:1"}, good: time.Now()}}
	for n := range 1000 {
		w := Way{DialledBy: "bravo.example", Address: fmt.Sprintf("named-%d:1", n)}
		m.received("to-bravo", &Check{Path: stays.way}, Received)
		m.received("to-bravo", &Check{Path: w}, Received)
		m.stand("to-bravo", []standing{stays, {sight: sight{way: w, good: time.Now()}}})
	}
	m.received("to-bravo", &Check{Path: Way{DialledBy: "bravo.example", Address: "new:1"}}, Received)
	m.stand("to-bravo", []standing{stays}) // looked at before the new one came
	if n := testutil.CollectAndCount(m.checks); n > 4 {
		t.Errorf("there are figures of %d paths", n)
	}
	if got := testutil.ToFloat64(m.checks.WithLabelValues("to-bravo", "bravo.example new:1", "received", string(Received))); got != 1 {
		t.Errorf("the figure of a new path is %v", got)
	}
	if got := testutil.ToFloat64(m.checks.WithLabelValues("to-bravo", stays.way.key(), "received", string(Received))); got != 1000 {
		t.Errorf("the figure of a path that stays is %v", got)
	}
	m.stand("to-bravo", []standing{stays})
	m.stand("to-bravo", []standing{stays})
	if checks, last := testutil.CollectAndCount(m.checks), testutil.CollectAndCount(m.last); checks != 1 || last != 1 {
		t.Errorf("%d and %d figures are left of one path", checks, last)
	}
	m.forget("to-bravo")
	if n := testutil.CollectAndCount(m.checks) + len(m.absent); n != 0 {
		t.Errorf("%d figures of a hotline that is gone", n)
	}
}
