// SPDX-FileCopyrightText: The certlink authors
// SPDX-License-Identifier: Apache-2.0

package feed

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/certlink/certlink/relay/config"
	"github.com/certlink/certlink/relay/desk"
	"github.com/certlink/certlink/relay/store"
)

const (
	alfaSelf    = "identity--aaaaaaaa-0000-4000-8000-000000000001"
	charlieSelf = "identity--cccccccc-0000-4000-8000-000000000001"
	nobodySelf  = "identity--00000000-0000-4000-8000-000000000001"
)

// by is an indicator with more members.
func by(n int, members string) string {
	return strings.TrimSuffix(indicator(n), "}") + "," + members + "}"
}

func ofDay(n, day int, members string) string {
	return strings.Replace(by(n, members), `"modified":"2026-01-01`, fmt.Sprintf(`"modified":"2026-01-%02d`, day), 1)
}

// bound is bravo's configuration with identities bound to alfa and charlie.
func bound() *config.Config {
	c := bravoConfig()
	c.Peers[0].Identities = []string{alfaSelf}
	c.Peers = append(c.Peers, config.Peer{Name: "charlie", TrustDomain: charlieTD, State: config.Revoked, Identities: []string{charlieSelf}})
	return c
}

// given serves one page after the other, the last with no more, whose first arrives
// again at each walk from the beginning.
func given(pages ...string) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		at := 0
		_, _ = fmt.Sscan(r.URL.Query().Get("next"), &at)
		more := ""
		if at+1 < len(pages) {
			more = fmt.Sprintf(`"more":true,"next":"%d",`, at+1)
		}
		page(w, "", `{`+more+`"objects":[`+pages[at]+`]}`)
	}
}

// everything is what bravo has of alfa, all versions, in the order in which they were added.
func everything(t *testing.T, n *nation) []string {
	t.Helper()
	page, err := n.store.ListObjects(t.Context(), importName("from-alfa"), store.Query{Limit: 100})
	if err != nil {
		t.Fatal(err)
	}
	var all []string
	for _, r := range page.Records {
		all = append(all, string(r.Raw))
	}
	return all
}

func quarantined(t *testing.T, n *nation) desk.Quarantine {
	t.Helper()
	q, err := n.Quarantined(t.Context(), desk.QuarantineQuery{Feed: "from-alfa", Limit: 100})
	if err != nil {
		t.Fatal(err)
	}
	return q
}

