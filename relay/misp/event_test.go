// SPDX-FileCopyrightText: The certlink authors
// SPDX-License-Identifier: Apache-2.0

package misp

import (
	"bytes"
	"encoding/json"
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/certlink/certlink/relay/rule"
	"github.com/certlink/certlink/relay/stix"
)

const (
	eventUUID = "5c0d1e2f-0000-4000-8000-000000000001"
	attrUUID  = "5c0d1e2f-0000-4000-8000-0000000000a1"
)

// eventWith is an event with the members given beside those that every one has.
func eventWith(members string) string {
	return `{"Event":{"uuid":"` + eventUUID + `","info":"Phishing of utilities","date":"2026-01-02","timestamp":"1767400000",` +
		`"Orgc":{"uuid":"5c0d1e2f-0000-4000-8000-00000000000f","name":"CERT Alfa"}` + members + `}}`
}

func attributeOf(typ, value, more string) string {
	v, _ := json.Marshal(value)
	return `{"uuid":"` + attrUUID + `","type":"` + typ + `","category":"Network activity","value":` + string(v) + `,"timestamp":"1767400001"` + more + `}`
}

func attributes(list ...string) string { return `,"Attribute":[` + strings.Join(list, ",") + `]` }

func converted(t *testing.T, event string) ([]stix.Object, Tally) {
	t.Helper()
	e, err := OpenEvent(strings.NewReader(event))
	if err != nil {
		t.Fatalf("OpenEvent: %v", err)
	}
	var list []stix.Object
	for o, err := range e.Objects() {
		if err != nil {
			t.Fatalf("Objects: %v", err)
		}
		list = append(list, o)
	}
	return list, e.Tally()
}

// members of the one object of a type.
func only(t *testing.T, list []stix.Object, typ string) map[string]any {
	t.Helper()
	var found map[string]any
	for _, o := range list {
		if o.Type != typ {
			continue
		}
		if found != nil {
			t.Fatalf("more than one %s", typ)
		}
		if err := json.Unmarshal(o.Raw, &found); err != nil {
			t.Fatal(err)
		}
	}
	if found == nil {
		t.Fatalf("no %s in %d objects", typ, len(list))
	}
	return found
}

func TestAttributesToBeDetectedBecomeIndicators(t *testing.T) {
	for _, c := range []struct{ typ, value, pattern string }{
		{"ip-dst", "192.0.2.1", "[network-traffic:dst_ref.type = 'ipv4-addr' AND network-traffic:dst_ref.value = '192.0.2.1']"},
		{"ip-src", "2001:db8::1", "[network-traffic:src_ref.type = 'ipv6-addr' AND network-traffic:src_ref.value = '2001:db8::1']"},
		{"ip-dst", "192.0.2.0/24", "[network-traffic:dst_ref.type = 'ipv4-addr' AND network-traffic:dst_ref.value = '192.0.2.0/24']"},
		{"ip-dst|port", "192.0.2.1|8443", "[network-traffic:dst_ref.type = 'ipv4-addr' AND network-traffic:dst_ref.value = '192.0.2.1' AND network-traffic:dst_port = 8443]"},
		{"hostname|port", "a.example|80", "[network-traffic:dst_ref.type = 'domain-name' AND network-traffic:dst_ref.value = 'a.example' AND network-traffic:dst_port = 80]"},
		{"domain", "bravo.example", "[domain-name:value = 'bravo.example']"},
		{"hostname", "www.bravo.example", "[domain-name:value = 'www.bravo.example']"},
		{"domain|ip", "bravo.example|192.0.2.1", "[domain-name:value = 'bravo.example' AND domain-name:resolves_to_refs[*].value = '192.0.2.1']"},
		{"url", `https://a.example/it's\x`, `[url:value = 'https://a.example/it\'s\\x']`},
		{"md5", "d41d8cd98f00b204e9800998ecf8427e", "[file:hashes.MD5 = 'd41d8cd98f00b204e9800998ecf8427e']"},
		{"filename|sha256", "a.exe|ff", "[file:name = 'a.exe' AND file:hashes.'SHA-256' = 'ff']"},
		{"filename", "a.exe", "[file:name = 'a.exe']"},
		{"email-src", "x@a.example", "[email-message:from_ref.value = 'x@a.example']"},
		{"email-subject", "Invoice", "[email-message:subject = 'Invoice']"},
		{"AS", "AS64500", "[autonomous-system:number = 64500]"},
		{"mac-address", "00:00:5e:00:53:01", "[mac-addr:value = '00:00:5e:00:53:01']"},
		{"regkey", `HKLM\Run`, `[windows-registry-key:key = 'HKLM\\Run']`},
		{"regkey|value", `HKLM\Run|x`, `[windows-registry-key:key = 'HKLM\\Run' AND windows-registry-key:values[*].data = 'x']`},
		{"mutex", "m", "[mutex:name = 'm']"},
		{"x509-fingerprint-sha1", "ab", "[x509-certificate:hashes.'SHA-1' = 'ab']"},
		{"yara", "rule a { condition: true }", "rule a { condition: true }"},
	} {
		t.Run(c.typ, func(t *testing.T) {
			list, tally := converted(t, eventWith(attributes(attributeOf(c.typ, c.value, `,"to_ids":true`))))
			if diff := cmp.Diff(c.pattern, only(t, list, "indicator")["pattern"]); diff != "" {
				t.Error(diff)
			}
			if tally.LostTotal() != 0 || tally.Notes != 0 || tally.Attributes != 1 {
				t.Errorf("tally %+v", tally)
			}
		})
	}
}

