// SPDX-FileCopyrightText: The certlink authors
// SPDX-License-Identifier: Apache-2.0

package desk

import (
	"errors"
	"fmt"
	"io"
	"net/http"
	"time"

	"github.com/certlink/certlink/relay/config"
	"github.com/certlink/certlink/relay/stix"
	"github.com/certlink/certlink/relay/territory"
)

// PathTerritory: GET says where a value appears to be (?value=VALUE&at=TIME), POST the
// same of the STIX object in its body, of at most 400 KiB; both with ?agreement=N, 1 to 8, as a rule's
// minAgreement, default 1 (→ Territory). Nothing is stored, and nobody is asked.
const PathTerritory = "/territory"

// maxValue is the length of the longest value that can be asked about.
const maxValue = 2048

// Territory is what our data sets know of a value or an object, and from which peers'
// territory it appears to emanate by that. It tells nothing about who is behind it.
type Territory struct {
	// Subject is the value, or the identifier of the object.
	Subject string `json:"subject"`
	// Evidence by our data sets.
	Evidence territory.Statement `json:"evidence"`
	// Peers in the order of the configuration; at most 1024.
	Peers []TerritoryPeer `json:"peers"`
	// Digest stands for the data sets that were asked.
	Digest string `json:"digest"`
}

// TerritoryPeer says what a rule with emanatesFrom: Peer would say for one peer.
type TerritoryPeer struct {
	// Peer is our name for the peer.
	Peer string `json:"peer"`
	// Emanates from the peer's territory, in appearance, and the reason, one of those
	// of package territory.
	Emanates bool   `json:"emanates"`
	Reason   string `json:"reason"`
}

// Guide is what the questions about territory are answered by.
type Guide struct {
	// Atlas returns the data of the moment.
	Atlas func() *territory.Atlas
	// Peers returns those of the live configuration.
	Peers func() []config.Peer
}

// territoryOfValue answers GET PathTerritory.
func (h *handler) territoryOfValue(r *http.Request) (int, any, error) {
	query := r.URL.Query()
	invalid := &InvalidError{}
	value := query.Get("value")
	if value == "" || len(value) > maxValue {
		invalid.Faults = append(invalid.Faults, Fault{Field: "value", Reason: fmt.Sprintf("must be an address, a network, an AS number, a URL or a name, of at most %d bytes", maxValue)})
	}
	var at time.Time
	if text := query.Get("at"); text != "" {
		var err error
		if at, err = stix.ParseTime(text); err != nil {
			invalid.Faults = append(invalid.Faults, Fault{Field: "at", Reason: "must be a time such as 2006-01-02T15:04:05Z"})
		}
	}
	agreement := int(invalid.number(query, "agreement", 1, 8))
	if len(invalid.Faults) > 0 {
		return 0, nil, invalid
	}
	answer, err := h.guide.answer(value, func(a *territory.Atlas) territory.Evidence { return a.LookAt(value, at) }, agreement)
	return http.StatusOK, answer, err
}

// territoryOfObject answers POST PathTerritory.
func (h *handler) territoryOfObject(r *http.Request) (int, any, error) {
	invalid := &InvalidError{}
	agreement := int(invalid.number(r.URL.Query(), "agreement", 1, 8))
	if len(invalid.Faults) > 0 {
		return 0, nil, invalid
	}
	raw, err := io.ReadAll(io.LimitReader(r.Body, stix.MaxObjectBytes+1))
	if err != nil {
		if _, ok := errors.AsType[*http.MaxBytesError](err); ok {
			return 0, nil, errLarge
		}
		return 0, nil, fmt.Errorf("%w: %w", errBody, err)
	}
	o, err := stix.Parse(raw)
	if err != nil {
		return 0, nil, fmt.Errorf("%w: %w", errBody, err)
	}
	answer, err := h.guide.answer(o.ID, func(a *territory.Atlas) territory.Evidence { return a.Look(o) }, agreement)
	return http.StatusOK, answer, err
}

func (g *Guide) answer(subject string, look func(*territory.Atlas) territory.Evidence, agreement int) (Territory, error) {
	atlas := g.Atlas()
	evidence := look(atlas)
	out := Territory{Subject: subject, Evidence: evidence.Statement(), Peers: []TerritoryPeer{}, Digest: atlas.Digest()}
	for _, p := range g.Peers() {
		area, err := territory.NewArea(p.Territory)
		if err != nil {
			return Territory{}, fmt.Errorf("reading the territory of %q: %w", p.Name, err)
		}
		emanates, reason := evidence.Emanates(area, territory.Terms{MinAgreement: agreement})
		out.Peers = append(out.Peers, TerritoryPeer{Peer: p.Name, Emanates: emanates, Reason: reason})
	}
	return out, nil
}
