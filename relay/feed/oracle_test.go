// SPDX-FileCopyrightText: The certlink authors
// SPDX-License-Identifier: Apache-2.0

package feed

import (
	"slices"
	"strings"
	"time"

	"github.com/certlink/certlink/relay/config"
	"github.com/certlink/certlink/relay/redact"
)

// levels by marking, as TLP 2.0 and 1.0 have them; those not here count as 4.
var strictness = map[string]int{
	clearID: 1, greenID: 2, "marking-definition--f88d31f6-486f-44da-b317-01333bde0b82": 3, redID: 5,
	"marking-definition--613f2e26-407d-48c7-9eca-b8e91df99dc9": 1,
}

var ceilings = map[string]int{"CLEAR": 1, "GREEN": 2, "AMBER": 3}

// level is the oracle's own reading of markings.
func (w *theWorld) level(one thing) (level int, own bool) {
	for _, m := range one.own {
		l, known := strictness[m]
		if !known {
			l = 4
		}
		level, own = max(level, l), true
	}
	if own {
		return level, true
	}
	return map[string]int{"CLEAR": 1, "GREEN": 2, "": 4}[w.conf.Exports[0].Sources[map[string]int{"attack": 0, "own": 1}[one.source]].UnmarkedAs], false
}

// allowed is what the promise says of an object, stated anew.
func (w *theWorld) allowed(one thing) bool {
	r := w.conf.Exports[0].Rule
	level, own := w.level(one)
	for _, other := range w.there {
		l, ownOther := w.level(other)
		if other.source != one.source || !ownOther {
			continue
		}
		if !own && (other.typ == "report" || other.typ == "note") && slices.Contains(other.refs, one.id) {
			level = max(level, l)
		}
	}
	for _, other := range w.there {
		l, ownOther := w.level(other)
		if other.source == one.source && ownOther && (one.typ == "report" || one.typ == "note") && slices.Contains(one.refs, other.id) {
			level = max(level, l)
		}
	}
	return level <= ceilings[r.MaxTLP] && one.confidence >= int(r.MinConfidence) &&
		(r.MaxAgeDays == 0 || w.now.Before(one.version.Add(time.Duration(r.MaxAgeDays)*24*time.Hour))) &&
		(r.Types == nil || slices.Contains(r.Types, one.typ)) && (r.CEL == "" || one.confidence%2 == 0)
}

func (w *theWorld) victim(id string) bool {
	for _, one := range w.there {
		if one.typ == "relationship" && one.refs[0] == "targets" && one.refs[1] == id {
			return true
		}
	}
	return false
}

// allowedAtLeastSoon leaves to the exporter the turns that it needs to see what was
// pushed or what has grown old: the object must be allowed on its own, by its own
// markings and the rule in force, at some time since the last turn.
func (w *theWorld) allowedAtLeastSoon(one thing) bool {
	aged := w.conf.Exports[0].Rule.MaxAgeDays
	w.conf.Exports[0].Rule.MaxAgeDays = 0
	there := w.there
	w.there = map[string]thing{}
	ok := w.allowed(one)
	w.there, w.conf.Exports[0].Rule.MaxAgeDays = there, aged
	return ok
}

// compare holds what the peer has in the end against what the rule allows, to the object.
func (w *theWorld) compare() {
	w.t.Helper()
	want := map[string]bool{}
	for _, one := range w.there {
		if w.allowed(one) {
			want[one.id+stixTime(one.version)] = true
		}
	}
	for key := range want {
		if w.kept[key] == "" {
			w.t.Errorf("the peer lacks %s", key)
		}
	}
	strip := w.conf.Exports[0].Redaction.VictimIdentities == config.VictimsStrip
	for key, raw := range w.kept {
		if !want[key] {
			w.t.Errorf("the peer still has %s", raw)
		}
		id, _, _ := strings.Cut(key, "2026")
		if strip && strings.HasPrefix(id, "identity--") && w.victim(id) && strings.Contains(raw, "secret name") {
			w.t.Errorf("the peer knows a victim: %s", raw)
		}
		if strings.Contains(raw, redact.Extension) && !strip && w.conf.Exports[0].Redaction.Properties == nil {
			w.t.Errorf("the peer has a redacted form of what is not redacted: %s", raw)
		}
	}
}

// knowing is an engine that knows one peer.
func knowing(trustDomain string) *Engine {
	e := &Engine{}
	e.live.Store(newPlan(&config.Config{Peers: []config.Peer{{Name: "alfa", TrustDomain: trustDomain}}}, nil))
	return e
}
