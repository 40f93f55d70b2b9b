// SPDX-FileCopyrightText: The certlink authors
// SPDX-License-Identifier: Apache-2.0

package linecheck

import (
	"crypto/ed25519"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/certlink/certlink/relay/store"
)

func decodePart(t *testing.T, jws []byte) string {
	t.Helper()
	payload, err := base64.RawURLEncoding.DecodeString(strings.Split(string(jws), ".")[1])
	if err != nil {
		t.Fatal(err)
	}
	return string(payload)
}

func TestPercentNeverReadsWholeWhenItIsNot(t *testing.T) {
	for _, tc := range []struct {
		part, whole int64
		want        string
	}{{0, 0, ""}, {0, 5, "0.000"}, {5, 5, "100.000"}, {999_999, 1_000_000, "99.999"}, {1, 3, "33.333"}} {
		if got := percent(tc.part, tc.whole); got != tc.want {
			t.Errorf("%d of %d is %q, want %q", tc.part, tc.whole, got, tc.want)
		}
	}
}

func TestChecksAreSummedUp(t *testing.T) {
	number := int64(0)
	row := func(d store.Direction, slot int, good bool, f facts) store.LineCheck {
		number++
		c := store.LineCheck{Direction: d, Path: "alfa.example b:1", Number: number, Slot: noon.Add(time.Duration(slot) * time.Hour)}
		c.Content, _ = encode(f)
		if good {
			c.DoneAt = c.Slot.Add(time.Second)
		}
		return c
	}
	checks := []store.LineCheck{
		row(store.Out, 0, true, facts{}), row(store.In, 0, true, facts{}),
		row(store.Out, 1, false, facts{Failure: "cut"}),
		row(store.Out, 2, false, facts{}), // interrupted
		row(store.Out, 6, true, facts{Skipped: 3}), row(store.In, 6, true, facts{Lost: 2, Skipped: 3}),
		row(store.Out, 6, true, facts{OnDemand: true}),
	}
	a := sumAfter(sum{})
	for _, c := range checks[:5] {
		a.add(c)
	}
	a = sumAfter(a.whole()) // again, with what was summed up before
	for _, c := range checks {
		a.add(c)
	}
	got := a.whole()
	r := recordOf("alfa.example", "bravo.example", "2026-03", noon, noon.AddDate(0, 1, 0), got, store.Traffic{Sent: 4, LongestReceipt: 1500 * time.Millisecond})
	want := []PathRecord{
		{From: "alfa.example", Path: Way{"alfa.example", "b:1"}, Sent: 4, Good: 3, Missed: 1, NotTested: 4, LongestGapSeconds: 6 * 3600, Availability: "75.000"},
		{From: "bravo.example", Path: Way{"alfa.example", "b:1"}, Sent: 4, Good: 2, Missed: 2, NotTested: 3, LongestGapSeconds: 6 * 3600, Availability: "50.000"},
	}
	if !slices.Equal(r.Paths, want) {
		t.Errorf("paths are %+v, want %+v", r.Paths, want)
	}
	if r.Slots != 3 || r.SlotsAnswered != 2 || r.Availability != "66.666" || r.Messages.LongestReceiptSeconds != 2 {
		t.Errorf("record is %+v", r)
	}
}

