// SPDX-FileCopyrightText: The certlink authors
// SPDX-License-Identifier: Apache-2.0

package desk_test

import (
	"context"
	"fmt"
	"net/http"
	"testing"

	"github.com/certlink/certlink/relay/access"
	"github.com/certlink/certlink/relay/desk"
	"github.com/certlink/certlink/relay/store"
)

// journals remembers what it was asked.
type journals struct {
	err   error
	asked string
}

func (j *journals) JournalHead(_ context.Context, hotline string) (desk.Journal, error) {
	j.asked = "head " + hotline
	return desk.Journal{Hotline: hotline}, j.err
}

func (j *journals) VerifyJournal(_ context.Context, hotline string) (desk.JournalCheck, error) {
	j.asked = "verify " + hotline
	return desk.JournalCheck{State: desk.JournalWhole}, j.err
}

func (j *journals) Prove(_ context.Context, direction, peer, id string, receipt bool) (desk.MessageProof, error) {
	j.asked = fmt.Sprint("prove ", direction, " ", peer, " ", id, " ", receipt)
	return desk.MessageProof{ID: id}, j.err
}

func (j *journals) JournalDoubts(_ context.Context, hotline string) (desk.DoubtList, error) {
	j.asked = "doubts " + hotline
	return desk.DoubtList{}, j.err
}

func (j *journals) SettleDoubts(_ context.Context, hotline string, req desk.SettleDoubtsRequest) (desk.DoubtList, error) {
	j.asked = "settle " + hotline + " " + req.Reason
	return desk.DoubtList{}, j.err
}

func TestJournals(t *testing.T) {
	for name, tt := range map[string]struct {
		role         access.Role
		method, path string
		body         string
		err          error
		status       int
		asked        string
	}{
		"the_desk_reads_the_head":     {access.RoleDesk, "GET", "/journal/to-bravo", "", nil, 200, "head to-bravo"},
		"the_desk_verifies":           {access.RoleDesk, "POST", "/journal/to-bravo/verify", "", nil, 200, "verify to-bravo"},
		"the_desk_proves":             {access.RoleDesk, "GET", "/hotline/messages/out/bravo.example/X/proof", "", nil, 200, "prove out bravo.example X false"},
		"the_desk_reads_doubts":       {access.RoleDesk, "GET", "/journal/to-bravo/doubts", "", nil, 200, "doubts to-bravo"},
		"and_settles_them":            {access.RoleDesk, "POST", "/journal/to-bravo/doubts/settle", `{"reason":"r"}`, nil, 200, "settle to-bravo r"},
		"an_operator_settles_nothing": {access.RoleOperator, "POST", "/journal/to-bravo/doubts/settle", `{"reason":"r"}`, nil, 403, ""},
		"a_tool_does_not":             {access.RoleTool, "GET", "/journal/to-bravo", "", nil, 403, ""},
		"the_operator_does_not":       {access.RoleOperator, "POST", "/journal/to-bravo/verify", "", nil, 403, ""},
		"of_what_it_received":         {access.RoleDesk, "GET", "/hotline/messages/in/bravo.example/X/proof", "", nil, 200, "prove in bravo.example X false"},
		"and_receipts":                {access.RoleDesk, "GET", "/hotline/messages/out/bravo.example/X/receipt-proof", "", nil, 200, "prove out bravo.example X true"},
		"an_unknown_hotline_is_told":  {access.RoleDesk, "GET", "/journal/none", "", fmt.Errorf("none: %w", store.ErrNotFound), 404, "head none"},
		"a_second_verification_waits": {access.RoleDesk, "POST", "/journal/to-bravo/verify", "", fmt.Errorf("busy: %w", desk.ErrBusy), 429, "verify to-bravo"},
	} {
		t.Run(name, func(t *testing.T) {
			j := &journals{err: tt.err}
			p := parts(&hotline{})
			p.Journals = j
			if w := call(t, desk.NewHandler(p), tt.role, tt.method, tt.path, tt.body); w.Code != tt.status || j.asked != tt.asked {
				t.Errorf("%d %s; it was asked %q", w.Code, w.Body, j.asked)
			}
		})
	}
	if w := call(t, desk.NewHandler(parts(&hotline{})), access.RoleDesk, http.MethodGet, "/journal/to-bravo", ""); w.Code != http.StatusNotFound {
		t.Errorf("without journals: %d", w.Code)
	}
}

func TestJournalDamageIsNamed(t *testing.T) {
	for want, d := range map[string]desk.JournalDamage{
		"message in X: r":                       {Index: -1, Direction: "in", Message: "X", Reason: "r"},
		"entry 3 (message/1, message out X): r": {Index: 3, Kind: "message/1", Direction: "out", Message: "X", Reason: "r"},
		"entry 0 (act/1): r":                    {Kind: "act/1", Reason: "r"},
		"checkpoint at entry 7: r":              {Index: 7, Reason: "r"},
	} {
		if got := d.String(); got != want {
			t.Errorf("got %q, want %q", got, want)
		}
	}
}
