// SPDX-FileCopyrightText: The certlink authors
// SPDX-License-Identifier: Apache-2.0

package cli

import (
	"bytes"
	"encoding/json"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/certlink/certlink/internal/relayclient"
	"github.com/certlink/certlink/internal/relayclient/relaytest"
	"github.com/certlink/certlink/relay/courier"
	"github.com/certlink/certlink/relay/desk"
	"github.com/certlink/certlink/relay/problem"
)

const courierSet = "0123456789abcdef0123456789abcdef"

// courierDesk writes one set and takes sets in.
type courierDesk struct {
	content  []byte
	breakOff bool   // in the middle of an export
	refuse   string // a set that is brought
	clean    bool   // all of a set is taken in

	mu    sync.Mutex // guards what follows
	calls []string
	taken []byte
}

func (d *courierDesk) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	summary := courier.Summary{Set: courierSet, From: "alfa.example", To: "bravo.example", At: noon, Messages: 3, Attachments: 1, Answers: 2, More: true}
	body, _ := io.ReadAll(r.Body)
	d.mu.Lock()
	d.calls = append(d.calls, r.Method+" "+r.URL.String())
	d.taken = body
	d.mu.Unlock()
	switch r.URL.Path {
	case "/courier/export/to-bravo":
		h := w.Header()
		h.Set("Trailer", desk.CourierSummary)
		h.Set(desk.CourierSet, courierSet)
		h.Set(desk.CourierFrom, "alfa.example")
		h.Set(desk.CourierTo, "bravo.example")
		_, _ = w.Write(d.content)
		if d.breakOff {
			w.(http.Flusher).Flush()
			panic(http.ErrAbortHandler)
		}
		raw, _ := json.Marshal(summary)
		h.Set(desk.CourierSummary, string(raw))
	case desk.PathCourierCheck, desk.PathCourierImport:
		if r.URL.Query().Get("from") == "bravo.example" {
			problem.Write(w, http.StatusMisdirectedRequest, "our own relay made it")
			return
		}
		if d.refuse != "" {
			problem.Write(w, http.StatusUnprocessableEntity, d.refuse)
			return
		}
		w.Header().Set("Content-Type", "application/json")
		if r.URL.Path == desk.PathCourierImport && !d.clean {
			summary.Refused = []string{"a batch of messages:\x1b[2J no"}
		}
		_ = json.NewEncoder(w).Encode(summary)
	default:
		problem.Write(w, http.StatusNotFound, "there is no hotline")
	}
}

func TestCourierWritesFilesAndTakesThemIn(t *testing.T) {
	d := &courierDesk{content: bytes.Repeat([]byte("sealed "), 10_000)}
	relay := relaytest.Desk(t, d)
	dir := t.TempDir()
	export := func(hotline, size string) (string, error) { return exportCourier(t, relay, hotline, dir, size) }
	out, err := export("to-bravo", "25k")
	if err != nil || !strings.Contains(out, "3 messages, 1 attachments, 2 answers") || !strings.Contains(out, "bravo.example-01234567.003.certlink") || !strings.Contains(out, "export again") {
		t.Fatalf("%q, %v", out, err)
	}
	if files, _ := filepath.Glob(filepath.Join(dir, "*")); len(files) != 3 {
		t.Errorf("files are %q", files)
	}
	out, errOut, err := importCourier(t, relay, dir)
	if err == nil || !strings.Contains(out, courierSet) || !strings.Contains(errOut, "refused: a batch of messages:") || strings.Contains(errOut, "\x1b") {
		t.Errorf("%q %q, %v", out, errOut, err)
	}
	if !bytes.Equal(d.taken, d.content) || d.calls[len(d.calls)-2] != "POST /courier/check?from=alfa.example" || d.calls[len(d.calls)-1] != "POST /courier/import?from=alfa.example" {
		t.Errorf("%d bytes were brought; calls %q", len(d.taken), d.calls)
	}
}