func TestWhatTwoRecordsMustAgreeOn(t *testing.T) {
	path := Way{"alfa.example", "b:1"}
	view := func(by, with string, sent, good int64) Record {
		return Record{By: by, With: with, Paths: []PathRecord{{From: "alfa.example", Path: path, Sent: sent, Good: good}}}
	}
	for name, tc := range map[string]struct {
		theirs, ours Record
		want         int
	}{
		"the_same":                                  {view("alfa.example", "bravo.example", 9, 9), view("bravo.example", "alfa.example", 9, 9), 0},
		"an_answer_was_lost":                        {view("alfa.example", "bravo.example", 9, 8), view("bravo.example", "alfa.example", 9, 9), 0},
		"more_receipts_than_checks":                 {view("alfa.example", "bravo.example", 9, 9), view("bravo.example", "alfa.example", 9, 8), 1},
		"checks_that_the_receiver_has_not_heard_of": {view("alfa.example", "bravo.example", 9, 8), view("bravo.example", "alfa.example", 8, 8), 0},
		"checks_that_the_sender_does_not_own_up_to": {view("alfa.example", "bravo.example", 8, 8), view("bravo.example", "alfa.example", 9, 9), 1},
		"the_same_of_our_own":                       {view("bravo.example", "alfa.example", 9, 9), view("alfa.example", "bravo.example", 8, 8), 1},
		"it_holds_the_other_way_round_too":          {view("bravo.example", "alfa.example", 9, 8), view("alfa.example", "bravo.example", 9, 9), 1},
		"a_path_that_only_we_know":                  {Record{By: "alfa.example", With: "bravo.example"}, view("bravo.example", "alfa.example", 9, 9), 1},
		"a_path_that_only_they_know":                {view("alfa.example", "bravo.example", 9, 0), Record{By: "bravo.example", With: "alfa.example"}, 0},
		"a_message_that_did_not_arrive_here":        {Record{By: "a", With: "b", Messages: Messages{Sent: 3}}, Record{By: "b", With: "a", Messages: Messages{Received: 2}}, 1},
		"a_message_whose_receipt_reached_them_late": {Record{By: "a", With: "b", Messages: Messages{Sent: 2}}, Record{By: "b", With: "a", Messages: Messages{Received: 3}}, 0},
		"a_message_that_we_never_sent":              {Record{By: "a", With: "b", Messages: Messages{Received: 3}}, Record{By: "b", With: "a", Messages: Messages{Sent: 2}}, 1},
		"an_exercise_that_only_one_counts":          {Record{By: "a", With: "b", Messages: Messages{ExerciseReceived: 3}}, Record{By: "b", With: "a"}, 1},
	} {
		if got := compare(tc.theirs, tc.ours); len(got) != tc.want {
			t.Errorf("%s: %q, want %d", name, got, tc.want)
		}
	}
}

// A third party has the file that the CLI exports, the nations' CAs, and no certlink.
func TestAThirdPartyCanVerifyARecordWithPublishedFormatsAlone(t *testing.T) {
	bubble(t, quick, func(t *testing.T, w *world) {
		pass(3 * time.Minute)
		a, err := w.alfa.engine.ExchangeAvailability(t.Context(), "to-bravo", time.Now().UTC().Format("2006-01"))
		if err != nil || a.Error != "" {
			t.Fatal(err, a.Error)
		}
		for jws, root := range map[string]*x509.Certificate{
			a.Ours.JWS: w.alfa.ca.Root, a.Ours.CounterJWS: w.bravo.ca.Root, a.Theirs.JWS: w.bravo.ca.Root, a.Theirs.CounterJWS: w.alfa.ca.Root,
		} {
			parts := strings.Split(jws, ".")
			raw, err := base64.RawURLEncoding.DecodeString(parts[0])
			if err != nil {
				t.Fatal(err)
			}
			var header struct {
				Alg, Typ string
				X5c      [][]byte
			}
			if err := json.Unmarshal(raw, &header); err != nil {
				t.Fatal(err)
			}
			leaf, err := x509.ParseCertificate(header.X5c[0])
			if err != nil {
				t.Fatal(err)
			}
			roots, between := x509.NewCertPool(), x509.NewCertPool()
			roots.AddCert(root)
			for _, der := range header.X5c[1:] {
				c, err := x509.ParseCertificate(der)
				if err != nil {
					t.Fatal(err)
				}
				between.AddCert(c)
			}
			if _, err := leaf.Verify(x509.VerifyOptions{Roots: roots, Intermediates: between, CurrentTime: time.Now(), KeyUsages: []x509.ExtKeyUsage{x509.ExtKeyUsageAny}}); err != nil {
				t.Error(err)
			}
			signature, err := base64.RawURLEncoding.DecodeString(parts[2])
			if err != nil {
				t.Fatal(err)
			}
			if header.Alg != "EdDSA" || !ed25519.Verify(leaf.PublicKey.(ed25519.PublicKey), []byte(parts[0]+"."+parts[1]), signature) {
				t.Errorf("the signature of a %s is wrong", header.Typ)
			}
		}
	})
}
