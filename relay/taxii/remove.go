// SPDX-FileCopyrightText: The certlink authors
// SPDX-License-Identifier: Apache-2.0

package taxii

import "net/http"

// remove deletes the versions of an object that the filters select (TAXII 2.1
// section 5.7). When it answers 200 they are gone from stable storage.
func (h *handler) remove(w http.ResponseWriter, c *call) error {
	col, err := h.visible(c)
	if err != nil {
		return err
	}
	if !col.CanRead || !col.CanWrite {
		return Forbidden("to delete from a collection one must be able to read and to write it")
	}
	q, err := readQuery(c, ofDeletion, col.ID)
	if err != nil {
		return err
	}
	release, err := h.slots.take(c.Context(), c.caller)
	if err != nil {
		return err
	}
	defer release()
	deleted, err := h.Backend.Delete(c.Context(), col.ID, q)
	if err != nil {
		return err
	}
	if deleted == 0 {
		return NotFound()
	}
	h.metrics.deleted.Add(float64(deleted))
	send(w, http.StatusOK, nil)
	return nil
}