func TestWhatAPeerMayNotSendIsQuarantined(t *testing.T) {
	identity := func(id string) string {
		return `{"type":"identity","spec_version":"2.1","id":"` + id + `","created":"2026-01-01T00:00:00.000Z","modified":"2026-01-01T00:00:00.000Z","name":"x"}`
	}
	const revoked, creator = `"revoked":true`, `"created_by_ref":`
	for name, tt := range map[string]struct {
		pages  []string
		stored []string
		held   []string // reasons by object
	}{
		"not_what_it_created_itself":     {[]string{by(1, creator+`"`+alfaSelf+`"`)}, []string{by(1, creator+`"`+alfaSelf+`"`)}, nil},
		"not_what_nobody_is_bound_to":    {[]string{by(1, creator+`"`+nobodySelf+`"`)}, []string{by(1, creator+`"`+nobodySelf+`"`)}, nil},
		"what_another_peer_created":      {[]string{by(1, creator+`"`+charlieSelf+`"`) + "," + indicator(2)}, []string{indicator(2)}, []string{indicatorID(1) + " CreatorNotAllowed"}},
		"what_another_created_in_caps":   {[]string{by(1, creator+`"`+strings.Replace(charlieSelf, "cccccccc", "CCCCCCCC", 1)+`"`)}, nil, []string{indicatorID(1) + " CreatorNotAllowed"}},
		"another_peers_identity":         {[]string{identity(charlieSelf) + "," + identity(alfaSelf)}, []string{identity(alfaSelf)}, []string{charlieSelf + " CreatorNotAllowed"}},
		"a_fork":                         {[]string{indicator(1) + "," + indicator(1, greenID)}, []string{indicator(1)}, []string{indicatorID(1) + " Forked"}},
		"a_fork_in_a_later_page":         {[]string{indicator(1), indicator(2) + "," + by(1, `"x":1`)}, []string{indicator(1), indicator(2)}, []string{indicatorID(1) + " Forked"}},
		"not_a_revocation":               {[]string{indicator(1), ofDay(1, 2, revoked)}, []string{indicator(1), ofDay(1, 2, revoked)}, nil},
		"what_follows_a_revocation":      {[]string{ofDay(1, 2, revoked), ofDay(1, 3, `"x":1`)}, []string{ofDay(1, 2, revoked)}, []string{indicatorID(1) + " AfterRevocation"}},
		"what_stands_before_it_in_page":  {[]string{ofDay(1, 3, `"x":1`) + "," + ofDay(1, 2, revoked)}, []string{ofDay(1, 2, revoked)}, []string{indicatorID(1) + " AfterRevocation"}},
		"what_came_before_it":            {[]string{ofDay(1, 3, `"x":1`), indicator(2), ofDay(1, 2, revoked)}, []string{indicator(2), ofDay(1, 2, revoked)}, []string{indicatorID(1) + " AfterRevocation"}},
		"not_another_revoked_version":    {[]string{ofDay(1, 2, revoked), ofDay(1, 3, revoked)}, []string{ofDay(1, 2, revoked), ofDay(1, 3, revoked)}, nil},
		"a_revocation_by_somebody_else":  {[]string{indicator(1), ofDay(1, 2, revoked+","+creator+`"`+charlieSelf+`"`), ofDay(1, 3, `"x":1`)}, []string{indicator(1), ofDay(1, 3, `"x":1`)}, []string{indicatorID(1) + " CreatorNotAllowed"}},
		"a_revocation_that_is_a_fork":    {[]string{indicator(1), by(1, revoked), ofDay(1, 3, `"x":1`)}, []string{indicator(1), ofDay(1, 3, `"x":1`)}, []string{indicatorID(1) + " Forked"}},
		"a_revocation_first_in_its_page": {[]string{indicator(2) + "," + ofDay(1, 2, revoked)}, []string{ofDay(1, 2, revoked), indicator(2)}, nil},
	} {
		t.Run(name, func(t *testing.T) {
			bravo := side(t, filepath.Join(t.TempDir(), "bravo.db"), scripted(t, given(tt.pages...)))
			bravo.Apply(bound())
			eventually(t, "the pull ends", func() bool { return !importOf(t, bravo).LastSuccess.IsZero() })
			if diff := cmp.Diff(tt.stored, everything(t, bravo)); diff != "" {
				t.Errorf("stored (-want +got):\n%s", diff)
			}
			var held []string
			for _, i := range quarantined(t, bravo).Items {
				held = append(held, i.Object+" "+i.Reason)
			}
			if diff := cmp.Diff(tt.held, held); diff != "" {
				t.Errorf("held (-want +got):\n%s", diff)
			}
			if got := importOf(t, bravo); got.Quarantined != int64(len(tt.held)) || got.Stored != int64(len(tt.stored)) || got.Refused != 0 || got.Error != "" {
				t.Errorf("import = %+v", got)
			}
		})
	}
}

