// SPDX-FileCopyrightText: The certlink authors
// SPDX-License-Identifier: Apache-2.0

package misp

import (
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/certlink/certlink/relay/rule"
	"github.com/certlink/certlink/relay/stix"
)

func indicatorOf(t *testing.T, pattern, more string) stix.Object {
	t.Helper()
	text, _ := json.Marshal(pattern)
	o, err := stix.Parse([]byte(`{"type":"indicator","spec_version":"2.1","id":"indicator--5c0d1e2f-0000-4000-8000-000000000001","created":"2026-01-02T00:00:00.000Z",` +
		`"modified":"2026-01-02T03:04:05.000Z","pattern_type":"stix","valid_from":"2026-01-02T00:00:00Z","pattern":` + string(text) + more + `}`))
	if err != nil {
		t.Fatal(err)
	}
	return o
}

// said are type and value of attributes.
func said(list []Attribute) []string {
	var out []string
	for _, a := range list {
		out = append(out, a.Type+"="+a.Value)
	}
	return out
}

func TestIndicatorsBecomeAttributes(t *testing.T) {
	for pattern, want := range map[string][]string{
		"[ipv4-addr:value = '192.0.2.1']":                                                                                                 {"ip-dst=192.0.2.1"},
		"[ipv4-addr:value='192.0.2.1' OR ipv4-addr:value='192.0.2.2']":                                                                    {"ip-dst=192.0.2.1", "ip-dst=192.0.2.2"},
		"[domain-name:value = 'a.example'] OR [url:value = 'https://a.example/']":                                                         {"domain=a.example", "url=https://a.example/"},
		"[file:hashes.MD5 = 'aa' AND file:hashes.'SHA-256' = 'bb' AND file:name = 'x.exe']":                                               {"filename|md5=x.exe|aa", "filename|sha256=x.exe|bb"},
		"[file:hashes.'MD5' = 'aa' OR file:hashes.'SHA-1' = 'bb']":                                                                        {"md5=aa", "sha1=bb"},
		"[domain-name:value = 'a.example' AND domain-name:resolves_to_refs[*].value = '192.0.2.1']":                                       {"domain|ip=a.example|192.0.2.1"},
		`[url:value = 'https://a.example/it\'s\\x']`:                                                                                      {`url=https://a.example/it's\x`},
		"[autonomous-system:number = 64500]":                                                                                              {"AS=AS64500"},
		"[network-traffic:dst_ref.type = 'ipv4-addr' AND network-traffic:dst_ref.value = '192.0.2.1' AND network-traffic:dst_port = 443]": {"ip-dst|port=192.0.2.1|443"},
		"[ipv4-addr:value ISSUBSET '192.0.2.0/24']":                                                                                       {"stix2-pattern=[ipv4-addr:value ISSUBSET '192.0.2.0/24']"},
		"[process:name = 'x' AND domain-name:value = 'a']":                                                                                {"stix2-pattern=[process:name = 'x' AND domain-name:value = 'a']"},
		"[domain-name:value = 'a'] FOLLOWEDBY [domain-name:value = 'b']":                                                                  {"stix2-pattern=[domain-name:value = 'a'] FOLLOWEDBY [domain-name:value = 'b']"},
		"[domain-name:value = 'a'":                                                                                                        {"stix2-pattern=[domain-name:value = 'a'"},
	} {
		t.Run(pattern, func(t *testing.T) {
			list := attributesOf("e", indicatorOf(t, pattern, ""), arrival{}, nil)
			if diff := cmp.Diff(want, said(list)); diff != "" {
				t.Error(diff)
			}
			for _, a := range list {
				if !a.ToIDs || a.Timestamp != "1767323045" || a.Distribution != "0" || a.Tags != nil {
					t.Errorf("attribute %+v", a)
				}
			}
		})
	}
}

