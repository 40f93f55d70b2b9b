// SPDX-FileCopyrightText: The certlink authors
// SPDX-License-Identifier: Apache-2.0

package taxii

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"testing"
	"testing/synctest"
	"time"

	"github.com/certlink/certlink/internal/testbubble"
	"github.com/certlink/certlink/relay/stix"
	"github.com/certlink/certlink/relay/store"
)

// slow is a Backend whose store takes until it is told to go on.
type slow struct {
	*fake
	goOn chan error
}

func (s slow) Add(ctx context.Context, id string, objects []stix.Object) ([]store.Outcome, error) {
	if err := <-s.goOn; err != nil {
		return nil, err
	}
	return s.fake.Add(ctx, id, objects)
}

func statusOf(t *testing.T, resp *http.Response) Status {
	t.Helper()
	var s Status
	if err := json.Unmarshal([]byte(text(t, resp)), &s); err != nil {
		t.Fatal(err)
	}
	return s
}

// TestAPostToASlowStoreIsPending is TAXII 2.1 section 4.3: status pending, with the
// objects that are, until all are done.
func TestAPostToASlowStoreIsPending(t *testing.T) {
	const target = "/taxii2/feeds/collections/both/objects/"
	for name, c := range map[string]struct {
		err                 error
		successes, failures int
	}{
		"and_complete_when_it_is_stored":     {nil, 2, 1},
		"and_refused_when_the_store_refuses": {errors.New("disk on fire"), 0, 3},
	} {
		t.Run(name, func(t *testing.T) {
			testbubble.Run(t, func(t *testing.T) {
				backend := slow{fake: &fake{}, goOn: make(chan error)}
				h := newTestHandler(backend)
				resp := do(t, h, "POST", target, `{"objects":[`+urlObject(1)+`,`+urlObject(2)+`,{"id":"bad"}]}`)
				s := statusOf(t, resp)
				if resp.StatusCode != http.StatusAccepted || s.Status != Pending || s.PendingCount != 2 || len(s.Pendings) != 2 || s.FailureCount != 1 || s.SuccessCount != 0 || s.TotalCount != 3 {
					t.Fatalf("%d %+v", resp.StatusCode, s)
				}
				status := "/taxii2/feeds/status/" + s.ID + "/"
				if again := statusOf(t, do(t, h, "GET", status, "")); again.Status != Pending {
					t.Errorf("meanwhile: %+v", again)
				}
				backend.goOn <- c.err
				synctest.Wait()
				end := statusOf(t, do(t, h, "GET", status, ""))
				if end.Status != Complete || end.SuccessCount != c.successes || len(end.Successes) != c.successes || end.FailureCount != c.failures || end.PendingCount != 0 || len(end.Pendings) != 0 || end.ID != s.ID {
					t.Errorf("at the end: %+v", end)
				}
			})
		})
	}
}

func TestAStatusNamesWhatWasStored(t *testing.T) {
	h := newTestHandler(&fake{})
	s := statusOf(t, do(t, h, "POST", "/taxii2/feeds/collections/both/objects/", `{"objects":[`+urlObject(1)+`]}`))
	if len(s.Successes) != 1 || s.Successes[0].ID != "url--00000000-0000-4000-8000-000000000001" || s.Successes[0].Version == "" || s.Successes[0].Message != "" {
		t.Errorf("successes = %+v", s.Successes)
	}
}

func TestASlowPostHoldsItsSlot(t *testing.T) {
	testbubble.Run(t, func(t *testing.T) {
		backend := slow{fake: &fake{}, goOn: make(chan error)}
		h := newTestHandler(backend)
		post := func() int {
			return do(t, h, "POST", "/taxii2/feeds/collections/both/objects/", `{"objects":[`+urlObject(1)+`]}`).StatusCode
		}
		for range MaxRequestsPerCaller {
			if got := post(); got != http.StatusAccepted {
				t.Fatalf("got %d", got)
			}
		}
		if got := post(); got != http.StatusServiceUnavailable {
			t.Errorf("beyond the bound: %d", got)
		}
		for range MaxRequestsPerCaller {
			backend.goOn <- nil
		}
		synctest.Wait()
		go func() { backend.goOn <- nil }()
		if got := post(); got != http.StatusAccepted {
			t.Errorf("afterwards: %d", got)
		}
	})
}

func TestAStrippedStatusStaysStripped(t *testing.T) {
	s := newStatuses()
	now := time.Unix(1_800_000_000, 0)
	s.put("tool", Status{ID: "old", Status: Pending, PendingCount: 1, Pendings: make([]StatusDetail, 1)}, now)
	for range maxDetails / 1000 {
		s.put("tool", Status{ID: FormatTime(now), Failures: make([]StatusDetail, 1000)}, now)
	}
	s.replace(Status{ID: "old", Status: Complete, SuccessCount: 1, Successes: make([]StatusDetail, 1)})
	if got, ok := s.get("tool", "old"); !ok || got.Status != Complete || got.SuccessCount != 1 || got.Successes != nil || s.details != maxDetails {
		t.Errorf("got %+v, %v with %d details", got, ok, s.details)
	}
	s.replace(Status{ID: "never"})
}
