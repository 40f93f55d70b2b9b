// SPDX-FileCopyrightText: The certlink authors
// SPDX-License-Identifier: Apache-2.0

package taxii

import (
	"bytes"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/certlink/certlink/relay/stix"
	"github.com/certlink/certlink/relay/store"
	"github.com/certlink/certlink/relay/store/sqlite"
)

// held is a record as the oracle knows it; n is its place in the collection.
type held struct {
	id, typ, spec, version, raw string
	n                           int
}

// attack is ATT&CK for ICS, and of some objects versions of before, also in STIX 2.0.
func attack(t *testing.T) (all []held, objects []store.Object) {
	t.Helper()
	text, err := os.ReadFile("../../test/data/ics-attack-18.1.json")
	if err != nil {
		t.Fatal(err)
	}
	var raws []string
	r := stix.NewReader(bytes.NewReader(text))
	for n := 0; ; n++ {
		o, err := r.Read()
		if err != nil {
			break
		}
		raw := string(o.Raw)
		if modified := o.Version.Format("2006-01-02T15:04:05.000Z"); strings.Count(raw, `"modified": "`+modified) == 1 {
			old := strings.Replace(raw, `"modified": "`+modified, `"modified": "2011-01-01T00:00:00.000Z`, 1)
			if n%5 == 0 {
				raws = append(raws, old)
			}
			if n%7 == 0 {
				raws = append(raws, strings.Replace(strings.Replace(old, "2011-", "2010-", 1), `"spec_version": "2.1"`, `"spec_version": "2.0"`, 1))
			}
		}
		raws = append(raws, raw)
	}
	for n, raw := range raws {
		o, err := stix.Parse([]byte(raw))
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, held{o.ID, o.Type, o.SpecVersion, o.Version.Format(TimeFormat), raw, n})
		objects = append(objects, store.Object{ID: o.ID, Type: o.Type, SpecVersion: o.SpecVersion, Version: o.Version, Raw: o.Raw})
	}
	return all, objects
}

// asked is a query, as the standard's section 3.4 has it.
type asked struct {
	ids, types, specs, versions []string
	after                       int // the place behind which it begins; -1 for the beginning
}

func (q asked) values(date func(int) string) url.Values {
	v := url.Values{}
	for name, list := range map[string][]string{"match[id]": q.ids, "match[type]": q.types, "match[spec_version]": q.specs, "match[version]": q.versions} {
		if list != nil {
			v.Set(name, strings.Join(list, ","))
		}
	}
	if q.after >= 0 {
		v.Set("added_after", date(q.after))
	}
	return v
}

// answer is what the query selects, read from the standard and not from the code: the spec versions first, then the versions
// among what these leave, and all other filters at the end.
func (q asked) answer(all []held) (list []held) {
	of := map[string][]held{}
	for _, h := range all {
		of[h.id] = append(of[h.id], h)
	}
	for _, h := range all {
		siblings := of[h.id]
		newest := slices.MaxFunc(siblings, func(a, b held) int { return strings.Compare(a.spec, b.spec) }).spec
		siblings = slices.DeleteFunc(slices.Clone(siblings), func(s held) bool {
			return q.specs == nil && s.spec != newest || q.specs != nil && !slices.Contains(q.specs, s.spec)
		})
		if !slices.Contains(siblings, h) {
			continue
		}
		slices.SortFunc(siblings, func(a, b held) int { return strings.Compare(a.version, b.version) })
		wanted := q.versions
		if wanted == nil {
			wanted = []string{"last"}
		}
		if !slices.ContainsFunc(wanted, func(v string) bool {
			return v == "all" || v == "first" && h == siblings[0] || v == "last" && h == siblings[len(siblings)-1] || v == h.version
		}) {
			continue
		}
		if h.n > q.after && (q.ids == nil || slices.Contains(q.ids, h.id)) && (q.types == nil || slices.Contains(q.types, h.typ)) {
			list = append(list, h)
		}
	}
	return list
}

