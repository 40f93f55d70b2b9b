// SPDX-FileCopyrightText: The certlink authors
// SPDX-License-Identifier: Apache-2.0

package desk_test

import (
	"context"
	"fmt"
	"net/http"
	"strings"
	"testing"

	"github.com/certlink/certlink/relay/access"
	"github.com/certlink/certlink/relay/desk"
	"github.com/certlink/certlink/relay/store"
)

// deliverer plays the deliveries: bravo/siem has three dead letters.
type deliverer struct{ again int }

func (d *deliverer) Dead(_ context.Context, feed, name string, after int64, limit int) ([]store.DeadLetter, error) {
	if feed+"/"+name != "bravo/siem" {
		return nil, store.ErrNotFound
	}
	var list []store.DeadLetter
	for seq := after + 1; seq <= 3 && len(list) < limit; seq++ {
		list = append(list, store.DeadLetter{Seq: seq, ID: fmt.Sprint("indicator--", seq), Reason: "422"})
	}
	return list, nil
}

func (d *deliverer) Redeliver(_ context.Context, feed, name string) (int64, error) {
	if feed+"/"+name != "bravo/siem" {
		return 0, store.ErrNotFound
	}
	d.again++
	return 3, nil
}

func TestDeadLettersAreListedInPagesAndDeliveredAgain(t *testing.T) {
	p, d := parts(&hotline{}), &deliverer{}
	p.Deliverer, p.MISP = d, said("misp")
	h := desk.NewHandler(p)
	const dead = "/feeds/deliveries/bravo/siem/dead"
	for _, c := range []struct {
		role         access.Role
		method, path string
		status       int
		body         string
	}{
		{access.RoleDesk, http.MethodGet, dead, 200, `"object":"indicator--1"`},
		{access.RoleTool, http.MethodGet, dead + "?limit=2", 200, `"next":2`},
		{access.RoleTool, http.MethodGet, dead + "?limit=2&after=2", 200, `indicator--3`},
		{access.RoleTool, http.MethodGet, dead + "?limit=0", 422, "limit"},
		{access.RoleTool, http.MethodPost, dead, 403, "role"},
		{access.RoleOperator, http.MethodGet, dead, 403, "role"},
		{access.RoleDesk, http.MethodPost, dead, 202, `"queued":3`},
		{access.RoleDesk, http.MethodPost, "/feeds/deliveries/bravo/other/dead", 404, ""},
		{access.RoleTool, http.MethodGet, "/misp/bravo/misp/manifest.json", 200, "misp"},
		{access.RoleOperator, http.MethodGet, "/misp/bravo/misp/manifest.json", 403, "role"},
		{"", http.MethodGet, "/misp/bravo/misp/manifest.json", 403, "role"},
	} {
		w := call(t, h, c.role, c.method, c.path, "")
		if w.Code != c.status || !strings.Contains(w.Body.String(), c.body) {
			t.Errorf("%s %s by %q: %d %s", c.method, c.path, c.role, w.Code, w.Body)
		}
	}
	if d.again != 1 {
		t.Errorf("delivered again %d times", d.again)
	}
}