func TestWhatIsOnlySeenBecomesObservedData(t *testing.T) {
	for typ, c := range map[string]struct{ value, object string }{
		"ip-src": {"192.0.2.1", "ipv4-addr"}, "domain": {"a.example", "domain-name"}, "AS": {"64500", "autonomous-system"},
		"ip-dst|port": {"192.0.2.1|80", "network-traffic"}, "filename|md5": {"a|ff", "file"}, "email-subject": {"x", "email-message"},
		"regkey|value": {"k|v", "windows-registry-key"}, "x509-fingerprint-md5": {"aa", "x509-certificate"},
	} {
		t.Run(typ, func(t *testing.T) {
			list, tally := converted(t, eventWith(attributes(attributeOf(typ, c.value, ""))))
			refs, _ := only(t, list, "observed-data")["object_refs"].([]any)
			seen := only(t, list, c.object)["id"]
			if len(refs) == 0 || refs[len(refs)-1] != seen || tally.Notes != 0 {
				t.Errorf("refs %v, want %v last; tally %+v", refs, seen, tally)
			}
		})
	}
}

func TestWhatHasNoTypeInSTIXBecomesANote(t *testing.T) {
	list, tally := converted(t, eventWith(attributes(attributeOf("btc", "1Boat", `,"to_ids":"1","comment":"wallet"`))))
	note := only(t, list, "note")
	if note["content"] != "1Boat\n\nwallet" || note["abstract"] != "Network activity/btc" || tally.Notes != 1 {
		t.Errorf("note %v, tally %+v", note, tally)
	}
}

func TestVulnerabilitiesAndOtherLeftovers(t *testing.T) {
	list, tally := converted(t, eventWith(attributes(attributeOf("vulnerability", "CVE-2026-0001", ""), `{"type":"ip-dst"}`, `17`)))
	if only(t, list, "vulnerability")["name"] != "CVE-2026-0001" {
		t.Error("no vulnerability")
	}
	if diff := cmp.Diff(map[Lost]int64{LostMalformed: 2}, tally.Lost); diff != "" {
		t.Error(diff)
	}
}

func TestTheSameEventGivesTheSameBytes(t *testing.T) {
	event := eventWith(attributes(attributeOf("ip-dst", "192.0.2.1", `,"to_ids":true`), attributeOf("domain", "a.example", "")) + `,"Tag":[{"name":"tlp:green"}]`)
	one, _ := converted(t, event)
	two, _ := converted(t, event)
	if diff := cmp.Diff(one, two); diff != "" {
		t.Error(diff)
	}
}

