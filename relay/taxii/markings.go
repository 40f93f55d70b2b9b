// SPDX-FileCopyrightText: The certlink authors
// SPDX-License-Identifier: Apache-2.0

package taxii

import (
	"context"
	"net/http"
)

// Marked is a Backend that can say what a caller may see by marking. With it the
// Handler has one more resource, an extension of the standard (TAXII 2.1 section
// 8.2.1): GET {api-root}/collections/{id}/markings/.
type Marked interface {
	// Markings says it of a collection that Collection returned with CanRead, for the
	// caller alone.
	Markings(ctx context.Context, collectionID string) (Markings, error)
}

// Markings says what of a collection the caller may see, by marking. An object that
// has one marking beyond these is not there for the caller.
type Markings struct {
	// TLPLevels are levels of TLP 2.0, CLEAR first.
	TLPLevels []string `json:"tlp_levels,omitempty"`
	// MarkingRefs are the ids of the marking definitions that may be seen on an object:
	// those of TLP 2.0 and 1.0, and of statements in the collection.
	MarkingRefs []string `json:"marking_refs,omitempty"`
	// Types are the only types of objects that may be seen; empty means all.
	Types []string `json:"types,omitempty"`
}

// marked is the Backend if it is Marked, else nil.
func (h *handler) marked() Marked {
	m, _ := h.Backend.(Marked)
	return m
}

// linked adds to a collection where its markings are told.
func (h *handler) linked(c Collection) Collection {
	if h.marked() != nil && c.CanRead {
		c.Markings = "/taxii2/" + h.Root + "/collections/" + c.ID + "/markings/"
	}
	return c
}

func (h *handler) markings(w http.ResponseWriter, c *call) error {
	col, err := h.visible(c)
	if err != nil {
		return err
	}
	if !col.CanRead {
		return Forbidden("this collection can be written, not read")
	}
	// What it asks of the store is no less than a page of objects.
	release, err := h.slots.take(c.Context(), c.caller)
	if err != nil {
		return err
	}
	defer release()
	m, err := h.marked().Markings(c.Context(), col.ID)
	if err != nil {
		return err
	}
	return sendJSON(w, http.StatusOK, m)
}
