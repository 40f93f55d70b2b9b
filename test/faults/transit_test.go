// SPDX-FileCopyrightText: The certlink authors
// SPDX-License-Identifier: Apache-2.0

package faults

import (
	"bytes"
	"encoding/json"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/certlink/certlink/relay/config"
	"github.com/certlink/certlink/relay/courier"
	"github.com/certlink/certlink/relay/desk"
	"github.com/certlink/certlink/relay/report"
)

// secretText is what nobody in the middle may see.
const secretText = "the valve of the northern pipeline was opened by nobody of ours"

// three is three nations: alfa and bravo over a cable each, and both with charlie.
type three struct {
	alfa, bravo, charlie *nation
	cables               []*cable // between alfa and bravo
	link                 []*cable // between either and charlie
}

func newThree(t *testing.T) *three {
	t.Helper()
	w := &three{alfa: newNation(t, "alfa"), bravo: newNation(t, "bravo"), charlie: newNation(t, "charlie")}
	reach := func(from, to *nation, list *[]*cable) {
		c := newCable(t, to.cfg.Listen.Link)
		*list = append(*list, c)
		p := to.peer()
		p.Endpoints = []config.Endpoint{{Address: c.address}}
		p.Transit = config.TransitAllowed
		from.cfg.Peers = append(from.cfg.Peers, p)
	}
	reach(w.alfa, w.bravo, &w.cables)
	reach(w.bravo, w.alfa, &w.cables)
	for _, n := range []*nation{w.alfa, w.bravo} {
		reach(n, w.charlie, &w.link)
		reach(w.charlie, n, &w.link)
	}
	w.alfa.cfg.Hotlines = []config.Hotline{{Name: "bravo", Peer: "bravo", Transit: []string{"charlie"}, Deadlines: []config.Deadline{{Precedence: "FLASH", ReceiptSeconds: 5}}}}
	w.bravo.cfg.Hotlines = []config.Hotline{{Name: "alfa", Peer: "alfa", Transit: []string{"charlie"}}}
	for _, n := range []*nation{w.alfa, w.bravo, w.charlie} {
		n.start(t)
	}
	w.alfa.until(t, "knows everybody, and has proven the way through charlie", func(r report.Report) bool {
		return len(r.Hotlines) == 1 && len(r.Hotlines[0].Transit) == 1 && r.Hotlines[0].Transit[0].State == report.TransitReady && allUp(r)
	})
	w.bravo.until(t, "knows everybody", allUp)
	return w
}

func allUp(r report.Report) bool {
	return len(r.Peers) == 2 && !slices.ContainsFunc(r.Peers, func(p report.Peer) bool { return p.Outbound.State != report.Up || p.Offer == nil })
}

func (w *three) cut(cables []*cable) {
	for _, c := range cables {
		c.sever()
	}
}

// say sends a message of alfa's, and returns its id.
func (w *three) say(t *testing.T, precedence, subject string) string {
	t.Helper()
	status, data, err := w.alfa.send(t.Context(), t, desk.SendRequest{
		Hotline: "bravo", Precedence: precedence, TLP: "GREEN", Subject: subject, Text: secretText, Officer: "eve",
	})
	if err != nil || status != http.StatusCreated {
		t.Fatalf("sending %s: %d %s, %v", subject, status, data, err)
	}
	var m desk.Message
	if err := json.Unmarshal(data, &m); err != nil {
		t.Fatal(err)
	}
	return m.ID
}

// receipted waits until alfa has bravo's receipt for so many messages.
func (w *three) receipted(t *testing.T, n int) {
	t.Helper()
	eventually(t, "alfa has every receipt", func() bool {
		sent, err := w.alfa.messages(t, "out")
		return err == nil && len(sent) == n && !slices.ContainsFunc(sent, func(m desk.Message) bool { return m.ReceiptAt.IsZero() })
	})
	w.once(t, n)
}

// once: bravo shows so many messages, each once.
func (w *three) once(t *testing.T, n int) {
	t.Helper()
	got, err := w.bravo.messages(t, "in")
	if err != nil {
		t.Fatal(err)
	}
	ids := map[string]bool{}
	for _, m := range got {
		ids[m.ID] = true
	}
	if len(got) != n || len(ids) != n {
		t.Errorf("bravo shows %d messages, %d different ones, want %d", len(got), len(ids), n)
	}
}