func TestTheStrictestMarkingOfEventObjectAndAttributeCounts(t *testing.T) {
	tags := func(names ...string) string {
		list := make([]string, len(names))
		for i, n := range names {
			list[i] = fmt.Sprintf(`{"name":%q}`, n)
		}
		return `,"Tag":[` + strings.Join(list, ",") + `]`
	}
	for name, c := range map[string]struct {
		event, attribute string
		want             rule.Level
	}{
		"unmarked is unmarked":              {"", "", 0},
		"distribution to all is no marking": {`,"distribution":"3"`, `,"distribution":"5"`, 0},
		"white":                             {tags("tlp:white"), "", rule.Clear},
		"clear":                             {tags("tlp:clear"), "", rule.Clear},
		"green":                             {tags("TLP:GREEN"), "", rule.Green},
		"amber":                             {tags("tlp:amber"), "", rule.Amber},
		"amber strict":                      {tags("tlp:amber+strict"), "", rule.AmberStrict},
		"red":                               {tags("tlp:red"), "", rule.Red},
		"an attribute narrows":              {tags("tlp:green"), tags("tlp:red"), rule.Red},
		"an attribute does not widen":       {tags("tlp:amber"), tags("tlp:clear"), rule.Amber},
		"two tags":                          {tags("tlp:clear", "tlp:amber"), "", rule.Amber},
		"an unknown level":                  {tags("tlp:clear", "tlp:blue"), "", rule.Red},
		"a look-alike":                      {tags("TLP 2.0 AMBER"), "", rule.Red},
		"our organisation only":             {tags("tlp:clear") + `,"distribution":"0"`, "", rule.AmberStrict},
		"this community":                    {`,"distribution":1`, "", rule.AmberStrict},
		"connected communities":             {tags("tlp:green") + `,"distribution":"2"`, "", rule.Amber},
		"a sharing group":                   {tags("tlp:clear") + `,"distribution":"4","sharing_group_id":"7"`, "", rule.Red},
		"a sharing group of the attribute":  {tags("tlp:clear"), `,"distribution":"4","sharing_group_id":"7"`, rule.Red},
		"a distribution that nobody knows":  {tags("tlp:clear") + `,"distribution":"9"`, "", rule.Red},
		"inherited by the attribute":        {tags("tlp:amber"), `,"distribution":"5"`, rule.Amber},
		"a sharing group without the distribution":  {`,"sharing_group_id":3`, "", rule.Red},
		"no sharing group":                          {tags("tlp:green") + `,"sharing_group_id":"0"`, "", rule.Green},
		"tags of the event stand behind attributes": {"", "", 0},
	} {
		t.Run(name, func(t *testing.T) {
			for _, ids := range []string{"true", "false"} {
				// The tags of the event come last in the text: they count all the same.
				event := eventWith(attributes(attributeOf("ip-dst", "192.0.2.1", `,"to_ids":`+ids+c.attribute)) + c.event)
				list, _ := converted(t, event)
				for _, o := range list {
					if o.Type == "identity" || o.Type == "report" {
						continue
					}
					if got := levelOf(t, o); got != c.want {
						t.Errorf("%s is %v, want %v", o.Type, got, c.want)
					}
				}
			}
		})
	}
}

func levelOf(t *testing.T, o stix.Object) rule.Level {
	t.Helper()
	switch len(o.Markings) {
	case 0:
		return 0
	case 1:
		level, ok := rule.LevelOf(o.Markings[0])
		if !ok {
			t.Fatalf("marking %q is not TLP", o.Markings[0])
		}
		return level
	}
	t.Fatalf("%d markings", len(o.Markings))
	return 0
}

func TestDeletedIsRevoked(t *testing.T) {
	list, _ := converted(t, eventWith(attributes(attributeOf("ip-dst", "192.0.2.1", `,"to_ids":true,"deleted":"1"`))))
	if revoked, _ := only(t, list, "indicator")["revoked"].(bool); !revoked {
		t.Error("not revoked")
	}
}

func TestSightings(t *testing.T) {
	sightings := `,"to_ids":true,"Sighting":[{"uuid":"a","type":"0","date_sighting":"1767400100"},{"uuid":"b","type":"1","date_sighting":"1767400200"},` +
		`{"uuid":"c","type":"2","date_sighting":"1767400300"},{"uuid":"d","type":"9","date_sighting":"1767400300"}]`
	list, tally := converted(t, eventWith(attributes(attributeOf("ip-dst", "192.0.2.1", sightings))))
	indicator := only(t, list, "indicator")
	if only(t, list, "sighting")["sighting_of_ref"] != indicator["id"] || only(t, list, "opinion")["opinion"] != "strongly-disagree" {
		t.Error("no sighting or no opinion")
	}
	if indicator["valid_until"] != "2026-01-03T00:31:40.000Z" || indicator["modified"] != indicator["valid_until"] {
		t.Errorf("the indicator does not expire: %v", indicator)
	}
	if tally.Lost[LostSighting] != 1 {
		t.Errorf("tally %+v", tally)
	}
}

