// SPDX-FileCopyrightText: The certlink authors
// SPDX-License-Identifier: Apache-2.0

package feed

import (
	"bytes"
	"crypto"
	"crypto/x509"
	"encoding/json"
	"fmt"
	"net/http"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/spiffe/go-spiffe/v2/bundle/x509bundle"
	"github.com/spiffe/go-spiffe/v2/spiffeid"

	"github.com/certlink/certlink/internal/testca"
	"github.com/certlink/certlink/relay/access"
	"github.com/certlink/certlink/relay/config"
	"github.com/certlink/certlink/relay/desk"
	"github.com/certlink/certlink/relay/receipt"
	"github.com/certlink/certlink/relay/redact"
	"github.com/certlink/certlink/relay/stix"
	"github.com/certlink/certlink/relay/store"
	"github.com/certlink/certlink/relay/territory"
)

// signer is who signs for a nation, and whom it trusts.
type signer struct {
	x509bundle.Source
	domain string
	pair   testca.Pair
}

func (s signer) SigningChain() ([]*x509.Certificate, crypto.Signer) { return s.pair.Chain, s.pair.Key }
func (s signer) TrustDomain() string                                { return s.domain }

// signed is a pair of nations that sign for what they receive.
func signed(t *testing.T) (alfa, bravo *nation, identities map[string]func() Identity) {
	t.Helper()
	identities = map[string]func() Identity{}
	set := x509bundle.NewSet()
	for _, domain := range []string{alfaTD, bravoTD, charlieTD} {
		ca := testca.New(t, domain)
		set.Add(x509bundle.FromX509Authorities(spiffeid.RequireTrustDomainFromString(domain), []*x509.Certificate{ca.Root}))
		pair := ca.Leaf(t, testca.Leaf{Path: "/signing", Algorithm: testca.Ed25519})
		identities[domain] = func() Identity { return signer{set, domain, pair} }
	}
	plain := func(s Store) Store { return s }
	alfa = sideAs(t, filepath.Join(t.TempDir(), "alfa.db"), http.DefaultTransport, plain, identities[alfaTD])
	alfa.asking.Store(&access.Peer{Name: "bravo", TrustDomain: bravoTD, State: config.Active, Relay: true})
	alfa.Apply(alfaConfig())
	bravo = sideAs(t, filepath.Join(t.TempDir(), "bravo.db"), to(alfa), plain, identities[bravoTD])
	bravo.Apply(bravoConfig())
	return alfa, bravo, identities
}

func whyOf(t *testing.T, n *nation, raw string) desk.WhyVersion {
	t.Helper()
	got, err := n.Why(t.Context(), idOf(t, raw), "bravo")
	if err != nil || len(got.Feeds) != 1 || len(got.Feeds[0].Versions) != 1 {
		t.Fatalf("got %+v, %v", got, err)
	}
	return got.Feeds[0].Versions[0]
}

func TestAReceiptSaysWhatArrived(t *testing.T) {
	alfa, bravo, _ := signed(t)
	push(t, alfa, "own", envelope(indicator(1, greenID), indicator(2, redID)))
	eventually(t, "the receipt is there", func() bool { return whyOf(t, alfa, indicator(1)).Delivery == desk.Receipted })
	if v := whyOf(t, alfa, indicator(1)); v.DeliveredAt.IsZero() || v.DecidedAt.IsZero() || v.Refused != "" {
		t.Errorf("got %+v", v)
	}
	if v := whyOf(t, alfa, indicator(2)); v.Delivery != "" {
		t.Errorf("what is held has come to %+v", v)
	}
	// Bravo has another edition of the next one.
	forked := strings.Replace(indicator(3, greenID), `"name"`, `"x":1,"name"`, 1)
	if _, err := bravo.store.PutObjects(t.Context(), importName("from-alfa"), records([]stix.Object{mustParse(t, forked)}), ""); err != nil {
		t.Fatal(err)
	}
	push(t, alfa, "own", envelope(indicator(3, greenID)))
	eventually(t, "the refusal is there", func() bool { return whyOf(t, alfa, indicator(3)).Refused == "Forked" })
	eventually(t, "the refusal is counted", func() bool { e := exportOf(t, alfa); return len(e.Peers) == 1 && e.Peers[0].Refused == 1 })
	if v := whyOf(t, alfa, indicator(1)); v.Refused != "" {
		t.Errorf("another one is refused, too: %+v", v)
	}
}

func mustParse(t *testing.T, raw string) stix.Object {
	t.Helper()
	o, err := stix.Parse([]byte(raw))
	if err != nil {
		t.Fatal(err)
	}
	return o
}

