// SPDX-FileCopyrightText: The certlink authors
// SPDX-License-Identifier: Apache-2.0

package offer

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"testing"
	"unicode/utf8"

	"go.uber.org/goleak"

	"github.com/certlink/certlink/internal/cabundle"
	"github.com/certlink/certlink/relay/report"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// fields is a good offer as a map, to be spoiled.
func fields(t testing.TB) map[string]any {
	t.Helper()
	text, err := json.Marshal(Document{From: "bravo.example", To: "alfa.example", Serial: 1, Revision: "r", Versions: []int32{1}, State: "Active", Outbound: report.Up})
	if err != nil {
		t.Fatal(err)
	}
	var m map[string]any
	if err := json.Unmarshal(text, &m); err != nil {
		t.Fatal(err)
	}
	return m
}

func payload(t testing.TB, m map[string]any) []byte {
	t.Helper()
	text, err := json.Marshal(m)
	if err != nil {
		t.Fatal(err)
	}
	return text
}

func TestAFieldOfANewerReleaseIsKeptAndNeverFatal(t *testing.T) {
	m := fields(t)
	m["zeal"], m["alarm"], m["view"] = map[string]any{"deep": []int{1}}, nil, "x"
	for i := range 40 {
		m[fmt.Sprintf("x%02d%s\x07", i, strings.Repeat("y", 100))] = i
	}
	d, unknown, err := parse(payload(t, m))
	if err != nil || d.From != "bravo.example" {
		t.Fatal(d, err)
	}
	if len(unknown) != maxUnknown || unknown[0] != "alarm" || unknown[1] != "view" || !slices.IsSorted(unknown) {
		t.Errorf("unknown: %q", unknown)
	}
	for _, name := range unknown {
		if utf8.RuneCountInString(name) > maxField || strings.Contains(name, "\x07") {
			t.Errorf("name %q", name)
		}
	}
}

func TestAStateOfANewerReleaseIsUnknown(t *testing.T) {
	m := fields(t)
	m["outbound"], m["inbound"], m["pathsUp"] = "Quantum", "Recovering", -7
	d, _, err := parse(payload(t, m))
	if err != nil || d.Outbound != report.Unknown || d.Inbound != report.Recovering || d.PathsUp != 0 {
		t.Errorf("%+v, %v", d, err)
	}
}

func TestEverythingInAnOfferIsBounded(t *testing.T) {
	long := make([]string, maxNames+1)
	numbers := make([]int, maxVersions+1)
	for i := range numbers {
		numbers[i] = 1
	}
	for name, c := range map[string]struct {
		field string
		value any
		says  string
	}{
		"no_version":               {"versions", []int{}, "versions"},
		"too_many_versions":        {"versions", numbers, "versions"},
		"a_version_that_is_none":   {"versions", []int{0}, "versions"},
		"a_large_version":          {"versions", []int{1 << 30}, "versions"},
		"a_version_beyond_int32":   {"versions", []int64{1 << 40}, "reading its fields"},
		"no_serial":                {"serial", 0, "serial"},
		"a_serial_beyond_2_53":     {"serial", int64(1) << 53, "serial"},
		"a_seen_serial_below_zero": {"seenSerial", -1, "serial"},
		"too_many_exports":         {"exports", long, "exports"},
		"too_many_service_imports": {"serviceImports", long, "serviceImports"},
		"a_long_name":              {"imports", []string{strings.Repeat("x", maxName+1)}, "imports"},
		"a_name_that_is_a_trick":   {"serviceExports", []string{"a\x1b[2J"}, "serviceExports"},
		"too_many_roots":           {"acceptedRoots", make([]string, maxRoots+1), "acceptedRoots"},
		"a_long_hash":              {"seenRoot", strings.Repeat("0", 65), "seenRoot"},
		"a_long_state":             {"state", strings.Repeat("x", 33), "state"},
		"a_long_revision":          {"revision", strings.Repeat("x", 65), "revision"},
		"a_long_bundle":            {"bundle", strings.Repeat("x", cabundle.MaxBytes+1), "bundle"},
		"a_list_that_is_a_number":  {"exports", 7, "reading its fields"},
		"far_too_much":             {"zeal", strings.Repeat("x", maxPayload), "more than"},
	} {
		t.Run(name, func(t *testing.T) {
			m := fields(t)
			m[c.field] = c.value
			if _, _, err := parse(payload(t, m)); err == nil || !strings.Contains(err.Error(), c.says) {
				t.Errorf("err = %v, want one that says %q", err, c.says)
			}
		})
	}
	for _, text := range []string{"", "null", "[]", "{", `"x"`, "{}"} {
		if _, _, err := parse([]byte(text)); err == nil {
			t.Errorf("%q is taken", text)
		}
	}
}

