// SPDX-FileCopyrightText: The certlink authors
// SPDX-License-Identifier: Apache-2.0

package feed

import (
	"net/http"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/certlink/certlink/relay/access"
	"github.com/certlink/certlink/relay/config"
	"github.com/certlink/certlink/relay/desk"
	"github.com/certlink/certlink/relay/stix"
	"github.com/certlink/certlink/relay/store"
)

// territorial is a pair whose export shares what appears to emanate from bravo.
func territorial(t *testing.T, m *meddled) (alfa, bravo *nation) {
	t.Helper()
	alfa = sideOn(t, filepath.Join(t.TempDir(), "alfa.db"), http.DefaultTransport, func(s Store) Store { m.Store = s; return m })
	alfa.asking.Store(&access.Peer{Name: "bravo", TrustDomain: bravoTD, State: config.Active, Relay: true})
	c := alfaConfig()
	c.Exports[0].Rule.EmanatesFrom = config.FromPeer
	c.Peers[0].Territory.Networks = []string{"192.0.2.0/24"}
	alfa.Apply(c)
	bravo = side(t, filepath.Join(t.TempDir(), "bravo.db"), to(alfa))
	bravo.Apply(bravoConfig())
	return alfa, bravo
}

func at(n int, address string) string {
	return strings.Replace(indicator(n, greenID), `"name"`, `"pattern":"[ipv4-addr:value = '`+address+`']","pattern_type":"stix","name"`, 1)
}

// notes are those about territory that a nation has collected.
func notes(t *testing.T, n *nation) (list []string) {
	t.Helper()
	for _, raw := range collected(t, n, "from-alfa") {
		if strings.Contains(raw, `"type":"note"`) && strings.Contains(raw, extensionTerritory) {
			list = append(list, raw)
		}
	}
	return list
}

// deletes takes an object from the source own as a tool does.
func deletes(t *testing.T, n *nation, id string) {
	t.Helper()
	if _, err := (localBackend{n.Engine}).Delete(t.Context(), "threats.own", store.Query{IDs: []string{id}}); err != nil {
		t.Error(err)
	}
}

func TestTheNoteComesBackWithItsObject(t *testing.T) {
	alfa, bravo := territorial(t, &meddled{shared: map[int64]bool{}})
	push(t, alfa, "own", envelope(at(1, "192.0.2.7")))
	eventually(t, "the note is there", func() bool { return len(notes(t, bravo)) == 1 })
	deletes(t, alfa, indicatorID(1))
	eventually(t, "the note has gone", func() bool { return len(notes(t, bravo)) == 0 })
	push(t, alfa, "own", envelope(at(1, "192.0.2.7")))
	eventually(t, "the note is there again", func() bool { return len(notes(t, bravo)) == 1 })
}

// TestAReplacedObjectDoesNotStopItsView: the note about an object that was deleted and
// pushed again waits for its object, and the object does not wait for the note.
func TestAReplacedObjectDoesNotStopItsView(t *testing.T) {
	m := &meddled{shared: map[int64]bool{}}
	var once sync.Once
	armed := make(chan struct{})
	var alfa *nation
	m.beforeBatch = func() {
		select {
		case <-armed:
		default:
			return
		}
		once.Do(func() {
			deletes(t, alfa, indicatorID(1))
			if _, err := m.PutObjects(t.Context(), sourceName("threats", "own"), records([]stix.Object{mustParse(t, at(1, "192.0.2.7"))}), ""); err != nil {
				t.Error(err)
			}
		})
	}
	alfa, bravo := territorial(t, m)
	push(t, alfa, "own", envelope(at(1, "192.0.2.7")))
	eventually(t, "the note is there", func() bool { return len(notes(t, bravo)) == 1 })
	close(armed)
	push(t, alfa, "own", envelope(at(2, "192.0.2.8")))
	eventually(t, "both are shared", func() bool {
		e := exportOf(t, alfa)
		return e.Stored == 2 && e.Undecided == 0 && whyOf(t, alfa, indicator(2)).Outcome == desk.Shared
	})
	eventually(t, "both notes are there", func() bool { return len(notes(t, bravo)) == 2 })
}

// TestANoteDoesNotOutliveAnObjectThatIsDeletedMeanwhile: what is decided while something is
// deleted may rest on what is gone.
func TestANoteDoesNotOutliveAnObjectThatIsDeletedMeanwhile(t *testing.T) {
	m := &meddled{shared: map[int64]bool{}}
	var alfa *nation
	var once sync.Once
	var deleted atomic.Bool
	note := noteID(identityID(alfaTD), store.View{Feed: "threats", Peer: bravoTD}, indicatorID(1), mustParse(t, indicator(1)).Version)
	decision := func() (d store.Explained) {
		found, err := m.Explain(t.Context(), store.View{Feed: "threats", Peer: bravoTD}, []string{noteName("threats", bravoTD)}, note, 10)
		if err != nil || len(found) > 1 {
			t.Errorf("%d notes, %v", len(found), err)
		} else if len(found) == 1 {
			d = found[0]
		}
		return d
	}
	m.beforeDecide = func(decisions []store.Decision) {
		if n := decision(); n.Seq != 0 && slices.ContainsFunc(decisions, func(d store.Decision) bool { return d.Seq == n.Seq && d.Share }) {
			once.Do(func() { deletes(t, alfa, indicatorID(1)); deleted.Store(true) })
		}
	}
	alfa, _ = territorial(t, m)
	push(t, alfa, "own", envelope(at(1, "192.0.2.7")))
	eventually(t, "the note is held, or gone already", func() bool {
		d := decision()
		return deleted.Load() && (d.Seq == 0 || d.Rule != "" && !d.Share && d.Reason == noteOfNone)
	})
}