func TestObjects(t *testing.T) {
	object := `,"Object":[{"uuid":"5c0d1e2f-0000-4000-8000-0000000000b1","name":"file","timestamp":"1767400005","Attribute":[` +
		`{"uuid":"5c0d1e2f-0000-4000-8000-0000000000b2","type":"filename","object_relation":"filename","value":"a.exe","timestamp":"1767400005"},` +
		`{"uuid":"5c0d1e2f-0000-4000-8000-0000000000b3","type":"sha256","object_relation":"sha256","value":"ff","to_ids":true,"timestamp":"1767400006","Tag":[{"name":"tlp:amber"}]},` +
		`{"uuid":"5c0d1e2f-0000-4000-8000-0000000000b4","type":"text","object_relation":"state","value":"Malicious","timestamp":"1767400005"}]}]`
	list, tally := converted(t, eventWith(object))
	indicator := only(t, list, "indicator")
	if indicator["pattern"] != "[file:name = 'a.exe' AND file:hashes.'SHA-256' = 'ff']" || indicator["modified"] != "2026-01-03T00:26:46.000Z" {
		t.Errorf("indicator %v", indicator)
	}
	if diff := cmp.Diff([]any{markingIDs[rule.Amber]}, indicator["object_marking_refs"]); diff != "" {
		t.Error(diff)
	}
	if only(t, list, "note")["content"] != "Malicious" || tally.Attributes != 3 {
		t.Errorf("tally %+v", tally)
	}
}

func TestGalaxiesAndTags(t *testing.T) {
	cluster := `[{"type":"mitre-malware","GalaxyCluster":[{"uuid":"5c0d1e2f-0000-4000-8000-0000000000c1"}]},{"type":"threat-actor","GalaxyCluster":[{"uuid":"5c0d1e2f-0000-4000-8000-0000000000c2"}]}]`
	list, tally := converted(t, eventWith(attributes(attributeOf("ip-dst", "192.0.2.1", `,"to_ids":true,"Galaxy":`+cluster+`,"Tag":[{"name":"rsit:malicious-code=\"c2-server\""}]`))))
	relation := only(t, list, "relationship")
	if relation["relationship_type"] != "indicates" || relation["target_ref"] != "malware--5c0d1e2f-0000-4000-8000-0000000000c1" {
		t.Errorf("relationship %v", relation)
	}
	if diff := cmp.Diff([]any{`rsit:malicious-code="c2-server"`}, only(t, list, "indicator")["labels"]); diff != "" {
		t.Error(diff)
	}
	if tally.Lost[LostGalaxy] != 1 {
		t.Errorf("tally %+v", tally)
	}
}

func TestAReportOfManyPartsIsSplit(t *testing.T) {
	const n = 12_000
	var list []string
	for i := range n {
		list = append(list, fmt.Sprintf(`{"uuid":"5c0d1e2f-0000-4000-8000-%012x","type":"ip-dst","value":"192.0.2.%d","to_ids":1,"timestamp":"1767400000"}`, i, i%256))
	}
	objects, _ := converted(t, eventWith(attributes(list...)))
	refs := 0
	for _, o := range objects {
		if o.Type == "report" {
			refs += bytes.Count(o.Raw, []byte("indicator--"))
		}
	}
	if refs != n || len(objects) != n+3 {
		t.Errorf("%d references in %d objects", refs, len(objects))
	}
}

func TestAnEventThatIsNotPublishedGivesNothing(t *testing.T) {
	list, _ := converted(t, eventWith(`,"published":false`+attributes(attributeOf("domain", "a.example", ""))))
	if len(list) != 0 {
		t.Errorf("%d objects", len(list))
	}
}

func TestAStricterObjectIsANewVersionOfItsAttributes(t *testing.T) {
	versionOf := func(distribution string, at int) stix.Object {
		list, _ := converted(t, eventWith(fmt.Sprintf(`,"Tag":[{"name":"tlp:clear"}],"Object":[{"uuid":"5c0d1e2f-0000-4000-8000-0000000000b1","name":"other","timestamp":"%d","distribution":%q,"Attribute":[%s]}]`,
			at, distribution, attributeOf("ip-dst", "192.0.2.1", `,"to_ids":true`))))
		return indicatorIn(t, list)
	}
	before, after := versionOf("5", 1767400005), versionOf("0", 1767400020)
	if before.ID != after.ID || !after.Version.After(before.Version) || levelOf(t, after) <= levelOf(t, before) {
		t.Errorf("version %v of level %v follows version %v of level %v", after.Version, levelOf(t, after), before.Version, levelOf(t, before))
	}
}