func TestCourierNamesWhatIsMissingOrWrong(t *testing.T) {
	d := &courierDesk{content: bytes.Repeat([]byte("sealed "), 10_000)}
	relay := relaytest.Desk(t, d)
	dir := t.TempDir()
	export := func(hotline, size string) (string, error) { return exportCourier(t, relay, hotline, dir, size) }
	if _, err := export("to-nobody", "4G"); err == nil || !strings.Contains(err.Error(), "no hotline") {
		t.Errorf("error is %v", err)
	}
	for _, size := range []string{"0", "5", "1T", "-1", "99999999999999999G"} {
		if _, err := export("to-bravo", size); err == nil {
			t.Errorf("size %s is taken", size)
		}
	}
	d.breakOff = true
	if _, err := export("to-bravo", "4G"); err == nil {
		t.Error("half a set is taken for a whole one")
	}
	if files, _ := os.ReadDir(dir); len(files) > 0 {
		t.Errorf("%d files are left", len(files))
	}
	if _, _, err := importCourier(t, relay, dir); err == nil || !strings.Contains(err.Error(), "there is no *.certlink") {
		t.Errorf("error is %v", err)
	}
	d.breakOff = false
	if _, err := export("to-bravo", "25k"); err != nil {
		t.Fatal(err)
	}
	files, _ := filepath.Glob(filepath.Join(dir, "*"))
	before := len(d.calls)
	_, errOut, err := importCourier(t, relay, files[0], files[2])
	if err == nil || !strings.Contains(errOut, "parts 2 of 3 are missing") || len(d.calls) != before {
		t.Errorf("%q, %v", errOut, err)
	}
	d.refuse = "it is not for us: we have no hotline"
	_, errOut, err = importCourier(t, relay, dir)
	if err == nil || !strings.Contains(errOut, "we have no hotline") || len(d.calls) != before+1 {
		t.Errorf("%q, %v", errOut, err)
	}
}

// The medium that brings the answers often still has what went.
func TestCourierPassesOverOurOwnSets(t *testing.T) {
	d := &courierDesk{content: bytes.Repeat([]byte("sealed "), 100), clean: true}
	relay := relaytest.Desk(t, d)
	dir := t.TempDir()
	own, err := courier.NewSplitter(dir, "alfa.example-ffff", strings.Repeat("f", 32), "bravo.example", "alfa.example", 1<<20)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := own.Write([]byte("sealed")); err != nil {
		t.Fatal(err)
	}
	if _, err := own.Commit(); err != nil {
		t.Fatal(err)
	}
	if _, errOut, err := importCourier(t, relay, dir); err == nil || !strings.Contains(err.Error(), "nothing was taken in") || !strings.Contains(errOut, "one of ours") {
		t.Errorf("with nothing else: %q, %v", errOut, err)
	}
	if _, err := exportCourier(t, relay, "to-bravo", dir, "4G"); err != nil {
		t.Fatal(err)
	}
	if out, errOut, err := importCourier(t, relay, dir); err != nil || !strings.Contains(out, courierSet) || !strings.Contains(errOut, "one of ours") {
		t.Errorf("%q %q, %v", out, errOut, err)
	}
}

func exportCourier(t *testing.T, relay *relayclient.Client, hotline, dir, size string) (string, error) {
	t.Helper()
	o, s := setup(t)
	var most partSize
	if err := most.Set(size); err != nil {
		return "", err
	}
	err := o.courierExport(t.Context(), relay, hotline, dir, int64(most), new(format))
	return s.out.String(), err
}

func importCourier(t *testing.T, relay *relayclient.Client, args ...string) (out, errOut string, err error) {
	t.Helper()
	o, s := setup(t)
	files, err := courierFiles(args)
	if err == nil {
		err = o.courierImport(t.Context(), relay, files, new(format))
	}
	return s.out.String(), s.errOut.String(), err
}
