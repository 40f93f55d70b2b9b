// SPDX-FileCopyrightText: The certlink authors
// SPDX-License-Identifier: Apache-2.0

package deliver

import (
	"crypto/hmac"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/certlink/certlink/relay/store"
)

func TestARequestIsSigned(t *testing.T) {
	w, r := newWorld(t), newReceiver(t)
	file := filepath.Join(t.TempDir(), "hmac")
	if err := os.WriteFile(file, []byte("key of the receiver\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	d := hook(r.URL)
	d.Webhook.SecretFile = file
	w.put(0, 1)
	w.start(d)
	w.untilDelivered("siem", 1)
	head := r.heads[0]
	want := Sign([]byte("key of the receiver"), head.Get(HeaderTimestamp), r.bodies[0])
	if !hmac.Equal([]byte(want), []byte(head.Get(HeaderSignature))) || len(want) != len("sha256=")+64 {
		t.Errorf("signature %q, want %q", head.Get(HeaderSignature), want)
	}
	for name, value := range map[string]string{HeaderFeed: "bravo", HeaderDelivery: "siem", "Content-Type": ContentType} {
		if head.Get(name) != value {
			t.Errorf("%s is %q", name, head.Get(name))
		}
	}
}

func TestADirectoryMayHoldTheKeyOrCredentialsOrBoth(t *testing.T) {
	for name, c := range map[string]struct {
		files         map[string]string
		signed, token bool
	}{
		"the key":    {map[string]string{"hmac": "k"}, true, false},
		"the token":  {map[string]string{"token": "t"}, false, true},
		"both":       {map[string]string{"hmac": "k", "token": "t"}, true, true},
		"both, late": {nil, true, true},
	} {
		t.Run(name, func(t *testing.T) {
			w, r, dir := newWorld(t), newReceiver(t), t.TempDir()
			write := func(files map[string]string) {
				for file, text := range files {
					if err := os.WriteFile(filepath.Join(dir, file), []byte(text), 0o600); err != nil {
						t.Fatal(err)
					}
				}
			}
			write(c.files)
			d := hook(r.URL)
			d.Webhook.Remote.Directory, d.Webhook.MaxAttempts = dir, 1000
			w.put(0, 1)
			w.start(d)
			if c.files == nil {
				eventually(t, "an empty directory is a fault", func() bool {
					list, err := w.ReportDeliveries(t.Context())
					return err == nil && len(list) == 1 && list[0].Error != ""
				})
				write(map[string]string{"token": "t", "hmac.new": "k"})
				if err := os.Rename(filepath.Join(dir, "hmac.new"), filepath.Join(dir, "hmac")); err != nil {
					t.Fatal(err)
				}
				w.put(1, 2)
				w.untilDelivered("siem", 2)
			} else {
				w.untilDelivered("siem", 1)
			}
			head := r.heads[len(r.heads)-1]
			if signed := head.Get(HeaderSignature) != ""; signed != c.signed || (head.Get("Authorization") == "Bearer t") != c.token {
				t.Errorf("signed %v, authorization %q", signed, head.Get("Authorization"))
			}
		})
	}
}

func TestAKeyThatIsMissingSendsNothingUnsigned(t *testing.T) {
	w, r := newWorld(t), newReceiver(t)
	d := hook(r.URL)
	d.Webhook.SecretFile = filepath.Join(t.TempDir(), "secret", "hmac")
	d.Webhook.MaxAttempts = 1
	w.put(0, 1)
	w.start(d)
	w.until("siem", "the missing key is told", func(d store.Delivery) bool {
		told, err := w.ReportDeliveries(t.Context())
		return err == nil && len(told) == 1 && strings.Contains(told[0].Error, "secret/hmac")
	})
	if dead := w.state("siem").Dead; dead != 0 || len(r.got()) != 0 {
		t.Errorf("%d dead letters, received %d", dead, len(r.got()))
	}
	// When the key is there, what waited goes out.
	if err := errors.Join(os.Mkdir(filepath.Dir(d.Webhook.SecretFile), 0o700), os.WriteFile(d.Webhook.SecretFile, []byte("key"), 0o600)); err != nil {
		t.Fatal(err)
	}
	w.untilDelivered("siem", 1)
}
