// SPDX-FileCopyrightText: The certlink authors
// SPDX-License-Identifier: Apache-2.0

//go:build e2e

package e2e

import (
	"bytes"
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	wire "github.com/certlink/certlink/relay/desk"
)

// attachment writes a file that does not compress, the same for the same seed.
func attachment(t *testing.T, name string, size int) (path string, content []byte) {
	t.Helper()
	content = make([]byte, size)
	_, _ = rand.NewChaCha8([32]byte{byte(size)}).Read(content) // it gives everything
	path = filepath.Join(t.TempDir(), name)
	must(t, os.WriteFile(path, content, 0o600))
	return path, content
}

func TestAttachment(t *testing.T) {
	connected(t)
	path, content := attachment(t, "capture.json", 3<<20)
	start := time.Now()
	said, err := alfa.CLI(within(t, patience), nil, "hotline", "send", bravo.Name, "--subject", "The capture", "--text", "See the file.",
		"--attach", path, "--wait", "receipt", "-o", "json")
	must(t, err)
	var sent wire.Message
	must(t, json.Unmarshal([]byte(said), &sent))
	t.Logf("3 MiB uploaded, sent and receipted in %.2fs", time.Since(start).Seconds())
	verify(t, alfa, bravo, show(t, alfa, sent.ID))

	received := show(t, bravo, sent.ID)
	want := fmt.Sprintf("%x", sha256.Sum256(content))
	if len(received.Attachments) != 1 || received.Attachments[0].Name != "capture.json" || received.Attachments[0].SHA256 != want {
		t.Fatalf("bravo received %+v, want capture.json with %s", received.Attachments, want)
	}
	text, err := bravo.CLI(within(t, patience), nil, "hotline", "show", sent.ID)
	must(t, err)
	if !strings.Contains(text, want) {
		t.Errorf("show does not tell the digest:\n%s", text)
	}
	target := filepath.Join(t.TempDir(), "got")
	_, err = bravo.CLI(within(t, patience), nil, "hotline", "attachment", "get", sent.ID, "capture.json", "-o", target)
	must(t, err)
	got, err := os.ReadFile(target)
	must(t, err)
	if !bytes.Equal(got, content) {
		t.Errorf("bravo has %d other bytes", len(got))
	}
	if _, err = bravo.CLI(within(t, patience), nil, "hotline", "attachment", "get", sent.ID, "capture.json", "-o", target); err == nil {
		t.Error("an existing file was overwritten")
	}
	_, err = bravo.CLI(within(t, patience), nil, "hotline", "ack", sent.ID, "--officer", "officer of bravo")
	must(t, err)
	settled(t)
}

// The relay that receives is killed while the file is on its way: it goes on, and the
// message comes once.
func TestAttachmentGoesOnAfterAKill(t *testing.T) {
	connected(t)
	path, content := attachment(t, "image.bin", 20<<20)
	said, err := alfa.CLI(within(t, patience), nil, "hotline", "send", bravo.Name, "--subject", "The image", "--text", "See the file.",
		"--attach", path, "-o", "json")
	must(t, err)
	must(t, kill(within(t, patience), bravo))
	var sent wire.Message
	must(t, json.Unmarshal([]byte(said), &sent))
	said, err = alfa.CLI(within(t, patience), nil, "hotline", "send", bravo.Name, "--subject", "Another matter", "--text", "It does not wait.",
		"--precedence", "FLASH", "--wait", "receipt", "-o", "json")
	must(t, err)
	var flash wire.Message
	must(t, json.Unmarshal([]byte(said), &flash))
	ctx := within(t, 3*time.Minute)
	for show(t, alfa, sent.ID).State == "Queued" {
		select {
		case <-time.After(time.Second):
		case <-ctx.Done():
			t.Fatal("the message has no receipt")
		}
	}
	target := filepath.Join(t.TempDir(), "got")
	_, err = bravo.CLI(within(t, patience), nil, "hotline", "attachment", "get", sent.ID, "image.bin", "-o", target)
	must(t, err)
	got, err := os.ReadFile(target)
	must(t, err)
	if !bytes.Equal(got, content) {
		t.Errorf("bravo has %d other bytes", len(got))
	}
	for _, id := range []string{sent.ID, flash.ID} {
		_, err = bravo.CLI(within(t, patience), nil, "hotline", "ack", id, "--officer", "officer of bravo")
		must(t, err)
	}
	connected(t)
	settled(t)
}
