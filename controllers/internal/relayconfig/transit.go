// SPDX-FileCopyrightText: The certlink authors
// SPDX-License-Identifier: Apache-2.0

package relayconfig

import (
	"slices"

	"github.com/certlink/certlink/api/v1alpha1"
	"github.com/certlink/certlink/controllers/internal/status"
	"github.com/certlink/certlink/relay/config"
)

// WithTransit leaves of the peers through which the messages of a hotline may go those
// that usable tells: one that is away never keeps the hotline out.
func WithTransit(h config.Hotline, usable func(peer string) bool) config.Hotline {
	h.Transit = slices.DeleteFunc(slices.Clone(h.Transit), func(name string) bool { return !usable(name) })
	if len(h.Transit) == 0 {
		h.Transit = nil
	}
	return h
}

// TransitFault names the peers of a hotline's transit that are not used; nil if all are.
func TransitFault(h *v1alpha1.Hotline, usable func(peer string) bool) *status.Verdict {
	var waiting []string
	for _, ref := range h.Spec.Transit {
		if !usable(ref.Name) {
			waiting = append(waiting, ref.Name)
		}
	}
	if len(waiting) == 0 {
		return nil
	}
	return &status.Verdict{
		Fate:   status.Working,
		Reason: v1alpha1.ReasonPeerNotReady,
		Message: "spec.transit: there is no PeerCERT " + quoted(waiting) +
			" that our relay can use; the hotline goes on without; look at its condition Ready, create it, or take it out of the spec",
	}
}