func TestReceiptsAreRefused(t *testing.T) {
	alfa, _, identities := signed(t)
	push(t, alfa, "own", envelope(indicator(1, greenID)))
	id := alfa.live.Load().exports[0].collection.ID
	good := acknowledgement{Collection: id, Position: stixTime(time.Now()), Received: 1, At: time.Now()}
	with := func(change func(*acknowledgement)) acknowledgement { a := good; change(&a); return a }
	for name, tt := range map[string]struct {
		by, typ string
		a       acknowledgement
		want    int
	}{
		"not_a_good_one":                {bravoTD, receiptType, good, http.StatusNoContent},
		"one_by_another_nation":         {charlieTD, receiptType, good, http.StatusUnprocessableEntity},
		"another_kind_of_statement":     {bravoTD, "certlink-message", good, http.StatusUnprocessableEntity},
		"one_for_another_collection":    {bravoTD, receiptType, with(func(a *acknowledgement) { a.Collection = "x" }), http.StatusUnprocessableEntity},
		"one_without_a_position":        {bravoTD, receiptType, with(func(a *acknowledgement) { a.Position = "" }), http.StatusUnprocessableEntity},
		"one_from_the_future":           {bravoTD, receiptType, with(func(a *acknowledgement) { a.At = time.Now().Add(time.Hour) }), http.StatusUnprocessableEntity},
		"one_that_refuses_no_object":    {bravoTD, receiptType, with(func(a *acknowledgement) { a.Refused = []refusedObject{{ID: "x", Reason: "Forked"}} }), http.StatusUnprocessableEntity},
		"one_that_refuses_with_a_novel": {bravoTD, receiptType, with(func(a *acknowledgement) { a.Refused = []refusedObject{{ID: indicatorID(1), Reason: "a b\n"}} }), http.StatusUnprocessableEntity},
		"one_that_refuses_too_much":     {bravoTD, receiptType, with(func(a *acknowledgement) { a.Refused = make([]refusedObject, maxRefused+1) }), http.StatusUnprocessableEntity},
	} {
		t.Run(name, func(t *testing.T) {
			payload, err := json.Marshal(tt.a)
			if err != nil {
				t.Fatal(err)
			}
			jws, err := receipt.Sign(identities[tt.by](), tt.typ, payload)
			if err != nil {
				t.Fatal(err)
			}
			req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, "https://"+alfaTD+"/taxii2/feeds/collections/"+id+"/receipts/", bytes.NewReader(jws))
			if err != nil {
				t.Fatal(err)
			}
			answer, err := (&http.Client{Transport: to(alfa)}).Do(req)
			if err != nil {
				t.Fatal(err)
			}
			_ = answer.Body.Close()
			if answer.StatusCode != tt.want {
				t.Errorf("status %d, want %d", answer.StatusCode, tt.want)
			}
		})
	}
	p, err := alfa.store.Progress(t.Context(), "threats", bravoTD)
	if err != nil || p.ReceivedTo > p.HandedTo {
		t.Errorf("a receipt counts for more than was handed out: %+v, %v", p, err)
	}
}

// FuzzReadAcknowledgement: what a peer signs is not trusted for that.
func FuzzReadAcknowledgement(f *testing.F) {
	f.Add([]byte(`{"collection":"c","position":"2026-01-01T00:00:00.000000Z","received":1,"refused":[{"id":"` + indicatorID(1) + `","version":"2026-01-01T00:00:00Z","reason":"Forked"}]}`))
	f.Add([]byte(`{"collection":"c","position":"9999-12-31T23:59:59Z"}`))
	f.Fuzz(func(t *testing.T, payload []byte) {
		_, refused, err := readAcknowledgement(payload, "c", time.Now())
		if err == nil && len(refused) > maxRefused {
			t.Errorf("%d refusals", len(refused))
		}
		for _, r := range refused {
			if _, ok := stix.SplitID(r.ID); !ok || !isWord(r.Reason) {
				t.Errorf("refusal %+v", r)
			}
		}
	})
}

func TestAClientThatComesBackHasWhatItRead(t *testing.T) {
	alfa, _ := pair(t) // without identities, and so without receipts
	push(t, alfa, "own", envelope(indicator(1, greenID)))
	eventually(t, "it was sent", func() bool { d := whyOf(t, alfa, indicator(1)).Delivery; return d == desk.Sent || d == desk.CameBack })
	eventually(t, "bravo came back", func() bool { return whyOf(t, alfa, indicator(1)).Delivery == desk.CameBack })
}