func TestAnOfferThatIsTooLongIsCutAndSaysSo(t *testing.T) {
	d := Document{From: "a", To: "b", Serial: 1, Versions: []int32{1}, Bundle: strings.Repeat("B", cabundle.MaxBytes)}
	for i := range maxNames {
		d.Exports = append(d.Exports, fmt.Sprintf("%0253d", i))
		d.ServiceImports = append(d.ServiceImports, fmt.Sprintf("%0253d", i))
	}
	text, err := encode(d)
	if err != nil || len(text) > maxPayload {
		t.Fatalf("%d bytes, %v", len(text), err)
	}
	got, _, err := parse(text)
	if err != nil || !got.More || len(got.Exports) == 0 || got.Exports[0] != d.Exports[0] {
		t.Errorf("more %v, %d exports, %v", got.More, len(got.Exports), err)
	}
	small, err := encode(Document{Exports: []string{"x"}})
	if err != nil || strings.Contains(string(small), "more") {
		t.Errorf("%s, %v", small, err)
	}
}

func TestOurOwnOfferHasNoUnknownFields(t *testing.T) {
	if _, unknown, err := parse(payload(t, fields(t))); err != nil || unknown != nil {
		t.Errorf("unknown %q, %v", unknown, err)
	}
}

func FuzzParse(f *testing.F) {
	f.Add(payload(f, fields(f)))
	f.Add([]byte(`{"serial":1,"versions":[1,2],"exports":["a"],"zeal":{}}`))
	f.Add([]byte("null"))
	f.Fuzz(func(t *testing.T, text []byte) {
		d, unknown, err := parse(text)
		if err != nil {
			return
		}
		if len(d.Versions) == 0 || len(d.Versions) > maxVersions || d.Serial < 1 || len(unknown) > maxUnknown || len(d.Exports) > maxNames {
			t.Errorf("taken out of bounds: %+v %q", d, unknown)
		}
		if again, err := encode(d); err == nil {
			if _, more, err := parse(again); err != nil || more != nil {
				t.Errorf("what was taken is not taken again: %v, %q", err, more)
			}
		}
	})
}

func TestBothSidesAgreeOnTheHighestVersionThatTheyShare(t *testing.T) {
	for _, c := range []struct {
		name         string
		ours, theirs []int32
		version      int32
		behind       string // who must be upgraded
	}{
		{"the_same", []int32{1}, []int32{1}, 1, ""},
		{"a_newer_peer_that_understands_us", []int32{1}, []int32{1, 2, 3}, 1, ""},
		{"an_older_peer_that_we_understand", []int32{1, 2, 3}, []int32{1}, 1, ""},
		{"several_in_common", []int32{1, 2, 3}, []int32{4, 3, 2}, 3, ""},
		{"a_newer_peer_that_dropped_ours", []int32{1}, []int32{2, 3}, 0, "our relay"},
		{"an_older_peer_that_we_dropped", []int32{3, 4}, []int32{1, 2}, 0, "the peer's relay"},
		{"gaps_that_do_not_meet", []int32{1, 3}, []int32{2}, 0, "the peer's relay"},
	} {
		t.Run(c.name, func(t *testing.T) {
			a, b := Agree(c.ours, c.theirs), Agree(c.theirs, c.ours)
			if a.Version != c.version || b.Version != c.version || a.OK != (c.version > 0) || b.OK != a.OK || !a.Said {
				t.Fatalf("we say %+v, they %+v", a, b)
			}
			if err := a.Err(); (err == nil) != (c.behind == "") || err != nil && !strings.Contains(err.Error(), "until "+c.behind+" is upgraded") {
				t.Errorf("err = %v, want %q", err, c.behind)
			}
		})
	}
}
