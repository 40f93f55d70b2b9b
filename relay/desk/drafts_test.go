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

// drafts plays those that wait: it notes what it was asked.
type drafts struct {
	asked []string
	err   error
}

func (d *drafts) did(what string, args ...any) (desk.Message, error) {
	d.asked = append(d.asked, strings.TrimSpace(fmt.Sprintln(append([]any{what}, args...)...)))
	return desk.Message{ID: "1", State: desk.StateDraft}, d.err
}

func (d *drafts) ListDrafts(_ context.Context, hotline string, q store.DraftQuery) (desk.MessageList, error) {
	_, err := d.did("list", hotline, q.Waiting, q.Before, q.Limit)
	return desk.MessageList{Messages: []desk.Message{}}, err
}
func (d *drafts) GetDraft(_ context.Context, peer, id string) (desk.Message, error) {
	return d.did("get", peer, id)
}
func (d *drafts) EditDraft(_ context.Context, peer, id string, r desk.SendRequest) (desk.Message, error) {
	return d.did("edit", peer, id, r.Text)
}
func (d *drafts) ReleaseDraft(_ context.Context, peer, id string, a desk.DraftAct) (desk.Message, error) {
	return d.did("release", peer, id, a.Hash)
}
func (d *drafts) RejectDraft(_ context.Context, peer, id string, a desk.DraftAct) (desk.Message, error) {
	return d.did("reject", peer, id, a.Reason)
}
func (d *drafts) WithdrawDraft(_ context.Context, peer, id string, a desk.DraftAct) (desk.Message, error) {
	return d.did("withdraw", peer, id, a.Reason)
}

func TestThePathsOfDrafts(t *testing.T) {
	d := &drafts{}
	p := parts(&hotline{})
	p.Drafts = d
	h := desk.NewHandler(p)
	for _, c := range []struct{ method, path, body, want string }{
		{http.MethodGet, "/hotline/drafts", "", "list  true 0 50"},
		{http.MethodGet, "/hotline/drafts?hotline=b&all=true&before=9&limit=100", "", "list b false 9 100"},
		{http.MethodGet, "/hotline/drafts/bravo/1", "", "get bravo 1"},
		{http.MethodPut, "/hotline/drafts/bravo/1", `{"text":"t"}`, "edit bravo 1 t"},
		{http.MethodPost, "/hotline/drafts/bravo/1/release", `{"hash":"h"}`, "release bravo 1 h"},
		{http.MethodPost, "/hotline/drafts/bravo/1/reject", `{"reason":"r"}`, "reject bravo 1 r"},
		{http.MethodPost, "/hotline/drafts/bravo/1/withdraw", `{}`, "withdraw bravo 1"},
	} {
		d.asked = nil
		if w := call(t, h, access.RoleDesk, c.method, c.path, c.body); w.Code != http.StatusOK || strings.Join(d.asked, ";") != c.want {
			t.Errorf("%s %s: %d, asked %q, want %q", c.method, c.path, w.Code, d.asked, c.want)
		}
		for _, role := range []access.Role{access.RoleOperator, access.RoleTool, ""} {
			if w := call(t, h, role, c.method, c.path, c.body); w.Code != http.StatusForbidden {
				t.Errorf("%s %s as %q: %d", c.method, c.path, role, w.Code)
			}
		}
	}
	for _, c := range []struct {
		method, path, body string
		want               int
	}{
		{http.MethodGet, "/hotline/drafts?limit=101", "", http.StatusUnprocessableEntity},
		{http.MethodPost, "/hotline/drafts/bravo/1/release", `{"colour":1}`, http.StatusBadRequest},
		{http.MethodPut, "/hotline/drafts/bravo/1", `[]`, http.StatusBadRequest},
	} {
		if w := call(t, h, access.RoleDesk, c.method, c.path, c.body); w.Code != c.want {
			t.Errorf("%s %s: %d, want %d", c.method, c.path, w.Code, c.want)
		}
	}
	d.err = &desk.ForbiddenError{Reason: "another officer must release it"}
	if w := call(t, h, access.RoleDesk, http.MethodPost, "/hotline/drafts/bravo/1/release", "{}"); w.Code != http.StatusForbidden || !strings.Contains(w.Body.String(), "another officer") {
		t.Errorf("a release by the drafter: %d %s", w.Code, w.Body)
	}
}

func TestWhatWaitsForItsReleaseIsAccepted(t *testing.T) {
	w := call(t, handler(&hotline{created: true, state: desk.StateDraft}), access.RoleDesk, http.MethodPost, "/hotline/messages", "{}")
	if w.Code != http.StatusAccepted || !strings.Contains(w.Body.String(), `"state":"Draft"`) {
		t.Errorf("%d %s", w.Code, w.Body)
	}
}