func TestWhatIsHeldAgainIsDroppedAtThePeer(t *testing.T) {
	alfa, bravo := pair(t)
	push(t, alfa, "own", envelope(indicator(1, greenID), indicator(2, clearID)))
	eventually(t, "bravo has both", func() bool { return importOf(t, bravo).Stored == 2 })
	tighter := alfaConfig()
	tighter.Exports[0].Rule.MaxTLP = "CLEAR"
	alfa.Apply(tighter)
	has := func(n int) bool {
		for _, raw := range collected(t, bravo, "from-alfa") {
			if strings.Contains(raw, fmt.Sprintf(`"name":"\u0041 %d"`, n)) {
				return true
			}
		}
		return false
	}
	eventually(t, "bravo has dropped the green one", func() bool { return !has(1) && importOf(t, bravo).Withdrawn == 1 })
	if !has(2) {
		t.Error("the other one is gone, too")
	}
	alfa.Apply(alfaConfig())
	eventually(t, "bravo has both again", func() bool { return has(1) && has(2) })
	if got := importOf(t, bravo); got.Refused != 0 || got.Quarantined != 0 {
		t.Errorf("import = %+v", got)
	}
}

func TestANoticeBySomebodyElseDropsNothing(t *testing.T) {
	e := knowing(alfaTD)
	list := []store.Withdrawal{{Position: 1, ID: indicatorID(1)}, {Position: 2, ID: indicatorID(2), Version: time.Unix(1, 0)}}
	for author, want := range map[string]int{identityID(alfaTD): 2, identityID(bravoTD): 0} {
		o := mustParse(t, string(notice(author, 2, store.View{Feed: "threats", Peer: bravoTD}, list).Raw))
		if got := (&intake{puller: &puller{Engine: e, peer: "alfa"}}).drops(o); len(got) != want {
			t.Errorf("by %s: %v", author, got)
		}
		if got := (&intake{puller: &puller{Engine: e}}).drops(o); got != nil {
			t.Errorf("in a source of ours: %v", got)
		}
	}
}

func TestRedactedObjectsReplaceTheOnesBefore(t *testing.T) {
	alfa, bravo := pair(t)
	push(t, alfa, "own", envelope(indicator(1, greenID)))
	eventually(t, "bravo has it", func() bool { return importOf(t, bravo).Stored == 1 })
	redacting := alfaConfig()
	redacting.Exports[0].Redaction.Properties = []string{"created_by_ref", "labels"}
	alfa.Apply(redacting)
	labelled := strings.Replace(indicator(2, greenID), `"name"`, `"labels":["secret"],"name"`, 1)
	push(t, alfa, "own", envelope(labelled))
	eventually(t, "bravo has the second one without its labels", func() bool {
		all := strings.Join(collected(t, bravo, "from-alfa"), "\n")
		return strings.Contains(all, indicatorID(2)) && strings.Contains(all, `"redacted":["labels"]`) && !strings.Contains(all, "secret")
	})
	if v := whyOf(t, alfa, labelled); !v.Redacted {
		t.Errorf("got %+v", v)
	}
	if v := whyOf(t, alfa, indicator(1)); v.Redacted {
		t.Errorf("what loses nothing is said to be redacted: %+v", v)
	}
	alfa.Apply(alfaConfig())
	eventually(t, "bravo has the whole of it in its place", func() bool {
		all := strings.Join(collected(t, bravo, "from-alfa"), "\n")
		return strings.Contains(all, labelled) && !strings.Contains(all, `"redacted":`)
	})
	eventually(t, "the report counts what was withdrawn", func() bool { return importOf(t, bravo).Withdrawn == 1 })
	if got := importOf(t, bravo); got.Quarantined != 0 {
		t.Errorf("import = %+v", got)
	}
}

func TestAVictimThatIsNamedLaterIsReplaced(t *testing.T) {
	alfa, bravo := pair(t)
	stripping := alfaConfig()
	stripping.Exports[0].Redaction.VictimIdentities = config.VictimsStrip
	alfa.Apply(stripping)
	const id = "identity--00000000-0000-4000-8000-000000000009"
	identity := `{"type":"identity","spec_version":"2.1","id":"` + id + `","created":"2026-01-01T00:00:00.000Z","modified":"2026-01-01T00:00:00.000Z","name":"Alfa Water","object_marking_refs":["` + clearID + `"]}`
	push(t, alfa, "own", envelope(identity))
	eventually(t, "bravo has it", func() bool { return importOf(t, bravo).Stored == 1 })
	push(t, alfa, "own", envelope(`{"type":"relationship","spec_version":"2.1","id":"relationship--00000000-0000-4000-8000-000000000001","created":"2026-01-01T00:00:00.000Z","modified":"2026-01-01T00:00:00.000Z","relationship_type":"targets","source_ref":"`+indicatorID(1)+`","target_ref":"`+id+`","object_marking_refs":["`+clearID+`"]}`))
	eventually(t, "bravo has it without its name", func() bool {
		all := strings.Join(collected(t, bravo, "from-alfa"), "\n")
		return strings.Contains(all, redact.VictimName) && !strings.Contains(all, "Alfa Water")
	})
}

