// SPDX-FileCopyrightText: The certlink authors
// SPDX-License-Identifier: Apache-2.0

package faults

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/certlink/certlink/relay/attachment/chunk"
	"github.com/certlink/certlink/relay/desk"
	"github.com/certlink/certlink/relay/message"
	"github.com/certlink/certlink/relay/store"
)

// upload brings a file to the relay as the desk does, and goes on after failures.
func (n *nation) upload(t *testing.T, hotline, name string, content []byte) message.Attachment {
	t.Helper()
	sum := sha256.Sum256(content)
	a := message.Attachment{Name: name, Size: int64(len(content)), SHA256: fmt.Sprintf("%x", sum)}
	path := "/hotline/attachments/" + hotline + "/" + a.SHA256
	var state chunk.State
	eventually(t, "the file is stored at "+n.name, func() bool {
		status, body, err := n.call(t.Context(), t, http.MethodGet, path, "", nil)
		for ; err == nil && status == http.StatusOK; status, body, err = n.putChunk(t, path, sum, content, state.Stored) {
			if err := json.Unmarshal(body, &state); err != nil {
				t.Fatal(err)
			}
			if state.Complete {
				return true
			}
		}
		return false
	})
	return a
}

func (n *nation) putChunk(t *testing.T, path string, sum store.Hash, content []byte, at int64) (int, []byte, error) {
	t.Helper()
	c := chunk.Chunk{SHA256: sum, Size: int64(len(content)), Offset: at, Content: content[at:min(at+store.MaxChunk, int64(len(content)))]}
	req, err := http.NewRequestWithContext(t.Context(), http.MethodPut, "https://"+n.cfg.Listen.Local+path, bytes.NewReader(c.Content))
	if err != nil {
		t.Fatal(err)
	}
	c.SetHeader(req.Header)
	resp, err := n.http.Do(req)
	if err != nil {
		return 0, nil, err
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	return resp.StatusCode, body, err
}

// queue stores a message of a nation's desk and returns it.
func (n *nation) queue(t *testing.T, r desk.SendRequest) (m desk.Message) {
	t.Helper()
	body, err := json.Marshal(r)
	if err != nil {
		t.Fatal(err)
	}
	status, said, err := n.call(t.Context(), t, http.MethodPost, "/hotline/messages", "application/json", body)
	if err != nil || status != http.StatusCreated {
		t.Fatalf("sending: %d %s %v", status, said, err)
	}
	if err := json.Unmarshal(said, &m); err != nil {
		t.Fatal(err)
	}
	return m
}

// receipted waits until a message of ours has its receipt.
func (n *nation) receipted(t *testing.T, m desk.Message) {
	t.Helper()
	eventually(t, "message "+m.Subject+" has its receipt", func() bool {
		status, body, err := n.call(t.Context(), t, http.MethodGet, "/hotline/messages/out/"+m.Peer+"/"+m.ID, "", nil)
		return err == nil && status == http.StatusOK && !strings.Contains(string(body), `"state":"Queued"`)
	})
}

// receivedBytes is how many bytes of attachments a relay has taken since its start.
func (n *nation) receivedBytes(t *testing.T) (count float64) {
	t.Helper()
	resp, err := plain.Do(get(t, "http://"+n.cfg.Listen.Health+"/metrics"))
	if err != nil {
		return 0
	}
	defer resp.Body.Close()
	text, _ := io.ReadAll(resp.Body)
	for line := range strings.Lines(string(text)) {
		if rest, ok := strings.CutPrefix(line, `certlink_relay_hotline_attachment_bytes_total{direction="in",`); ok {
			_, value, _ := strings.Cut(rest, "} ")
			_, _ = fmt.Sscan(value, &count)
		}
	}
	return count
}

// peak is the most memory that the process has had, in KiB.
func (n *nation) peak(t *testing.T) string {
	t.Helper()
	status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", n.cmd.Process.Pid))
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(string(status)) {
		if rest, ok := strings.CutPrefix(line, "VmHWM:"); ok {
			return strings.TrimSpace(rest)
		}
	}
	return "unknown"
}

// Both relays are killed while files of 25 MiB are on their way: they come through as they
// were, each message once, and a FLASH beside them in its time.
func TestFilesComeThroughKillsOfEitherRelay(t *testing.T) {
	alfa, bravo := pair(t)
	alfa.connected(t)
	bravo.connected(t)
	flash := func(when string) (took []time.Duration) {
		for i := range 10 {
			begun := time.Now()
			alfa.receipted(t, alfa.queue(t, desk.SendRequest{
				ID: ulid(), Hotline: "bravo", Subject: fmt.Sprint(when, i), Text: "now", Officer: "Duty", Precedence: "FLASH",
			}))
			took = append(took, time.Since(begun))
		}
		slices.Sort(took)
		return took
	}
	idle := flash("idle")
	content := make([]byte, store.MaxAttachment)
	_, _ = rand.NewChaCha8([32]byte{1}).Read(content) // it gives everything
	a := alfa.upload(t, "bravo", "image.bin", content)
	with := alfa.queue(t, desk.SendRequest{ID: ulid(), Hotline: "bravo", Subject: "the image", Text: "see the file", Officer: "Duty", Attachments: []message.Attachment{a}})
	eventually(t, "a part is at bravo", func() bool { return bravo.receivedBytes(t) > 1<<20 })
	busy := flash("busy")
	t.Logf("FLASH alone: median %v, longest %v; beside a file: median %v, longest %v", idle[5], idle[9], busy[5], busy[9])
	bravo.kill(t)
	bravo.start(t)
	bravo.connected(t)
	alfa.kill(t)
	alfa.start(t)
	alfa.connected(t)
	alfa.receipted(t, with)
	path := "/hotline/messages/in/alfa.example/" + with.ID + "/attachments/" + a.SHA256
	status, got, err := bravo.call(context.WithoutCancel(t.Context()), t, http.MethodGet, path, "", nil)
	if err != nil || status != http.StatusOK || !bytes.Equal(got, content) {
		t.Errorf("bravo has %d bytes, %d, %v", len(got), status, err)
	}
	t.Logf("most memory: alfa %s, bravo %s", alfa.peak(t), bravo.peak(t))
}
