// SPDX-FileCopyrightText: The certlink authors
// SPDX-License-Identifier: Apache-2.0

package clue_test

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/certlink/certlink/relay/stix"
	"github.com/certlink/certlink/relay/territory/clue"
)

// words writes clues as kind and text; "?" stands for undecidable.
func words(c clue.Clues) string {
	var out []string
	for _, one := range c.List {
		out = append(out, one.Kind.String()+" "+one.Text())
	}
	if c.Undecidable {
		out = append(out, "?")
	}
	return strings.Join(out, ", ")
}

func find(t *testing.T, raw string) clue.Clues {
	t.Helper()
	o, err := stix.Parse([]byte(raw))
	if err != nil {
		t.Fatal(err)
	}
	return clue.Find(o)
}

const id = "--00000000-0000-4000-8000-000000000001"

func TestPatterns(t *testing.T) {
	for pattern, want := range map[string]string{
		"[ipv4-addr:value = '192.0.2.1']":                                                  "address 192.0.2.1",
		"[ipv4-addr:value == '192.0.2.1']":                                                 "address 192.0.2.1",
		"[ ipv4-addr:value='192.0.2.0/24' ]":                                               "network 192.0.2.0/24",
		"[ipv4-addr:value = '192.0.2.77/24']":                                              "network 192.0.2.0/24",
		"[ipv4-addr:value = '192.0.2.1/32']":                                               "address 192.0.2.1",
		"[ipv6-addr:value = '2001:DB8::1']":                                                "address 2001:db8::1",
		"[ipv6-addr:value = '::ffff:192.0.2.1']":                                           "address 192.0.2.1",
		"[ipv6-addr:value = 'fe80::1%eth0']":                                               "address fe80::1",
		"[ipv4-addr:value IN ('192.0.2.1', '192.0.2.2', '192.0.2.1')]":                     "address 192.0.2.1, address 192.0.2.2",
		"[ipv4-addr:value ISSUBSET '192.0.2.0/24']":                                        "network 192.0.2.0/24",
		"[ipv4-addr:value ISSUPERSET '192.0.2.0/24']":                                      "network 192.0.2.0/24",
		"[ipv4-addr:value NOT ISSUBSET '192.0.2.0/24']":                                    "?",
		"[ipv4-addr:value NOT = '192.0.2.1']":                                              "?",
		"[ipv4-addr:value != '192.0.2.1']":                                                 "?",
		"[ipv4-addr:value <> '192.0.2.1']":                                                 "?",
		"[ipv4-addr:value > '192.0.2.1']":                                                  "?",
		"[ipv4-addr:value NOT IN ('192.0.2.1')]":                                           "?",
		"[ipv4-addr:value LIKE '192.0.2.%']":                                               "?",
		"[ipv4-addr:value MATCHES '^192']":                                                 "?",
		"[EXISTS ipv4-addr:value]":                                                         "?",
		"[NOT ipv4-addr:value = '192.0.2.1']":                                              "?",
		"[ipv4-addr:value = 'not an address']":                                             "?",
		"[ipv4-addr:value = '192.0.2.1":                                                    "?",
		"[ipv4-addr:value IN ('192.0.2.1'":                                                 "address 192.0.2.1, ?",
		"[ipv4-addr:value = $]":                                                            "?",
		"":                                                                                 "?",
		"[domain-name:value = 'A.Example.']":                                               "domain a.example",
		"[domain-name:value LIKE '%.example']":                                             "",
		"[domain-name:value != 'a.example']":                                               "",
		"[domain-name:value = 'bücher.example']":                                           "domain bücher.example",
		"[domain-name:value = '192.0.2.1']":                                                "address 192.0.2.1",
		"[domain-name:value = '0xc0.0.2.1']":                                               "?",
		"[domain-name:value = '3221225985']":                                               "?",
		"[domain-name:value = 'a b']":                                                      "",
		"[domain-name:resolves_to_refs[*].value = '192.0.2.1']":                            "address 192.0.2.1",
		"[url:value = 'https://a.example/p?q=http://192.0.2.9/']":                          "domain a.example",
		"[url:value = 'http://192.0.2.1:8080/x']":                                          "address 192.0.2.1",
		"[url:value = 'http://user:pass@[2001:db8::1]:80/']":                               "address 2001:db8::1",
		"[url:value = 'http://a.example@192.0.2.1/']":                                      "address 192.0.2.1",
		"[url:value = 'http://192.0.2.1\\\\@a.example/']":                                  "address 192.0.2.1",
		"[url:value = 'http://0300.0.2.1/']":                                               "?",
		"[url:value = 'http://%31%39%32.0.2.1/']":                                          "?",
		"[url:value = 'a.example/path']":                                                   "domain a.example",
		"[email-addr:value = 'someone@a.example']":                                         "domain a.example",
		"[email-addr:value = 'someone@[192.0.2.1]']":                                       "address 192.0.2.1",
		"[email-message:from_ref.value = 'x@a.example']":                                   "domain a.example",
		"[email-message:to_refs[*].value = 'victim@b.example']":                            "",
		"[autonomous-system:number = 64500]":                                               "asn AS64500",
		"[autonomous-system:number IN (64500, 64501)]":                                     "asn AS64500, asn AS64501",
		"[autonomous-system:number > 64500]":                                               "?",
		"[autonomous-system:number = 0]":                                                   "?",
		"[network-traffic:dst_ref.value = '192.0.2.1' AND network-traffic:dst_port = 443]": "address 192.0.2.1",
		"[network-traffic:src_ref.value = 'a.example']":                                    "domain a.example",
		"[network-traffic:dst_ref.value LIKE '192%']":                                      "?",
		"[ipv4-addr:'value' = '192.0.2.1']":                                                "?",
		"[ipv4-addr: value = '192.0.2.1']":                                                 "?",
		"[ipv4-addr :value = '192.0.2.1']":                                                 "?",
		"[url: value = 'http://192.0.2.1/']":                                               "?",
		"[network-traffic:dst_ref.'value' = '192.0.2.1']":                                  "address 192.0.2.1",
		"[network-traffic:dst_ref. value = '192.0.2.1']":                                   "?",
		"[network-traffic:dst_ref .value = '192.0.2.1']":                                   "?",
		"[file:name = 'ipv4-addr:value = ''192.0.2.1''']":                                  "",
		`[file:name = 'it\'s ipv4-addr:value']`:                                            "",
		"[file:hashes.'SHA-256' = 'ab' AND ipv4-addr:value = '192.0.2.1']":                 "address 192.0.2.1",
		"[x-own:a.'b ] c'[0].d = 'v' OR ipv4-addr:value = '192.0.2.1']":                    "address 192.0.2.1",
		"([ipv4-addr:value = '192.0.2.1'] FOLLOWEDBY [url:value = 'http://192.0.2.2/']) WITHIN 600 SECONDS START t'2026-01-01T00:00:00Z' STOP t'2026-02-01T00:00:00Z'": "address 192.0.2.1, address 192.0.2.2",
	} {
		quoted, err := json.Marshal(pattern)
		if err != nil {
			t.Fatal(err)
		}
		got := find(t, `{"type":"indicator","id":"indicator`+id+`","created":"2026-01-01T00:00:00Z","pattern_type":"stix","pattern":`+string(quoted)+`}`)
		if words(got) != want {
			t.Errorf("%s: got %q, want %q", pattern, words(got), want)
		}
	}
}

