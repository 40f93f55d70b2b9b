// SPDX-FileCopyrightText: The certlink authors
// SPDX-License-Identifier: Apache-2.0

package desk

import (
	"context"
	"net/http"

	"github.com/certlink/certlink/relay/access"
	"github.com/certlink/certlink/relay/glossary"
)

// PathGlossary: GET shows the glossary of a hotline, given by its name, for the role desk
// (→ Glossary). Terms are stated by sending messages of kind TERM.
const PathGlossary = "/hotline/glossary/{hotline}"

// Glossaries has the glossary of each hotline. It may be called concurrently. Its errors
// are those of package store: ErrNotFound for a hotline that we do not have.
type Glossaries interface {
	Glossary(ctx context.Context, hotline string) (Glossary, error)
}

// Glossary is what both sides of a hotline say of their terms. Package glossary says what
// the states mean.
type Glossary struct {
	// Hotline, Peer and PeerName as in Message.
	Hotline  string `json:"hotline"`
	Peer     string `json:"peer"`
	PeerName string `json:"peerName,omitempty"`
	// Terms by id.
	Terms []glossary.Term `json:"terms"`
	// Dropped is how many terms were left out because a side brought in more than
	// glossary.MaxTerms.
	Dropped int `json:"dropped,omitempty"`
	// Truncated: a side made more than glossary.MaxStatements statements, and the oldest
	// were not read.
	Truncated bool `json:"truncated,omitempty"`
}

// serveGlossaries adds the path of glossaries.
func (h *handler) serveGlossaries(mux *http.ServeMux, g Glossaries) {
	mux.Handle("GET "+PathGlossary, only([]access.Role{access.RoleDesk}, h.reply(func(r *http.Request) (int, any, error) {
		body, err := g.Glossary(r.Context(), r.PathValue("hotline"))
		return http.StatusOK, body, err
	})))
}