func TestOtherObjectsBecomeAttributes(t *testing.T) {
	for raw, want := range map[string][]string{
		`{"type":"ipv6-addr","id":"ipv6-addr--5c0d1e2f-0000-4000-8000-000000000001","value":"2001:db8::1"}`:                            {"ip-dst=2001:db8::1"},
		`{"type":"file","id":"file--5c0d1e2f-0000-4000-8000-000000000001","name":"a","hashes":{"SHA-1":"ff"}}`:                         {"filename|sha1=a|ff"},
		`{"type":"autonomous-system","id":"autonomous-system--5c0d1e2f-0000-4000-8000-000000000001","number":64500}`:                   {"AS=AS64500"},
		`{"type":"malware","id":"malware--5c0d1e2f-0000-4000-8000-000000000001","spec_version":"2.1","name":"Sample"}`:                 {"text=Sample"},
		`{"type":"vulnerability","id":"vulnerability--5c0d1e2f-0000-4000-8000-000000000001","spec_version":"2.1","name":"CVE-2026-1"}`: {"vulnerability=CVE-2026-1"},
		`{"type":"identity","id":"identity--5c0d1e2f-0000-4000-8000-000000000001","spec_version":"2.1","name":"CERT Alfa"}`:            nil,
		`{"type":"relationship","id":"relationship--5c0d1e2f-0000-4000-8000-000000000001","spec_version":"2.1"}`:                       nil,
		`{"type":"url","id":"url--5c0d1e2f-0000-4000-8000-000000000001","value":17}`:                                                   nil,
	} {
		o, err := stix.Parse([]byte(raw))
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(want, said(attributesOf("e", o, arrival{at: time.Unix(1, 0)}, nil))); diff != "" {
			t.Error(raw, diff)
		}
	}
}

func TestMarkingsBecomeTags(t *testing.T) {
	statement := "marking-definition--5c0d1e2f-0000-4000-8000-000000000001"
	known := statements{statement: 1}
	for name, c := range map[string]struct {
		refs []string
		want []NamedTag
		dist string
	}{
		"none":                  {nil, nil, "0"},
		"a plain statement":     {[]string{statement}, nil, "0"},
		"clear":                 {[]string{markingIDs[rule.Clear]}, []NamedTag{{"tlp:clear"}}, "5"},
		"white":                 {[]string{whiteID}, []NamedTag{{"tlp:white"}}, "5"},
		"amber strict":          {[]string{markingIDs[rule.AmberStrict]}, []NamedTag{{"tlp:amber+strict"}}, "0"},
		"two, the strictest":    {[]string{markingIDs[rule.Green], markingIDs[rule.Red]}, []NamedTag{{"tlp:red"}}, "0"},
		"an unknown one is red": {[]string{markingIDs[rule.Clear], "marking-definition--5c0d1e2f-0000-4000-8000-000000000002"}, []NamedTag{{"tlp:red"}}, "0"},
	} {
		tags, dist := tagsOf(c.refs, known)
		if diff := cmp.Diff(c.want, tags); diff != "" || dist != c.dist {
			t.Error(name, diff, dist)
		}
	}
}

func TestRevokedIsDeleted(t *testing.T) {
	list := attributesOf("e", indicatorOf(t, "[domain-name:value = 'a']", `,"revoked":true`), arrival{}, nil)
	if len(list) != 1 || !list[0].Deleted {
		t.Errorf("attributes %+v", list)
	}
}

