// SPDX-FileCopyrightText: The certlink authors
// SPDX-License-Identifier: Apache-2.0

package taxii

import (
	"net/http"
	"testing"
	"time"
)

// TestClientMissesNothingThatIsAddedWithADateThatWasRead: a server whose dates are coarse
// adds to the second that a client has read to its end.
func TestClientMissesNothingThatIsAddedWithADateThatWasRead(t *testing.T) {
	f := &flawed{n: 3, alike: 5, header: FormatTime}
	now := f.date(0).Add(time.Second)
	c := serve(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Date", now.Format(http.TimeFormat))
		f.ServeHTTP(w, r)
	}))
	l := mustFind(t, c, "c1")
	q := PageQuery{Limit: 10}
	look := func() (got []string) {
		t.Helper()
		p, err := c.Objects(t.Context(), l, q)
		if err == nil {
			got, err = readPage(p)
		}
		more := false
		if err == nil {
			q, more, err = p.Behind(t.Context(), q)
		}
		if err != nil || more {
			t.Fatalf("more %t, %v", more, err)
		}
		return got
	}
	if got := look(); len(got) != 3 {
		t.Fatalf("%d objects at first", len(got))
	}
	f.n = 5 // two more of the same date
	if got := look(); len(got) != 5 {
		t.Errorf("%d objects, want the three that are known and the two that are new", len(got))
	}
	now = now.Add(time.Hour)
	if got := look(); len(got) != 5 {
		t.Errorf("%d objects when the date has passed for long", len(got))
	}
	if got := look(); len(got) != 0 {
		t.Errorf("%d objects come again and again", len(got))
	}
	f.n = 6
	if got := look(); len(got) != 1 {
		t.Errorf("%d objects of a later date", len(got))
	}
}
