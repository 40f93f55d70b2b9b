// SPDX-FileCopyrightText: The certlink authors
// SPDX-License-Identifier: Apache-2.0

package desk_test

import (
	"context"
	"fmt"
	"net/http"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/certlink/certlink/relay/access"
	"github.com/certlink/certlink/relay/desk"
	"github.com/certlink/certlink/relay/glossary"
	"github.com/certlink/certlink/relay/store"
)

// glossaries plays the engine.
type glossaries struct{ asked string }

func (g *glossaries) Glossary(_ context.Context, hotline string) (desk.Glossary, error) {
	g.asked = hotline
	if hotline == "none" {
		return desk.Glossary{}, fmt.Errorf("none: %w", store.ErrNotFound)
	}
	return desk.Glossary{Hotline: hotline, Terms: []glossary.Term{{ID: "attack", State: glossary.Agreed}}}, nil
}

func TestGlossaries(t *testing.T) {
	for name, tt := range map[string]struct {
		role   access.Role
		path   string
		status int
		asked  string
	}{
		"the_desk_reads_it":          {access.RoleDesk, "/hotline/glossary/to-bravo", 200, "to-bravo"},
		"a_tool_does_not":            {access.RoleTool, "/hotline/glossary/to-bravo", 403, ""},
		"the_operator_does_not":      {access.RoleOperator, "/hotline/glossary/to-bravo", 403, ""},
		"an_unknown_hotline_is_told": {access.RoleDesk, "/hotline/glossary/none", 404, "none"},
	} {
		t.Run(name, func(t *testing.T) {
			g, p := &glossaries{}, parts(&hotline{})
			p.Glossaries = g
			w := call(t, desk.NewHandler(p), tt.role, http.MethodGet, tt.path, "")
			if w.Code != tt.status || g.asked != tt.asked || tt.status == 200 && !strings.Contains(w.Body.String(), `"state":"Agreed"`) {
				t.Errorf("%d %s; it was asked %q", w.Code, w.Body, g.asked)
			}
		})
	}
}

func TestMessagesAreSelected(t *testing.T) {
	h := &hotline{}
	call(t, handler(h), access.RoleDesk, http.MethodGet, "/hotline/messages?peer=bravo&id=01J&conversation=talk&kind=TERM&unread=true", "")
	want := store.MessageQuery{Peer: "bravo", ID: "01J", Conversation: "talk", Kind: "TERM", Unread: true, Limit: 50}
	if diff := cmp.Diff(want, h.query); diff != "" {
		t.Error(diff)
	}
}