func TestObjects(t *testing.T) {
	for raw, want := range map[string]string{
		`{"type":"ipv4-addr","id":"ipv4-addr` + id + `","value":"192.0.2.1"}`:                                                                                                                                                  "address 192.0.2.1",
		`{"type":"ipv4-addr","id":"ipv4-addr` + id + `","\u0076alue":"\u003192.0.2.1"}`:                                                                                                                                        "address 192.0.2.1",
		`{"type":"ipv6-addr","id":"ipv6-addr` + id + `","value":"2001:db8::/48"}`:                                                                                                                                              "network 2001:db8::/48",
		`{"type":"ipv4-addr","id":"ipv4-addr` + id + `","x":{"value":"192.0.2.9"},"y":["}",{"value":"192.0.2.9"}],"value":"192.0.2.1"}`:                                                                                        "address 192.0.2.1",
		`{"type":"domain-name","id":"domain-name` + id + `","value":"a.example","resolves_to_refs":["ipv4-addr` + id + `"]}`:                                                                                                   "domain a.example",
		`{"type":"url","id":"url` + id + `","value":"ftp://192.0.2.1"}`:                                                                                                                                                        "address 192.0.2.1",
		`{"type":"email-addr","id":"email-addr` + id + `","value":"a@b.example"}`:                                                                                                                                              "domain b.example",
		`{"type":"autonomous-system","id":"autonomous-system` + id + `","number":64500,"rir":"TESTNIC"}`:                                                                                                                       "asn AS64500",
		`{"type":"autonomous-system","id":"autonomous-system` + id + `","number":-1}`:                                                                                                                                          "?",
		`{"type":"ipv4-addr","id":"ipv4-addr` + id + `","value":7}`:                                                                                                                                                            "?",
		`{"type":"network-traffic","id":"network-traffic` + id + `","protocols":["tcp"],"dst_ref":"ipv4-addr` + id + `"}`:                                                                                                      "",
		`{"type":"malware","id":"malware` + id + `","created":"2026-01-01T00:00:00Z","value":"192.0.2.1"}`:                                                                                                                     "",
		`{"type":"indicator","id":"indicator` + id + `","created":"2026-01-01T00:00:00Z","pattern_type":"suricata","pattern":"192.0.2.1"}`:                                                                                     "?",
		`{"type":"indicator","id":"indicator` + id + `","created":"2026-01-01T00:00:00Z","pattern":"[ipv4-addr:value = '192.0.2.1']"}`:                                                                                         "address 192.0.2.1",
		`{"type":"indicator","id":"indicator` + id + `","created":"2026-01-01T00:00:00Z","pattern":["[ipv4-addr:value = '192.0.2.1']"]}`:                                                                                       "?",
		`{"type":"observed-data","id":"observed-data` + id + `","created":"2026-01-01T00:00:00Z","objects":{"0":{"type":"ipv4-addr","value":"192.0.2.1"},"1":{"value":"b.example","type":"domain-name"},"2":{"type":"file"}}}`: "address 192.0.2.1, domain b.example",
	} {
		if got := words(find(t, raw)); got != want {
			t.Errorf("%s: got %q, want %q", raw, got, want)
		}
	}
}