// TestARoundTripNeverWeakensAMarking takes random events to STIX and back, and there again.
func TestARoundTripNeverWeakensAMarking(t *testing.T) {
	random := rand.New(rand.NewPCG(1, 2))
	words := []string{"tlp:white", "tlp:clear", "tlp:green", "tlp:amber", "tlp:amber+strict", "tlp:red", "tlp:ex:chr", "TLP:Amber ", "admiralty-scale:source-reliability=\"a\""}
	types := []string{"ip-dst", "domain", "url", "sha256", "filename|md5", "btc", "yara", "ip-src|port", "hostname"}
	values := map[string]string{"ip-dst": "192.0.2.1", "filename|md5": "a|ff", "ip-src|port": "192.0.2.1|80"}
	tags := func() string {
		var list []string
		for range random.IntN(3) {
			list = append(list, fmt.Sprintf(`{"name":%q}`, words[random.IntN(len(words))]))
		}
		return `,"Tag":[` + strings.Join(list, ",") + `]`
	}
	distribution := func() string {
		if random.IntN(2) == 0 {
			return ""
		}
		return fmt.Sprintf(`,"distribution":"%d"`, random.IntN(6))
	}
	for range 2000 {
		typ := types[random.IntN(len(types))]
		value := values[typ]
		if value == "" {
			value = "a.example"
		}
		event := eventWith(attributes(attributeOf(typ, value, fmt.Sprintf(`,"to_ids":%v`, random.IntN(2) == 0)+tags()+distribution())) + tags() + distribution())
		first, tally := converted(t, event)
		if tally.LostTotal() != 0 {
			t.Fatalf("%s: lost %+v", event, tally)
		}
		for _, o := range first {
			if o.Type == "identity" || o.Type == "report" || o.Type == "observed-data" || o.Type == "network-traffic" {
				continue
			}
			list := attributesOf("e", o, arrival{at: time.Unix(1767400001, 0)}, nil)
			if len(list) == 0 {
				t.Fatalf("nothing came of %s", o.Raw)
			}
			for _, a := range list {
				text, _ := json.Marshal(a)
				if !strings.Contains(value, a.Value) && a.Value != value {
					t.Fatalf("%q became %q", value, a.Value)
				}
				again := strings.Replace(string(text), a.UUID, "5c0d1e2f-0000-4000-8000-0000000000a2", 1)
				second, _ := converted(t, eventWith(attributes(again)))
				for _, p := range second {
					if p.Type == "identity" || p.Type == "report" {
						continue
					}
					before, after := orStrict(levelOf(t, o)), orStrict(levelOf(t, p))
					if before != after {
						t.Fatalf("%v became %v: %s", before, after, event)
					}
				}
			}
		}
	}
}

// orStrict is what an object without a marking counts as.
func orStrict(l rule.Level) rule.Level {
	if l == 0 {
		return rule.AmberStrict
	}
	return l
}

func TestARoundTripKeepsTypeAndValue(t *testing.T) {
	for typ, value := range map[string]string{
		"ip-src": "192.0.2.1", "ip-dst": "2001:db8::1", "ip-dst|port": "192.0.2.1|80", "hostname": "www.a.example", "domain": "a.example", "hostname|port": "a.example|443",
		"domain|ip": "a.example|192.0.2.1", "url": "https://a.example/?x='y'", "filename|sha512": "a b.exe|ff", "tlsh": "T1", "email-src": "x@a.example", "email-dst": "x@a.example",
		"email-subject": "Hi", "AS": "AS64500", "regkey": `HKLM\x`, "regkey|value": `HKLM\x|1`, "mutex": "m", "mac-address": "00:00:5e:00:53:01", "x509-fingerprint-md5": "aa",
		"yara": "rule x {}", "snort": "alert tcp", "user-agent": "Mozilla", "vulnerability": "CVE-2026-1", "email": "x@a.example", "target-email": "x@a.example",
	} {
		list, _ := converted(t, eventWith(attributes(attributeOf(typ, value, `,"to_ids":true`))))
		for _, o := range list {
			if o.Type != "indicator" && o.Type != "vulnerability" {
				continue
			}
			if diff := cmp.Diff([]string{typ + "=" + value}, said(attributesOf("e", o, arrival{}, nil))); diff != "" {
				t.Error(diff)
			}
		}
	}
}

func FuzzPattern(f *testing.F) {
	f.Add("[domain-name:value = 'a' OR file:hashes.'SHA-256' = 'b'] OR [autonomous-system:number = 1]")
	f.Add(`[url:value = 'it\'s']`)
	f.Fuzz(func(t *testing.T, text string) {
		alternatives, ok := parsePattern(text)
		if !ok {
			return
		}
		for _, group := range alternatives {
			again, ok := parsePattern(pattern(group))
			if !ok || len(again) != 1 || len(again[0]) != len(group) {
				t.Fatalf("%q is read as %q, which is not read as itself", text, pattern(group))
			}
			for i := range group {
				if again[0][i] != group[i] {
					t.Fatalf("%+v became %+v", group[i], again[0][i])
				}
			}
		}
	})
}