// A message crosses through a third nation, which learns nothing; when that stops too, the
// sender knows in time; a courier carries it; and when the line is back nothing is doubled.
func TestAMessageCrossesThroughAThirdNationAndByCourier(t *testing.T) {
	w := newThree(t)
	w.cut(w.cables)
	w.alfa.until(t, "goes through charlie", func(r report.Report) bool { return r.Hotlines[0].Via == "charlie" })
	w.say(t, "FLASH", "one")
	w.say(t, "ROUTINE", "two")
	w.receipted(t, 2)
	w.databaseClean(t)

	w.charlie.kill(t)
	begun := time.Now()
	w.say(t, "FLASH", "three")
	r := w.alfa.until(t, "knows that FLASH is overdue", func(r report.Report) bool { return r.Hotlines[0].OverdueReceipts == 1 })
	if took := time.Since(begun); took > 10*time.Second {
		t.Errorf("the sender knows after %s", took)
	}
	if h := r.Hotlines[0]; h.Via != "" || h.Transit[0].State != report.TransitFailed && !strings.Contains(h.Error, "charlie") {
		t.Errorf("the report says %+v", h)
	}

	files := w.export(t, w.alfa, "bravo", 64<<10)
	for range 2 {
		if s := w.take(t, w.bravo, files); s.Messages != 1 || len(s.Refused) > 0 {
			t.Errorf("bravo took %+v", s)
		}
	}
	w.once(t, 3)
	back := w.export(t, w.bravo, "alfa", 1<<20)
	if s := w.take(t, w.alfa, back); s.Answers == 0 || len(s.Refused) > 0 {
		t.Errorf("alfa took %+v", s)
	}
	w.receipted(t, 3)
	w.say(t, "ROUTINE", "four")
	later := w.export(t, w.alfa, "bravo", 1<<20)
	for _, c := range w.cables {
		c.mend()
	}
	w.receipted(t, 4)
	w.take(t, w.bravo, later) // the courier arrives after all
	w.once(t, 4)
}

// export has a nation write files.
func (w *three) export(t *testing.T, n *nation, hotline string, size int64) []string {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, "https://"+n.cfg.Listen.Local+"/courier/export/"+hotline, http.NoBody)
	if err != nil {
		t.Fatal(err)
	}
	resp, err := n.http.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		text, _ := io.ReadAll(resp.Body)
		t.Fatalf("%s exports: %d %s", n.name, resp.StatusCode, text)
	}
	h := resp.Header
	split, err := courier.NewSplitter(t.TempDir(), "set", h.Get(desk.CourierSet), h.Get(desk.CourierFrom), h.Get(desk.CourierTo), size)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := io.Copy(split, resp.Body); err != nil || resp.Trailer.Get(desk.CourierSummary) == "" {
		t.Fatalf("%s broke off: %v", n.name, err)
	}
	files, err := split.Commit()
	if err != nil {
		t.Fatal(err)
	}
	return files
}

// take has a nation take files in.
func (w *three) take(t *testing.T, n *nation, files []string) (s courier.Summary) {
	t.Helper()
	sets, bad := courier.Sort(files)
	if len(bad) > 0 || len(sets) != 1 {
		t.Fatal(bad, len(sets))
	}
	for _, path := range []string{desk.PathCourierCheck, desk.PathCourierImport} {
		stream, err := sets[0].Open()
		if err != nil {
			t.Fatal(err)
		}
		content, err := io.ReadAll(stream)
		if err != nil {
			t.Fatal(err)
		}
		status, data, err := n.call(t.Context(), t, http.MethodPost, path+"?from="+sets[0].From, desk.CourierContentType, content)
		if err != nil || status != http.StatusOK {
			t.Fatalf("%s takes a set: %d %s, %v", n.name, status, data, err)
		}
		if err := json.Unmarshal(data, &s); err != nil {
			t.Fatal(err)
		}
	}
	return s
}

// databaseClean: charlie's files hold nothing of the text.
func (w *three) databaseClean(t *testing.T) {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(w.charlie.dir, "data", "*"))
	if err != nil || len(files) == 0 {
		t.Fatal(files, err)
	}
	for _, name := range files {
		raw, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		if bytes.Contains(raw, []byte(secretText)) {
			t.Errorf("charlie's %s holds the text", filepath.Base(name))
		}
	}
}