func TestTheTimeOfTheObservation(t *testing.T) {
	const template = `{"type":"%s","id":"%[1]s` + id + `","created":"2026-01-01T00:00:00Z","modified":"2026-01-02T00:00:00Z"%s}`
	for _, c := range []struct{ typ, member, want string }{
		{"indicator", `,"valid_from":"2025-12-31T10:11:12Z"`, "2025-12-31T10:11:12Z"},
		{"indicator", `,"valid_from":"2025-12-31T10:11:12.5Z"`, "2025-12-31T10:11:12.5Z"},
		{"indicator", `,"valid_from":"2025-12-31T10:11:12.123456Z"`, "2025-12-31T10:11:12.123456Z"},
		{"indicator", `,"valid_from":"2024-02-29T00:00:00Z"`, "2024-02-29T00:00:00Z"},
		{"indicator", `,"valid_from":"2025-02-29T00:00:00Z"`, "2026-01-02T00:00:00Z"},
		{"indicator", `,"valid_from":"soon"`, "2026-01-02T00:00:00Z"},
		{"indicator", "", "2026-01-02T00:00:00Z"},
		{"observed-data", `,"first_observed":"2025-01-01T00:00:00Z","last_observed":"2025-06-01T00:00:00.000Z"`, "2025-06-01T00:00:00Z"},
		{"malware", "", "2026-01-02T00:00:00Z"},
	} {
		got := find(t, fmt.Sprintf(template, c.typ, c.member)).Observed
		if diff := cmp.Diff(c.want, got.Format(time.RFC3339Nano)); diff != "" {
			t.Errorf("%s%s: %s", c.typ, c.member, diff)
		}
	}
	if got := find(t, `{"type":"ipv4-addr","id":"ipv4-addr`+id+`","value":"192.0.2.1"}`).Observed; !got.IsZero() {
		t.Errorf("an observable was observed at %v", got)
	}
}

