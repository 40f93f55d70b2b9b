// SPDX-FileCopyrightText: The certlink authors
// SPDX-License-Identifier: Apache-2.0

package cli

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/certlink/certlink/internal/relayclient"
	"github.com/certlink/certlink/internal/relayclient/relaytest"
)

func TestEachObject(t *testing.T) {
	for name, test := range map[string]struct {
		content string
		want    []string
		err     string
	}{
		"reads_a_bundle":                       {content: ` {"type":"bundle","id":"x","objects":[{"id":"1"}, {"id":"2",  "a":1}],"more":{"a":[]}}`, want: []string{`{"id":"1"}`, `{"id":"2",  "a":1}`}},
		"reads_an_envelope":                    {content: `{"more":false,"objects":[{"id":"1"}]}`, want: []string{`{"id":"1"}`}},
		"reads_an_array":                       {content: `[{"id":"1"},{"id":"2"}]`, want: []string{`{"id":"1"}`, `{"id":"2"}`}},
		"reads_objects_one_after_the_other":    {content: "{\"id\":\"1\"}\n{\"id\":\"2\"}\n", want: []string{`{"id":"1"}`, `{"id":"2"}`}},
		"reads_a_single_object":                {content: `{"type":"identity","id":"1"}`, want: []string{`{"type":"identity","id":"1"}`}},
		"reads_an_empty_bundle":                {content: `{"type":"bundle","id":"x"}`},
		"refuses_an_empty_file":                {content: " \n", err: "it is empty"},
		"refuses_what_is_no_JSON":              {content: "id,name\n", err: "it holds no JSON object"},
		"names_the_place_of_a_syntax_error":    {content: `{"objects":[{"id":"1"},{"id":]}`, want: []string{`{"id":"1"}`}, err: "at byte"},
		"refuses_a_bundle_that_ends_too_early": {content: `{"objects":[{"id":"1"}`, want: []string{`{"id":"1"}`}, err: "EOF"},
		"refuses_objects_that_are_no_array":    {content: `{"objects":{"id":"1"}}`, err: "no array"},
	} {
		t.Run(name, func(t *testing.T) {
			var got []string
			err := eachObject(strings.NewReader(test.content), func(o json.RawMessage) error {
				got = append(got, string(o))
				return nil
			})
			expect(t, err, test.err)
			if diff := cmp.Diff(test.want, got); diff != "" {
				t.Error(diff)
			}
		})
	}
	t.Run("stops_when_told", func(t *testing.T) {
		stop := errors.New("stop")
		if err := eachObject(strings.NewReader(`[1,2]`), func(json.RawMessage) error { return stop }); !errors.Is(err, stop) {
			t.Errorf("got %v", err)
		}
	})
}

// taxiiRelay takes pushes of at most 300 bytes and refuses objects named "bad".
type taxiiRelay struct {
	posts [][]string
	pages [][]string
}

func (r *taxiiRelay) ServeHTTP(w http.ResponseWriter, req *http.Request) {
	w.Header().Set("Content-Type", relayclient.MediaType)
	switch path := strings.TrimPrefix(req.URL.Path, "/taxii2/local/"); {
	case path == "":
		io.WriteString(w, `{"title":"local","max_content_length":300}`)
	case path == "collections/":
		io.WriteString(w, `{"collections":[{"id":"11111111-1111-5111-8111-111111111111","alias":"threats.attack","title":"ATT&CK","can_read":true,"can_write":true},{"id":"22222222-2222-5222-8222-222222222222","alias":"from-bravo","title":"Bravo's\nthreats","can_read":true,"can_write":false}]}`)
	case path == "collections/from-bravo/objects/":
		index := 0
		fmt.Sscan(req.URL.Query().Get("next"), &index)
		next := ""
		if index+1 < len(r.pages) {
			next = fmt.Sprintf(`"more":true,"next":"%d",`, index+1)
		}
		fmt.Fprintf(w, `{%s"objects":[%s]}`, next, strings.Join(r.pages[index], ","))
	case path != "collections/threats.attack/objects/" || req.Method != http.MethodPost:
		w.WriteHeader(http.StatusNotFound)
		io.WriteString(w, `{"title":"Not found"}`)
	default:
		r.post(w, req)
	}
}

