// SPDX-FileCopyrightText: The certlink authors
// SPDX-License-Identifier: Apache-2.0

package cli

import (
	"bytes"
	"encoding/json"
	"log/slog"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/certlink/certlink/internal/relayclient/relaytest"
	"github.com/certlink/certlink/relay/access"
	"github.com/certlink/certlink/relay/attachment"
	"github.com/certlink/certlink/relay/config"
	"github.com/certlink/certlink/relay/desk"
	"github.com/certlink/certlink/relay/message"
	"github.com/certlink/certlink/relay/store"
	"github.com/certlink/certlink/relay/store/sqlite"
)

// files is a relay that keeps files, and nothing else; cut judges each request.
type files struct {
	store *sqlite.Store
	desk  http.Handler
	cut   func(r *http.Request) bool
}

func newFiles(t *testing.T) *files {
	t.Helper()
	s, err := sqlite.Open(t.Context(), sqlite.Config{Path: filepath.Join(t.TempDir(), "relay.db")})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.Close() })
	engine, err := attachment.New(attachment.Config{Store: s, Client: func(string) *http.Client { return &http.Client{} }})
	if err != nil {
		t.Fatal(err)
	}
	engine.Apply(&config.Config{
		Peers:    []config.Peer{{Name: "bravo", TrustDomain: "bravo.example", State: config.Active}},
		Hotlines: []config.Hotline{{Name: "to-bravo", Peer: "bravo"}},
	})
	return &files{store: s, desk: desk.NewHandler(desk.Parts{
		Report: http.NotFoundHandler(), TAXII: http.NotFoundHandler(), Attachments: engine, Log: slog.New(slog.DiscardHandler),
	})}
}

// ServeHTTP cuts the connection of some requests: half before they are served, half after.
func (f *files) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if f.cut != nil && f.cut(r) {
		panic(http.ErrAbortHandler)
	}
	f.desk.ServeHTTP(w, r.WithContext(access.WithRole(r.Context(), access.RoleDesk)))
}

// message stores one that names the files.
func (f *files) message(t *testing.T, list ...message.Attachment) desk.Message {
	t.Helper()
	m := desk.Message{Direction: "out", Peer: "bravo.example", ID: "01J0000000000000000000000A", Attachments: list}
	payload, err := json.Marshal(message.Message{ID: m.ID, Attachments: list})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := f.store.Enqueue(t.Context(), m.Peer, func(int64) (store.Message, error) {
		return store.Message{ID: m.ID, Payload: payload}, nil
	}); err != nil {
		t.Fatal(err)
	}
	return m
}

func write(t *testing.T, name string, size int) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), name)
	if err := os.WriteFile(path, bytes.Repeat([]byte(name), size/len(name)+1)[:size], 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

func TestAFileGoesUpAndComesDownThroughCuts(t *testing.T) {
	relay := newFiles(t)
	var requests atomic.Int32
	relay.cut = func(*http.Request) bool { return requests.Add(1)%3 == 2 }
	client := relaytest.Desk(t, relay)
	o, s := setup(t)
	flags := attachFlags{files: []string{write(t, "capture.json", 3<<20), write(t, "notes", 5)}}
	list, err := flags.look()
	expect(t, err, "")
	if err := o.upload(t.Context(), client, "to-bravo", flags.files, list); err != nil {
		t.Fatal(err)
	}
	m := relay.message(t, list...)
	for i, a := range list {
		t.Chdir(t.TempDir())
		if err := o.getAttachment(t.Context(), client, m, a.SHA256[:8], &getFlags{}); err != nil {
			t.Fatal(err)
		}
		got, err := os.ReadFile(a.Name)
		expect(t, err, "")
		want, err := os.ReadFile(flags.files[i])
		expect(t, err, "")
		if !bytes.Equal(got, want) {
			t.Errorf("%s has %d bytes, want %d", a.Name, len(got), len(want))
		}
		if !strings.Contains(s.out.String(), a.SHA256) {
			t.Errorf("printed %q", s.out)
		}
	}
	if requests.Load() < 8 {
		t.Errorf("%d requests: nothing was cut", requests.Load())
	}
}

func TestADownloadKeepsWhatIsThereAndTakesNothingElse(t *testing.T) {
	relay := newFiles(t)
	client := relaytest.Desk(t, relay)
	o, _ := setup(t)
	flags := attachFlags{files: []string{write(t, "f", 100)}}
	list, err := flags.look()
	expect(t, err, "")
	expect(t, o.upload(t.Context(), client, "to-bravo", flags.files, list), "")
	m := relay.message(t, list...)
	dir := t.TempDir()
	place := filepath.Join(dir, "place")
	get := func(m desk.Message, f getFlags) error {
		f.file = place
		return o.getAttachment(t.Context(), client, m, "f", &f)
	}
	content := func(want string) {
		t.Helper()
		got, err := os.ReadFile(place)
		expect(t, err, "")
		if string(got) != want {
			t.Errorf("it holds %q, want %q", got, want)
		}
	}
	expect(t, os.WriteFile(place, []byte("mine"), 0o600), "")
	expect(t, get(m, getFlags{}), "--force")
	content("mine")
	expect(t, get(m, getFlags{force: true}), "")
	content(strings.Repeat("f", 100))

	// A relay that hands out something else under the digest.
	expect(t, os.WriteFile(place, []byte("mine"), 0o600), "")
	lying := relaytest.Desk(t, http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write(make([]byte, 100)) }))
	expect(t, o.getAttachment(t.Context(), lying, m, "f", &getFlags{file: place, force: true}), "digest")
	endless := relaytest.Desk(t, http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write(make([]byte, 1<<20)) }))
	expect(t, o.getAttachment(t.Context(), endless, m, "f", &getFlags{file: place, force: true}), "digest")
	content("mine")
	left, err := filepath.Glob(filepath.Join(dir, ".certlink-*"))
	expect(t, err, "")
	if len(left) > 0 {
		t.Errorf("parts are left: %v", left)
	}
}

