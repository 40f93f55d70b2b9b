// SPDX-FileCopyrightText: The certlink authors
// SPDX-License-Identifier: Apache-2.0

package feed

import (
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/prometheus/client_golang/prometheus/testutil"

	"github.com/certlink/certlink/internal/testca"
	"github.com/certlink/certlink/relay/config"
)

func TestFilesAreDeclaredState(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "bundles")
	statement := `{"type":"marking-definition","spec_version":"2.1","id":"marking-definition--11111111-1111-4111-8111-111111111111","created":"2026-01-01T00:00:00.000Z","definition_type":"statement","definition":{"statement":"own"}}`
	observable := `{"type":"ipv4-addr","spec_version":"2.1","id":"ipv4-addr--11111111-1111-4111-8111-111111111111","value":"192.0.2.1"}`
	newer := strings.Replace(indicator(1, clearID), `"modified":"2026-01-01`, `"modified":"2026-02-01`, 1)
	alfa := side(t, filepath.Join(t.TempDir(), "alfa.db"), http.DefaultTransport)
	for _, tt := range []struct {
		name  string
		files map[string]string
		want  []string
		fault string
	}{
		{"at_first", map[string]string{"a.json": string(envelope(indicator(1, clearID), indicator(2))), "b.json": string(envelope(statement, observable))}, []string{indicator(1, clearID), indicator(2), statement, observable}, ""},
		{"an_object_vanishes", map[string]string{"a.json": string(envelope(indicator(1, clearID))), "b.json": string(envelope(statement, observable))}, []string{indicator(1, clearID), statement, observable}, ""},
		{"a_newer_version", map[string]string{"a.json": string(envelope(newer)), "b.json": string(envelope(statement, observable))}, []string{statement, observable, newer}, ""},
		{"and_back", map[string]string{"a.json": string(envelope(indicator(1, clearID))), "b.json": string(envelope(statement, observable))}, []string{statement, observable, indicator(1, clearID)}, ""},
		{"half_a_file_deletes_nothing", map[string]string{"a.json": `{"objects":[`, "b.json": string(envelope(observable))}, []string{statement, observable, indicator(1, clearID)}, "cut"},
		{"a_bad_object_deletes_nothing", map[string]string{"a.json": string(envelope(`{"id":"bad"}`)), "b.json": string(envelope(observable))}, []string{statement, observable, indicator(1, clearID)}, "not valid"},
		{"a_file_vanishes", map[string]string{"a.json": "", "b.json": string(envelope(observable))}, []string{statement, observable, indicator(1, clearID)}, "cut"},
		{"definition_and_observable_vanish", map[string]string{"a.json": string(envelope(indicator(1, clearID))), "b.json": `{"type":"bundle","objects":[]}`}, []string{indicator(1, clearID)}, ""},
		{"an_empty_bundle_takes_all_back", map[string]string{"a.json": "{}", "b.json": "{}"}, nil, ""},
	} {
		files := map[string][]byte{}
		for name, text := range tt.files {
			files[name] = []byte(text)
		}
		if err := testca.WriteVolume(dir, files); err != nil {
			t.Fatal(err)
		}
		alfa.Apply(fetching(config.PulledSource{Files: []string{dir + "/"}}))
		eventually(t, tt.name, func() bool {
			s := sourceOf(t, alfa)
			return cmp.Equal(tt.want, collected(t, alfa, "threats.attack")) && int(s.Stored) == len(tt.want) &&
				(tt.fault == "" && s.Error == "" || tt.fault != "" && strings.Contains(s.Error, tt.fault))
		})
	}
}

func TestAConfigMapThatIsGoneTakesNothingBack(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "bundles")
	if err := os.MkdirAll(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(dir, "a.json")
	write := func() {
		if err := os.WriteFile(file, envelope(indicator(1, clearID)), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	for name, tt := range map[string]struct {
		path string
		gone func() error
	}{
		"a_directory_without_files": {dir + "/", func() error { return os.Remove(file) }},
		"a_file":                    {file, func() error { return os.Remove(file) }},
	} {
		t.Run(name, func(t *testing.T) {
			write()
			alfa := side(t, filepath.Join(t.TempDir(), "alfa.db"), http.DefaultTransport)
			alfa.Apply(fetching(config.PulledSource{Files: []string{tt.path}}))
			fetched(t, alfa, 1)
			if err := tt.gone(); err != nil {
				t.Fatal(err)
			}
			eventually(t, "it is told", func() bool { return sourceOf(t, alfa).Error != "" })
			if got := collected(t, alfa, "threats.attack"); len(got) != 1 {
				t.Errorf("%d objects are left: %s", len(got), sourceOf(t, alfa).Error)
			}
		})
	}
}

func TestFilesMakeRoomForFiles(t *testing.T) {
	file := filepath.Join(t.TempDir(), "a.json")
	alfa := side(t, filepath.Join(t.TempDir(), "alfa.db"), http.DefaultTransport)
	for _, tt := range []struct {
		first, last int
		full        bool
	}{{0, 3, false}, {2, 5, false}, {2, 6, true}, {3, 6, false}} {
		var objects []string
		for i := tt.first; i < tt.last; i++ {
			objects = append(objects, indicator(i, clearID))
		}
		if err := os.WriteFile(file, envelope(objects...), 0o600); err != nil {
			t.Fatal(err)
		}
		alfa.Apply(fetching(config.PulledSource{Files: []string{file}, MaxObjects: 3}))
		eventually(t, fmt.Sprintf("%d to %d are there", tt.first, tt.last), func() bool {
			s, got := sourceOf(t, alfa), collected(t, alfa, "threats.attack")
			slices.Sort(got)
			return s.QuotaReached == tt.full && s.Stored == 3 && s.Error == "" && cmp.Equal(objects[:3], got)
		})
	}
}

// TestFilesThatJustFitStayWithinTheQuota: read again, nothing of them needs room.
func TestFilesThatJustFitStayWithinTheQuota(t *testing.T) {
	file := filepath.Join(t.TempDir(), "a.json")
	if err := os.WriteFile(file, envelope(indicator(1, clearID), indicator(2, clearID)), 0o600); err != nil {
		t.Fatal(err)
	}
	alfa := side(t, filepath.Join(t.TempDir(), "alfa.db"), http.DefaultTransport)
	alfa.Apply(fetching(config.PulledSource{Files: []string{file}, MaxObjects: 2}))
	fetched(t, alfa, 2)
	pulls := alfa.fetchers[0].counts.pulls.WithLabelValues("success")
	eventually(t, "the files were read three times", func() bool {
		alfa.fetchers[0].wake()
		return testutil.ToFloat64(pulls) >= 3
	})
	if sourceOf(t, alfa).QuotaReached {
		t.Error("what is stored already is said to reach the quota")
	}
}
