// SPDX-FileCopyrightText: The certlink authors
// SPDX-License-Identifier: Apache-2.0

package feed

import (
	"net/http"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/certlink/certlink/relay/access"
	"github.com/certlink/certlink/relay/config"
	"github.com/certlink/certlink/relay/redact"
	"github.com/certlink/certlink/relay/store"
)

// ours are the notes in a collection of ours.
func ours(t *testing.T, n *nation, collection string) []store.Record {
	t.Helper()
	page, err := n.store.ListObjects(t.Context(), collection, store.Query{Types: []string{"note"}, Limit: store.MaxRecords})
	if err != nil {
		t.Fatal(err)
	}
	return page.Records
}

func TestANoteGoesWithTheObjectThatItIsAbout(t *testing.T) {
	alfa, bravo := territorial(t, &meddled{shared: map[int64]bool{}})
	collection := noteName("threats", bravoTD)
	push(t, alfa, "own", envelope(at(1, "192.0.2.7"), at(2, "192.0.2.8")))
	eventually(t, "both notes are there", func() bool { return len(notes(t, bravo)) == 2 })
	deletes(t, alfa, indicatorID(1))
	eventually(t, "the one has gone on both sides", func() bool { return len(ours(t, alfa, collection)) == 1 && len(notes(t, bravo)) == 1 })
}

func TestANoteMakesRoomForALaterOneAboutTheSame(t *testing.T) {
	alfa, bravo := territorial(t, &meddled{shared: map[int64]bool{}})
	collection := noteName("threats", bravoTD)
	push(t, alfa, "own", envelope(at(1, "192.0.2.7")))
	eventually(t, "the note is there", func() bool { return len(notes(t, bravo)) == 1 })
	first := ours(t, alfa, collection)[0]
	// A revision within the same moment is another answer to the same question: both stay.
	second := later(first.Object)
	third := second
	for range maxRevisions + 5 {
		third = later(third)
	}
	for _, o := range []store.Object{second, third} {
		if _, err := alfa.store.PutObjects(t.Context(), collection, []store.Object{o}, ""); err != nil {
			t.Fatal(err)
		}
	}
	alfa.Stored()
	eventually(t, "the newest alone is left, on both sides", func() bool {
		left := ours(t, alfa, collection)
		return len(left) == 1 && left[0].Version.Equal(third.Version) && len(notes(t, bravo)) == 1
	})
}

func TestANoticeThatWasReceivedLongAgoIsLetGo(t *testing.T) {
	var late atomic.Int64
	alfa := sideAs(t, filepath.Join(t.TempDir(), "alfa.db"), http.DefaultTransport, func(s Store) Store { return s }, nil, func(c *Config) {
		c.Now = func() time.Time { return time.Now().Add(time.Duration(late.Load())) }
	})
	alfa.asking.Store(&access.Peer{Name: "bravo", TrustDomain: bravoTD, State: config.Active, Relay: true})
	alfa.Apply(alfaConfig())
	bravo := side(t, filepath.Join(t.TempDir(), "bravo.db"), to(alfa))
	bravo.Apply(bravoConfig())
	push(t, alfa, "own", envelope(indicator(1, greenID)))
	eventually(t, "bravo has it", func() bool { return importOf(t, bravo).Stored == 1 })
	deletes(t, alfa, indicatorID(1))
	collection := noticeName("threats", bravoTD)
	eventually(t, "bravo has dropped it, and come back behind the notice", func() bool {
		list := ours(t, alfa, collection)
		if len(list) != 1 {
			return false
		}
		v, err := alfa.store.Explain(t.Context(), store.View{Feed: "threats", Peer: bravoTD}, []string{collection}, list[0].ID, 1)
		p, bad := alfa.store.Progress(t.Context(), "threats", bravoTD)
		bravo.Wake("alfa")
		return err == nil && bad == nil && len(v) == 1 && v[0].Share && v[0].SharedAt.UnixMicro() <= p.ReceivedTo
	})
	old := ours(t, alfa, collection)[0].ID
	there := func(n *nation, collection string) bool {
		for _, r := range ours(t, n, collection) {
			if r.ID == old {
				return true
			}
		}
		return false
	}
	alfa.Stored()
	if !there(alfa, collection) {
		t.Error("it has gone in time")
	}
	late.Store(int64(keepNotices + time.Hour))
	alfa.Stored()
	eventually(t, "it is gone on both sides", func() bool {
		bravo.Wake("alfa")
		return !there(alfa, collection) && !there(bravo, importName("from-alfa"))
	})
}

// TestOnceAVictimAlwaysAVictimThoughAllIsDeletedThatSaysSo: what named it is deleted, and it is
// deleted itself, and comes again.
func TestOnceAVictimAlwaysAVictimThoughAllIsDeletedThatSaysSo(t *testing.T) {
	alfa, bravo := pair(t)
	stripping := alfaConfig()
	stripping.Exports[0].Redaction.VictimIdentities = config.VictimsStrip
	alfa.Apply(stripping)
	push(t, alfa, "own", envelope(water("Alfa Water"), targetsWater()))
	eventually(t, "bravo has it without its name", func() bool {
		return strings.Contains(strings.Join(collected(t, bravo, "from-alfa"), "\n"), redact.VictimName)
	})
	deletes(t, alfa, "relationship--00000000-0000-4000-8000-000000000001")
	deletes(t, alfa, waterID)
	eventually(t, "bravo has dropped both", func() bool {
		all := strings.Join(collected(t, bravo, "from-alfa"), "\n")
		return !strings.Contains(all, redact.VictimName) && !strings.Contains(all, `"targets"`)
	})
	push(t, alfa, "own", envelope(water("Alfa Water")))
	eventually(t, "it has come again", func() bool {
		all := strings.Join(collected(t, bravo, "from-alfa"), "\n")
		if strings.Contains(all, "Alfa Water") {
			t.Fatal("its name has left")
		}
		return strings.Contains(all, redact.VictimName)
	})
}
