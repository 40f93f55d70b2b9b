// SPDX-FileCopyrightText: The certlink authors
// SPDX-License-Identifier: Apache-2.0

package faults

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"net/http"
	"testing"
	"time"

	"github.com/certlink/certlink/relay/desk"
	"github.com/certlink/certlink/relay/message"
	"github.com/certlink/certlink/relay/report"
)

// sendFile queues a message of alfa's with a file, and returns what looks at bravo whether
// it came as it was.
func (w *three) sendFile(t *testing.T, name string, size int) (sent desk.Message, arrived func()) {
	t.Helper()
	content := make([]byte, size)
	_, _ = rand.NewChaCha8([32]byte{byte(len(name))}).Read(content) // it gives everything
	a := w.alfa.upload(t, "bravo", name, content)
	m := w.alfa.queue(t, desk.SendRequest{ID: ulid(), Hotline: "bravo", Subject: name, Text: "see the file", Officer: "eve", Attachments: []message.Attachment{a}})
	return m, func() {
		t.Helper()
		path := "/hotline/messages/in/alfa.example/" + m.ID + "/attachments/" + a.SHA256
		status, got, err := w.bravo.call(t.Context(), t, http.MethodGet, path, "", nil)
		if err != nil || status != http.StatusOK || !bytes.Equal(got, content) {
			t.Errorf("bravo has %d bytes of %s, %d, %v", len(got), name, status, err)
		}
	}
}

// Files go through a third nation, and a FLASH beside them; then, with that cut off in the
// middle of another file, by courier, from and to relays that were restarted.
func TestFilesCrossThroughAThirdNationAndByCourier(t *testing.T) {
	w := newThree(t)
	w.cut(w.cables)
	w.alfa.until(t, "goes through charlie", func(r report.Report) bool { return r.Hotlines[0].Via == "charlie" })
	sent, arrived := w.sendFile(t, "large.bin", 25<<20) // more than charlie carries at once
	eventually(t, "a part of it is at bravo", func() bool { return w.bravo.receivedBytes(t) > 1<<20 })
	var longest time.Duration
	for i := range 10 {
		begun := time.Now()
		w.alfa.receipted(t, w.alfa.queue(t, desk.SendRequest{ID: ulid(), Hotline: "bravo", Subject: fmt.Sprint("flash", i), Text: "now", Officer: "eve", Precedence: "FLASH"}))
		longest = max(longest, time.Since(begun))
	}
	t.Logf("FLASH beside a file through charlie: the longest took %v", longest)
	begun := time.Now()
	w.alfa.within(t, 2*time.Minute, "the large file is there", func(report.Report) bool {
		list, err := w.alfa.messages(t, "out")
		for _, m := range list {
			if m.ID == sent.ID {
				return err == nil && m.State != "Queued"
			}
		}
		return false
	})
	t.Logf("25 MiB came through charlie, %v after the last FLASH", time.Since(begun))
	arrived()

	before := w.bravo.receivedBytes(t)
	_, arrived = w.sendFile(t, "halfway.bin", 20<<20)
	eventually(t, "a part of it is at bravo", func() bool { return w.bravo.receivedBytes(t) > before+1<<20 })
	w.charlie.kill(t)
	for _, n := range []*nation{w.alfa, w.bravo} {
		n.kill(t)
		n.start(t)
	}
	files := w.export(t, w.alfa, "bravo", 4<<20)
	for range 2 {
		if s := w.take(t, w.bravo, files); s.Messages != 1 || s.Attachments != 1 || len(s.Refused) > 0 {
			t.Errorf("bravo took %+v", s)
		}
	}
	arrived()
	if s := w.take(t, w.alfa, w.export(t, w.bravo, "alfa", 1<<20)); s.Answers == 0 || len(s.Refused) > 0 {
		t.Errorf("alfa took %+v", s)
	}
	w.receipted(t, 12)
}
