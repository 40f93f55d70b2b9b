// SPDX-FileCopyrightText: The certlink authors
// SPDX-License-Identifier: Apache-2.0

package link

import (
	"net/http"
	"testing"
	"time"
)

func TestWhatIsUsualFollowsTheAnswers(t *testing.T) {
	const ms = time.Millisecond
	var u usual
	if u.late() != 0 {
		t.Errorf("nothing is known, but later than %v is late", u.late())
	}
	for range 100 {
		u.add(60 * ms)
	}
	if late := u.late(); late < 60*ms || late > 70*ms {
		t.Errorf("answers take 60 ms, later than %v is late", late)
	}
	u.add(time.Hour)
	if late := u.late(); late > longestUsual+2*longestUsual {
		t.Errorf("after one slow answer later than %v is late", late)
	}
	for range 100 {
		u.add(3 * ms)
	}
	if late := u.late(); late < 3*ms || late > 6*ms {
		t.Errorf("answers take 3 ms, later than %v is late", late)
	}
}

func TestRequestsOfAnotherSizeAreToldApart(t *testing.T) {
	for length, want := range map[int64]int{0: 0, 8 << 10: 0, 8<<10 + 1: 1, 64 << 10: 1, 64<<10 + 1: 2, 4 << 20: 2} {
		if got := sizeOf(&http.Request{ContentLength: length}); got != want {
			t.Errorf("%d bytes are of size %d, want %d", length, got, want)
		}
	}
}