func (r *taxiiRelay) post(w http.ResponseWriter, req *http.Request) {
	var envelope struct {
		Objects []struct{ ID, Name string }
	}
	body, _ := io.ReadAll(req.Body)
	if len(body) > 300 || json.Unmarshal(body, &envelope) != nil {
		w.WriteHeader(http.StatusRequestEntityTooLarge)
		return
	}
	status := relayclient.Status{ID: "s", Status: "complete"}
	var ids []string
	for _, object := range envelope.Objects {
		ids = append(ids, object.ID)
		if object.Name == "bad" {
			status.FailureCount++
			status.Failures = append(status.Failures, relayclient.StatusDetail{ID: object.ID, Message: "the id is not type--uuid"})
			continue
		}
		status.SuccessCount++
	}
	r.posts = append(r.posts, ids)
	w.WriteHeader(http.StatusAccepted)
	json.NewEncoder(w).Encode(status)
}

func TestPush(t *testing.T) {
	relay := &taxiiRelay{}
	client := relaytest.Desk(t, relay)
	file := filepath.Join(t.TempDir(), "bundle.json")
	object := func(id, name string) string {
		return `{"id":"` + id + `","name":"` + name + `","pad":"` + strings.Repeat("x", 90) + `"}`
	}
	content := `{"type":"bundle","objects":[` + strings.Join([]string{object("a", ""), object("b", "bad"), object("c", ""), object("d", "")}, ",") + `]}`
	if err := os.WriteFile(file, []byte(content), 0o600); err != nil {
		t.Fatal(err)
	}

	t.Run("pages_by_the_relays_limit_and_tells_each_failure", func(t *testing.T) {
		o, s := setup(t)
		s.in.WriteString(object("e", ""))
		output := asTable
		err := o.push(t.Context(), client, "threats.attack", []string{file, "-"}, &output)
		expect(t, err, "1 of 5 objects were refused")
		if diff := cmp.Diff([][]string{{"a", "b"}, {"c", "d"}, {"e"}}, relay.posts); diff != "" {
			t.Error(diff)
		}
		golden(t, "push.txt", s.errOut.String()+s.out.String())
	})
	t.Run("prints_JSON_for_programs", func(t *testing.T) {
		o, s := setup(t)
		output := asJSON
		expect(t, o.push(t.Context(), client, "threats.attack", []string{file}, &output), "1 of 4 objects were refused")
		golden(t, "push.json", s.out.String())
	})
	t.Run("names_the_object_that_is_too_large", func(t *testing.T) {
		o, s := setup(t)
		s.in.WriteString(`{"id":"huge","pad":"` + strings.Repeat("x", 400) + `"}`)
		output := asTable
		expect(t, o.push(t.Context(), client, "threats.attack", []string{"-"}, &output), `object "huge" has 422 bytes; the relay takes at most 300 at once`)
	})
	t.Run("explains_a_source_that_is_not_there", func(t *testing.T) {
		o, _ := setup(t)
		output := asTable
		expect(t, o.push(t.Context(), client, "threats.attck", []string{file}, &output), `there is no source "threats.attck" to push into`)
	})
}

func TestList(t *testing.T) {
	relay := &taxiiRelay{pages: [][]string{
		{`{"id":"identity--1","modified":"2026-01-01T00:00:00Z","name":"One\u001b[31m"}`, `{"id":"identity--2",  "name":"Two"}`},
		{`{"id":"identity--3","created":"2026-01-02T00:00:00Z"}`},
	}}
	client := relaytest.Desk(t, relay)
	for name, run := range map[string]func(*options) error{
		"collections.txt": func(o *options) error {
			output := asTable
			return o.listCollections(t.Context(), client, &output)
		},
		"collections.json": func(o *options) error {
			output := asJSON
			return o.listCollections(t.Context(), client, &output)
		},
		"objects.txt": func(o *options) error { return o.listObjects(t.Context(), client, "from-bravo", &listFlags{}) },
		"objects.json": func(o *options) error {
			return o.listObjects(t.Context(), client, "from-bravo", &listFlags{output: asJSON})
		},
		"objects-limited.json": func(o *options) error {
			return o.listObjects(t.Context(), client, "from-bravo", &listFlags{output: asJSON, limit: 1})
		},
	} {
		t.Run(name, func(t *testing.T) {
			o, s := setup(t)
			if err := run(o); err != nil {
				t.Fatal(err)
			}
			golden(t, name, s.out.String())
		})
	}
	t.Run("explains_a_collection_that_is_not_there", func(t *testing.T) {
		o, _ := setup(t)
		expect(t, o.listObjects(t.Context(), client, "none", &listFlags{}), `there is no collection "none"`)
	})
}