func TestTheDeskSettlesWhatIsQuarantined(t *testing.T) {
	bravo := side(t, filepath.Join(t.TempDir(), "bravo.db"), scripted(t, given(
		indicator(1)+","+by(1, `"x":1`)+","+by(2, `"created_by_ref":"`+charlieSelf+`"`)+","+indicator(3)+","+by(3, `"x":1`))))
	bravo.Apply(bound())
	eventually(t, "three are held", func() bool { return importOf(t, bravo).Quarantined == 3 && !importOf(t, bravo).LastSuccess.IsZero() })
	item := map[string]int64{}
	for _, i := range quarantined(t, bravo).Items {
		item[i.Object] = i.Item
	}
	settle := func(object string, accept bool) desk.QuarantineItem {
		t.Helper()
		got, err := bravo.Settle(t.Context(), desk.SettleRequest{Feed: "from-alfa", Item: item[object], Accept: accept, Officer: "officer"})
		if err != nil {
			t.Fatal(err)
		}
		return got
	}
	if got := settle(indicatorID(1), true); string(got.Content) != indicator(1) || got.State != "Accepted" || got.SettledBy != "officer" {
		t.Errorf("accepted = %+v", got)
	}
	settle(indicatorID(2), true)
	settle(indicatorID(3), false)
	bravo.Wake("alfa") // all of it comes again
	eventually(t, "the first content of what was replaced is a fork now", func() bool {
		q := quarantined(t, bravo)
		return len(q.Items) == 1 && q.Items[0].Object == indicatorID(1)
	})
	want := []string{indicator(3), by(1, `"x":1`), by(2, `"created_by_ref":"`+charlieSelf+`"`)}
	if diff := cmp.Diff(want, everything(t, bravo)); diff != "" {
		t.Errorf("stored (-want +got):\n%s", diff)
	}
	all, err := bravo.Quarantined(t.Context(), desk.QuarantineQuery{Feed: "from-alfa", Settled: true, Object: indicatorID(3), Limit: 10})
	if err != nil || len(all.Items) != 1 || all.Items[0].State != "Dropped" {
		t.Errorf("on record: %+v, %v", all, err)
	}
	eventually(t, "the report counts what was accepted", func() bool { return importOf(t, bravo).Stored == 3 })
	for what, ask := range map[string]func() error{
		"another_feed": func() error {
			_, err := bravo.Quarantined(t.Context(), desk.QuarantineQuery{Feed: "other", Limit: 1})
			return err
		},
		"an_item_of_another_feed": func() error {
			_, err := bravo.Settle(t.Context(), desk.SettleRequest{Feed: "other", Item: 1, Officer: "x"})
			return err
		},
		"an_item_that_is_not_there": func() error {
			_, err := bravo.Settle(t.Context(), desk.SettleRequest{Feed: "from-alfa", Item: 99, Officer: "x"})
			return err
		},
	} {
		if err := ask(); !errors.Is(err, store.ErrNotFound) {
			t.Errorf("%s: %v", what, err)
		}
	}
	var invalid *desk.InvalidError
	if _, err := bravo.Quarantined(t.Context(), desk.QuarantineQuery{Feed: "from-alfa", Object: "x", Limit: 1}); !errors.As(err, &invalid) {
		t.Errorf("what is no identifier: %v", err)
	}
}

// failingQuarantine is a store whose quarantine fails at first.
type failingQuarantine struct {
	Store
	failures atomic.Int64
}

func (f *failingQuarantine) PutQuarantined(ctx context.Context, c string, items []store.Quarantined) error {
	if f.failures.Add(-1) >= 0 {
		return errors.New("no")
	}
	return f.Store.PutQuarantined(ctx, c, items)
}

// TestTheCursorWaitsForTheQuarantine: what could not be quarantined comes again.
func TestTheCursorWaitsForTheQuarantine(t *testing.T) {
	pages := []string{indicator(1) + "," + by(1, `"x":1`), indicator(2)}
	flaky := &failingQuarantine{}
	flaky.failures.Store(2)
	bravo := sideOn(t, filepath.Join(t.TempDir(), "bravo.db"), scripted(t, given(pages...)), func(s Store) Store { flaky.Store = s; return flaky })
	bravo.Apply(bound())
	eventually(t, "the failure shows", func() bool { return strings.Contains(importOf(t, bravo).Error, "storing in quarantine") })
	if text, err := bravo.store.Cursor(t.Context(), importName("from-alfa")); text != "" || err != nil {
		t.Errorf("cursor = %s, %v", text, err)
	}
	eventually(t, "all is there", func() bool {
		bravo.Wake("alfa")
		i := importOf(t, bravo)
		return i.Error == "" && i.Stored == 2 && i.Quarantined == 1
	})
}

func TestCreators(t *testing.T) {
	c := creatorsOf([]config.Peer{{Name: "alfa", Identities: []string{alfaSelf, charlieSelf}}, {Name: "charlie", Identities: []string{charlieSelf}}})
	for peer, want := range map[string][3]bool{"alfa": {true, true, true}, "charlie": {false, true, true}, "bravo": {false, false, true}} {
		if got := [3]bool{c.free(peer, alfaSelf), c.free(peer, charlieSelf), c.free(peer, nobodySelf)}; got != want {
			t.Errorf("%s may speak for %v, want %v", peer, got, want)
		}
	}
	if !(creators{}).free("bravo", "") {
		t.Error("what nobody created is refused")
	}
}
