// SPDX-FileCopyrightText: The certlink authors
// SPDX-License-Identifier: Apache-2.0

package config

import (
	"strings"
	"testing"
)

func TestRemotesThatCannotBeMeantAreRefused(t *testing.T) {
	for name, tt := range map[string]struct {
		remote Remote
		want   string
	}{
		"https":                         {Remote{URL: "https://misp.alfa.example/feed/"}, ""},
		"http_with_a_port_and_Basic":    {Remote{URL: "http://192.0.2.1:8080/x?y=z", UsernameFile: "/u", PasswordFile: "/p"}, ""},
		"a_client_certificate":          {Remote{URL: "https://[2001:db8::1]/", CAFile: "/ca", CertFile: "/c", KeyFile: "/k", TokenFile: "/t"}, ""},
		"no_scheme":                     {Remote{URL: "misp.alfa.example"}, "url: must begin"},
		"another_scheme":                {Remote{URL: "file:///etc/passwd"}, "url: must begin"},
		"no_host":                       {Remote{URL: "https:///x"}, "url: must begin"},
		"credentials_in_the_URL":        {Remote{URL: "https://alfa:geheim@misp.alfa.example"}, "belong into files"},
		"a_space":                       {Remote{URL: "https://misp.alfa.example/a b"}, "spaces"},
		"an_endless_URL":                {Remote{URL: "https://alfa.example/" + strings.Repeat("x", maxURLBytes)}, "more than 2048"},
		"a_certificate_without_its_key": {Remote{URL: "https://alfa.example", CertFile: "/c"}, "go together"},
		"a_password_without_a_name":     {Remote{URL: "https://alfa.example", PasswordFile: "/p"}, "go together"},
		"two_ways_to_say_who_we_are":    {Remote{URL: "https://alfa.example", TokenFile: "/t", HeaderFile: "/h"}, "only one"},
		"a_directory":                   {Remote{URL: "https://alfa.example", Directory: "/etc/x"}, ""},
		"a_directory_and_a_file":        {Remote{URL: "https://alfa.example", Directory: "/etc/x", TokenFile: "/t"}, "beside directory"},
		"no_path":                       {Remote{URL: "https://alfa.example", TokenFile: "/t\x00"}, "tokenFile: is no path"},
	} {
		t.Run(name, func(t *testing.T) {
			f := newFaults()
			tt.remote.validate(f)
			got := ""
			if err := f.err(); err != nil {
				got = err.Error()
			}
			if !strings.Contains(got, tt.want) || tt.want == "" && got != "" {
				t.Errorf("got %q, want %q", got, tt.want)
			}
			if strings.Contains(got, "geheim") {
				t.Errorf("%q repeats a password", got)
			}
		})
	}
}

func TestAPulledSourceHasExactlyOnePart(t *testing.T) {
	server := Remote{URL: "https://alfa.example"}
	for name, tt := range map[string]struct {
		source PulledSource
		want   string
	}{
		"TAXII":                     {PulledSource{TAXII: &TAXIISource{Remote: server, Collection: "High Value Indicators"}}, ""},
		"a_bundle":                  {PulledSource{STIX: &server}, ""},
		"MISP":                      {PulledSource{MISP: &server}, ""},
		"files":                     {PulledSource{Files: []string{"/a/", "/b.json"}}, ""},
		"nothing":                   {PulledSource{}, "exactly one"},
		"two":                       {PulledSource{STIX: &server, Files: []string{"/a"}}, "exactly one"},
		"the_same_file_twice":       {PulledSource{Files: []string{"/a", "/a"}}, "taken by"},
		"TAXII_without_collection":  {PulledSource{TAXII: &TAXIISource{Remote: server}}, "taxii.collection"},
		"TAXII_without_server":      {PulledSource{TAXII: &TAXIISource{Collection: "x"}}, "taxii.remote.url"},
		"an_interval_of_two_days":   {PulledSource{STIX: &server, IntervalSeconds: 172_800}, "intervalSeconds"},
		"a_quota_that_is_no_number": {PulledSource{STIX: &server, MaxObjects: -1}, "maxObjects"},
	} {
		t.Run(name, func(t *testing.T) {
			tt.source.setDefaults()
			f := newFaults()
			tt.source.validate(f)
			got := ""
			if err := f.err(); err != nil {
				got = err.Error()
			}
			if !strings.Contains(got, tt.want) || tt.want == "" && got != "" {
				t.Errorf("got %q, want %q", got, tt.want)
			}
		})
	}
}