func TestTheNameOfAHostileFileStaysInItsFolder(t *testing.T) {
	for name, want := range map[string]string{
		"report.pdf":             "report.pdf",
		"../../etc/passwd":       "_._.._etc_passwd",
		".bashrc":                "_bashrc",
		"-rf":                    "_rf",
		`C:\evil.exe`:            "C:_evil.exe",
		"gpj\u202eexe.bat":       "gpj_exe.bat",
		"a\x1b[2Jb\nc":           "a_[2Jb_c",
		"":                       "attachment",
		"päper 文書.txt":           "päper 文書.txt",
		strings.Repeat("ä", 200): strings.Repeat("ä", 127),
	} {
		got := desk.SafeName(name)
		if got != want {
			t.Errorf("%q becomes %q, want %q", name, got, want)
		}
		if filepath.Base(got) != got || desk.SafeName(got) != got {
			t.Errorf("%q is no plain name", got)
		}
	}
}

func TestWhatIsAttachedIsLookedAtFirst(t *testing.T) {
	large := write(t, "large", message.MaxAttachmentBytes)
	tooLarge := write(t, "large", message.MaxAttachmentBytes+1)
	for name, test := range map[string]struct {
		files []string
		want  string
	}{
		"nothing":         {nil, ""},
		"25 MiB":          {[]string{large}, ""},
		"a byte more":     {[]string{tooLarge}, "26214401 bytes"},
		"an empty file":   {[]string{write(t, "e", 0)}, "empty"},
		"a folder":        {[]string{t.TempDir()}, "no file"},
		"what is missing": {[]string{"/nowhere/x"}, "no such file"},
		"a name twice":    {[]string{write(t, "a", 1), write(t, "a", 2)}, "rename"},
		"17 files":        {make([]string, 17), "at most 16"},
	} {
		t.Run(name, func(t *testing.T) {
			f := attachFlags{files: test.files}
			list, err := f.look()
			expect(t, err, test.want)
			if test.want == "" && len(list) != len(test.files) {
				t.Errorf("%d of %d", len(list), len(test.files))
			}
		})
	}
}

func TestShowListsFiles(t *testing.T) {
	m := received()
	m.Attachments = []message.Attachment{
		{Name: "capture.json", MediaType: "application/json", Size: 3 << 20, SHA256: strings.Repeat("ab", 32)},
		{Name: "two\nlines", Size: 1, SHA256: strings.Repeat("cd", 32)},
	}
	got := attachmentRows(m)
	want := [][]string{
		{"Attachment:", "capture.json (3145728 bytes, application/json, sha256 " + strings.Repeat("ab", 32) + ")"},
		{"Attachment:", "two lines (1 bytes, sha256 " + strings.Repeat("cd", 32) + ")"},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
	for name, words := range map[string]string{"capture.json": "", "abababab": "", "nothing": "it has: capture.json, two lines", "abab": "no attachment"} {
		_, err := attached(m, name)
		expect(t, err, words)
	}
	m.Attachments[1].Name = "capture.json"
	_, err := attached(m, "capture.json")
	expect(t, err, "2 attachments")
	_, err = attached(desk.Message{ID: "x"}, "f")
	expect(t, err, "no attachments")
}