func TestTooManyValuesAreNotDecidedUpon(t *testing.T) {
	var list []string
	for i := range clue.Max + 1 {
		list = append(list, fmt.Sprintf("'192.0.2.%d'", i))
	}
	got := find(t, `{"type":"indicator","id":"indicator`+id+`","created":"2026-01-01T00:00:00Z","pattern":"[ipv4-addr:value IN (`+strings.Join(list, ",")+`)]"}`)
	if len(got.List) != clue.Max || !got.Undecidable {
		t.Errorf("%d values, undecidable %v", len(got.List), got.Undecidable)
	}
}

func TestTooManyValuesOfObservedDataAreNotDecidedUpon(t *testing.T) {
	var list []string
	for i := range clue.Max + 1 {
		list = append(list, fmt.Sprintf(`"%d":{"type":"ipv4-addr","value":"192.0.%d.%d"}`, i, i/256, i%256))
	}
	for n, want := range map[int]bool{clue.Max: false, clue.Max + 1: true} {
		got := find(t, `{"type":"observed-data","id":"observed-data`+id+`","created":"2026-01-01T00:00:00Z","objects":{`+strings.Join(list[:n], ",")+`}}`)
		if len(got.List) != clue.Max || got.Undecidable != want {
			t.Errorf("%d of %d values, undecidable %v", len(got.List), n, got.Undecidable)
		}
	}
}

func TestReadTakesWhatAPersonWrites(t *testing.T) {
	for text, want := range map[string]string{
		" 192.0.2.1 ": "address 192.0.2.1", "192.0.2.0/24": "network 192.0.2.0/24", "AS64500": "asn AS64500", "64500": "asn AS64500",
		"http://192.0.2.1/": "address 192.0.2.1", "A.example.": "domain a.example", "x@a.example": "domain a.example", "": "", "2001:db8::1": "address 2001:db8::1",
	} {
		if got := words(clue.Read(text)); got != want {
			t.Errorf("%q: got %q, want %q", text, got, want)
		}
	}
}

func FuzzFind(f *testing.F) {
	f.Add("indicator", []byte(`{"pattern":"[ipv4-addr:value = '192.0.2.1']","pattern_type":"stix","valid_from":"2026-01-01T00:00:00Z"}`))
	f.Add("indicator", []byte(`{"pattern":"[a:b.'c'[*] NOT IN ('x',1) AND EXISTS url:value]"}`))
	f.Add("observed-data", []byte(`{"objects":{"0":{"type":"url","value":"http://[::1]/"}},"last_observed":"2026-01-01T00:00:00.1Z"}`))
	f.Add("domain-name", []byte(`{"value":"a\u002eexample"}`))
	f.Add("autonomous-system", []byte(`{"number":1}`))
	f.Fuzz(func(t *testing.T, typ string, raw []byte) {
		c := clue.Find(stix.Object{Type: typ, Raw: raw})
		if len(c.List) > clue.Max {
			t.Errorf("%d values", len(c.List))
		}
		for _, one := range c.List {
			// What was found is found again in the writing of a person, or is a name.
			again := clue.Read(one.Text())
			if one.Kind != clue.Domain && (len(again.List) != 1 || again.List[0] != one) {
				t.Errorf("%q is read as %+v, was %+v", one.Text(), again, one)
			}
		}
	})
}