func TestWhatLeavesByTerritoryIsMarkedAsNoAttribution(t *testing.T) {
	plain := func(s Store) Store { return s }
	alfa := sideAs(t, filepath.Join(t.TempDir(), "alfa.db"), http.DefaultTransport, plain, nil, func(c *Config) {
		c.Atlas = func() *territory.Atlas { return nil }
	})
	alfa.asking.Store(&access.Peer{Name: "bravo", TrustDomain: bravoTD, State: config.Active, Relay: true})
	c := alfaConfig()
	c.Exports[0].Rule.EmanatesFrom = config.FromPeer
	c.Peers[0].Territory.Networks = []string{"192.0.2.0/24"}
	alfa.Apply(c)
	bravo := side(t, filepath.Join(t.TempDir(), "bravo.db"), to(alfa))
	bravo.Apply(bravoConfig())
	from := func(n int, address string) string {
		return strings.Replace(indicator(n, greenID), `"name"`, `"pattern":"[ipv4-addr:value = '`+address+`']","pattern_type":"stix","name"`, 1)
	}
	push(t, alfa, "own", envelope(from(1, "192.0.2.7"), from(2, "198.51.100.7"), indicator(3, greenID)))
	notes := func() (list []string) {
		for _, raw := range collected(t, bravo, "from-alfa") {
			if strings.Contains(raw, `"type":"note"`) && strings.Contains(raw, extensionTerritory) {
				list = append(list, raw)
			}
		}
		return list
	}
	eventually(t, "the note is there", func() bool { return len(notes()) == 1 })
	note := notes()[0]
	for _, want := range []string{indicatorID(1), "no attribution", "192.0.2.7", greenID, identityID(alfaTD)} {
		if !strings.Contains(note, want) {
			t.Errorf("the note lacks %q: %s", want, note)
		}
	}
	if v := whyOf(t, alfa, from(2, "")); v.Outcome != desk.Held || !json.Valid(v.Evidence) || !bytes.Contains(v.Evidence, []byte("198.51.100.7")) {
		t.Errorf("what is elsewhere: %+v", v)
	}
	if v := whyOf(t, alfa, indicator(3)); v.Outcome != desk.Held {
		t.Errorf("what is nowhere: %+v", v)
	}
	if d := alfa.live.Load().exports[0].collection.Description; !strings.Contains(d, "no attribution") {
		t.Errorf("the collection says %q", d)
	}
	resp := local(t, alfa, http.MethodDelete, "/taxii2/local/collections/threats.own/objects/"+indicatorID(1)+"/", http.NoBody)
	if resp.StatusCode != http.StatusOK {
		t.Fatalf("deleting = %d", resp.StatusCode)
	}
	eventually(t, "the note goes with its object", func() bool { return len(notes()) == 0 })
}

// TestASourceThatIsGoneTakesBackWhatItGave: nobody deleted its objects, and no rule holds
// them; the export just has the source no more.
func TestASourceThatIsGoneTakesBackWhatItGave(t *testing.T) {
	alfa, bravo := pair(t)
	push(t, alfa, "own", envelope(indicator(1, greenID)))
	push(t, alfa, "attack", envelope(indicator(2, greenID)))
	has := func(raw string) bool {
		return strings.Contains(strings.Join(collected(t, bravo, "from-alfa"), "\n"), raw)
	}
	eventually(t, "bravo has both", func() bool { return has(indicator(1, greenID)) && has(indicator(2, greenID)) })
	less := alfaConfig()
	less.Exports[0].Sources = less.Exports[0].Sources[:1]
	alfa.Apply(less)
	eventually(t, "bravo has dropped what is shared no more", func() bool { return !has(indicator(1, greenID)) })
	if !has(indicator(2, greenID)) {
		t.Error("the other one is gone, too")
	}
	alfa.Apply(alfaConfig())
	eventually(t, "bravo has it again", func() bool { return has(indicator(1, greenID)) })
}
