// SPDX-FileCopyrightText: The certlink authors
// SPDX-License-Identifier: Apache-2.0

package taxii

import (
	"fmt"
	"testing"
	"time"
)

func TestStatusesAreBounded(t *testing.T) {
	s := newStatuses()
	start := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	for i := range maxStatuses + 500 {
		s.put("tool", Status{ID: fmt.Sprint(i), FailureCount: 100, Failures: make([]StatusDetail, 100)}, start)
	}
	if len(s.order) != maxStatuses || len(s.byID) != maxStatuses || s.details > maxDetails {
		t.Errorf("%d, %d statuses with %d details", len(s.order), len(s.byID), s.details)
	}
	if _, ok := s.get("tool", "499"); ok {
		t.Error("the oldest is there")
	}
	if got, ok := s.get("tool", fmt.Sprint(maxStatuses+499)); !ok || len(got.Failures) != 100 {
		t.Errorf("the newest has %d details, %v", len(got.Failures), ok)
	}
	if got, ok := s.get("tool", "600"); !ok || got.Failures != nil || got.FailureCount != 100 {
		t.Errorf("an old one = %+v, %v", got, ok)
	}
	s.put("tool", Status{ID: "next day"}, start.Add(24*time.Hour))
	if len(s.order) != maxStatuses {
		t.Errorf("%d statuses are left after 24 hours", len(s.order))
	}
	s.put("tool", Status{ID: "later"}, start.Add(26*time.Hour))
	if len(s.order) != 2 || s.details != 0 || s.bare != 0 {
		t.Errorf("%d statuses with %d details are left, %d bare", len(s.order), s.details, s.bare)
	}
}
