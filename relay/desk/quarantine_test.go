// SPDX-FileCopyrightText: The certlink authors
// SPDX-License-Identifier: Apache-2.0

package desk_test

import (
	"context"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/certlink/certlink/relay/access"
	"github.com/certlink/certlink/relay/desk"
	"github.com/certlink/certlink/relay/store"
)

// quarantiner keeps nothing and remembers what it was asked.
type quarantiner struct {
	err     error
	query   desk.QuarantineQuery
	request desk.SettleRequest
}

func (q *quarantiner) Quarantined(_ context.Context, query desk.QuarantineQuery) (desk.Quarantine, error) {
	q.query = query
	return desk.Quarantine{Feed: query.Feed, Items: []desk.QuarantineItem{}}, q.err
}

func (q *quarantiner) Settle(_ context.Context, r desk.SettleRequest) (desk.QuarantineItem, error) {
	q.request = r
	return desk.QuarantineItem{Item: r.Item, State: "Dropped"}, q.err
}

func TestQuarantine(t *testing.T) {
	const settle = `{"feed":"from-bravo","item":7,"accept":true,"officer":"officer"}`
	for name, tt := range map[string]struct {
		role         access.Role
		method, tail string
		body         string
		err          error
		status       int
		want         string
	}{
		"the_desk_lists":                      {access.RoleDesk, "GET", "?feed=f&object=o&settled=true&after=3&limit=9", "", nil, 200, "{f o true 3 9} { 0 false }"},
		"a_tool_lists":                        {access.RoleTool, "GET", "?feed=f", "", nil, 200, "{f  false 0 1000} { 0 false }"},
		"the_operator_does_not":               {access.RoleOperator, "GET", "?feed=f", "", nil, 403, "{  false 0 0} { 0 false }"},
		"not_before_the_first":                {access.RoleDesk, "GET", "?feed=f&after=-1", "", nil, 422, "{  false 0 0} { 0 false }"},
		"not_more_than_there_may_be":          {access.RoleDesk, "GET", "?feed=f&limit=1001", "", nil, 422, "{  false 0 0} { 0 false }"},
		"not_of_a_feed_that_is_not_there":     {access.RoleDesk, "GET", "?feed=f", "", fmt.Errorf("import: %w", store.ErrNotFound), 404, "{f  false 0 1000} { 0 false }"},
		"the_desk_settles":                    {access.RoleDesk, "POST", "", settle, nil, 200, "{  false 0 0} {from-bravo 7 true officer}"},
		"a_tool_does_not_settle":              {access.RoleTool, "POST", "", settle, nil, 403, "{  false 0 0} { 0 false }"},
		"nobody_settles_without_a_name":       {access.RoleDesk, "POST", "", `{"feed":"f","item":7}`, nil, 422, "{  false 0 0} { 0 false }"},
		"nor_with_one_that_is_too_long":       {access.RoleDesk, "POST", "", `{"feed":"f","item":7,"officer":"` + strings.Repeat("x", 300) + `"}`, nil, 422, "{  false 0 0} { 0 false }"},
		"nor_in_other_words":                  {access.RoleDesk, "POST", "", `{"feed":"f","item":7,"officer":"x","verdict":"keep"}`, nil, 422, "{  false 0 0} { 0 false }"},
		"nor_twice_in_one_body":               {access.RoleDesk, "POST", "", settle + settle, nil, 422, "{  false 0 0} { 0 false }"},
		"what_is_settled_is_not_settled_anew": {access.RoleDesk, "POST", "", settle, store.ErrConflict, 409, "{  false 0 0} {from-bravo 7 true officer}"},
	} {
		t.Run(name, func(t *testing.T) {
			q := &quarantiner{err: tt.err}
			h := desk.NewHandler(desk.Parts{
				Report: http.NotFoundHandler(), Hotline: &hotline{}, TAXII: http.NotFoundHandler(), Checker: checker{}, Explainer: explainer{},
				Quarantiner: q, Log: slog.New(slog.DiscardHandler),
			})
			r := httptest.NewRequestWithContext(access.WithRole(t.Context(), tt.role), tt.method, desk.PathQuarantine+tt.tail, strings.NewReader(tt.body))
			w := httptest.NewRecorder()
			h.ServeHTTP(w, r)
			if got := fmt.Sprint(q.query, " ", q.request); w.Code != tt.status || got != tt.want {
				t.Errorf("%d %s; it was asked %s", w.Code, w.Body, got)
			}
		})
	}
}