// TestFiltersOfATTACK: each filter selects what the standard says, alone and together, in pages of any length, and so does the manifest.
func TestFiltersOfATTACK(t *testing.T) {
	all, objects := attack(t)
	now := time.Date(2026, 2, 1, 0, 0, 0, 0, time.UTC)
	db, err := sqlite.Open(t.Context(), sqlite.Config{Path: filepath.Join(t.TempDir(), "relay.db"), Now: func() time.Time { return now }})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = db.Close() })
	if _, err := db.PutObjects(t.Context(), "c", objects, ""); err != nil {
		t.Fatal(err)
	}
	h := NewHandler(Options{Root: "feeds", Title: "alfa", Backend: &onDisk{store: db}, Port: "local"})
	date := func(n int) string { return FormatTime(now.Add(time.Duration(n) * time.Microsecond)) }
	random := rand.New(rand.NewPCG(7, 8))
	some := func(most int, value func() string) (list []string) {
		for range 1 + random.IntN(most) {
			if v := value(); !slices.Contains(list, v) {
				list = append(list, v)
			}
		}
		return list
	}
	one := func() held { return all[random.IntN(len(all))] }
	answered := 0
	for step := range 80 {
		q := asked{after: -1}
		if random.IntN(3) == 0 {
			q.ids = some(60, func() string { return one().id })
		}
		if random.IntN(3) == 0 {
			q.types = some(4, func() string { return one().typ })
		}
		if random.IntN(2) == 0 {
			q.specs = some(2, func() string { return []string{"2.0", "2.1"}[random.IntN(2)] })
		}
		switch random.IntN(5) {
		case 0:
			q.versions = []string{"all"}
		case 1, 2:
			q.versions = some(4, func() string { return []string{"first", "last", one().version}[random.IntN(3)] })
		}
		if random.IntN(3) == 0 {
			q.after = random.IntN(len(all))
		}
		values := q.values(date)
		if step%4 > 0 {
			values.Set("limit", fmt.Sprint(30+random.IntN(400)))
		}
		var want []string
		records := []ManifestRecord(nil)
		for _, r := range q.answer(all) {
			want = append(want, r.raw)
			records = append(records, ManifestRecord{ID: r.id, DateAdded: date(r.n), Version: r.version, MediaType: "application/stix+json;version=" + r.spec})
		}
		if len(want) > 0 {
			answered++
		}
		if diff := cmp.Diff(want, read(t, h, "objects/", values.Encode()).objects); diff != "" {
			t.Fatalf("step %d: %v (-want +got):\n%.2000s", step, values, diff)
		}
		if diff := cmp.Diff(records, read(t, h, "manifest/", values.Encode()).manifest); diff != "" {
			t.Fatalf("step %d: the manifest of %v (-want +got):\n%.2000s", step, values, diff)
		}
	}
	if answered < 40 {
		t.Errorf("%d queries select something", answered)
	}
}

// TestOddRequests are what analysts' tools send, and what they should not: each is answered as the standard says.
func TestOddRequests(t *testing.T) {
	h := conforming(t)
	ids := make([]string, store.MaxSelectors)
	for n := range ids {
		ids[n] = fmt.Sprintf("x-very-long-type-of-a-vendor--00000000-0000-4000-8000-%012d", n)
	}
	for name, tt := range map[string]struct {
		query   string
		headers []string
		status  int
	}{
		"3.4.1_a_list_of_a_hundred_long_identifiers": {"match[id]=" + strings.Join(ids, ","), nil, 200},
		"3.4.1_an_empty_value":                       {"match[id]=", nil, 400},
		"3.4.1_an_empty_element":                     {"match[type]=tool,,indicator", nil, 400},
		"3.4.1_a_list_in_repeated_parameters":        {"match[type]=tool&match[type]=indicator", nil, 400},
		"3.4.1_a_filter_in_capitals":                 {"MATCH[type]=tool", nil, 400},
		"3.4.1_a_property_of_the_object":             {"match[name]=x", nil, 400},
		"3.4_a_semicolon":                            {"match[type]=tool;limit=1", nil, 400},
		"3.4_a_parameter_of_a_kibibyte":              {strings.Repeat("x", 1024) + "=1", nil, 400},
		"3.4_a_value_of_64_KiB":                      {"match[id]=" + strings.Repeat("x", 64<<10), nil, 400},
		"3.4_added_after_of_an_hour_in_a_zone":       {"added_after=2026-01-01T00:00:00%2B01:00", nil, 200},
		"3.4_added_after_of_a_far_year":              {"added_after=9999-12-31T23:59:59.999999Z", nil, 200},
		"1.6.8_a_reader_that_takes_gzip":             {"", []string{"Accept-Encoding", "gzip, deflate, br"}, 200},
		"1.6.8_a_reader_that_takes_no_plain_text":    {"", []string{"Accept-Encoding", "identity;q=0"}, 200},
		"1.6.8_a_reader_of_TAXII_2.0":                {"", []string{"Accept", "application/vnd.oasis.taxii+json; version=2.0"}, 406},
		"1.6.8_a_reader_of_STIX":                     {"", []string{"Accept", "application/stix+json;version=2.1"}, 406},
	} {
		t.Run(name, func(t *testing.T) {
			for _, method := range []string{http.MethodGet, http.MethodHead} {
				resp := do(t, h, method, inBoth+"objects/?"+tt.query, "", tt.headers...)
				body := text(t, resp)
				if resp.StatusCode != tt.status || resp.Header.Get("Content-Type") != MediaType || resp.Header.Get("Content-Encoding") != "" {
					t.Fatalf("%s: %d %v %.200s", method, resp.StatusCode, resp.Header, body)
				}
				if method == http.MethodHead {
					if body != "" {
						t.Errorf("a HEAD has the body %s", body)
					}
					continue
				}
				if got := resp.Header.Get("Content-Length"); got != fmt.Sprint(len(body)) {
					t.Errorf("%s bytes are announced, %d came", got, len(body))
				}
				var e ProtocolError
				if err := json.Unmarshal([]byte(body), &e); err != nil || tt.status >= 400 && (e.HTTPStatus != fmt.Sprint(tt.status) || e.Title == "" || len(body) > 2048) {
					t.Errorf("the error is %.300s, %v", body, err)
				}
			}
		})
	}
}
