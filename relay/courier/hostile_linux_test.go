// SPDX-FileCopyrightText: The certlink authors
// SPDX-License-Identifier: Apache-2.0

package courier

import (
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"
)

func TestAPipeOnAMediumIsNotWaitedFor(t *testing.T) {
	pipe := filepath.Join(t.TempDir(), "x"+Extension)
	if err := syscall.Mkfifo(pipe, 0o600); err != nil {
		t.Fatal(err)
	}
	read := make(chan error, 1)
	go func() {
		_, err := ReadPart(pipe)
		read <- err
	}()
	select {
	case err := <-read:
		if err == nil || !strings.Contains(err.Error(), "it is no file (p") {
			t.Error(err)
		}
	case <-time.After(time.Minute):
		t.Error("it is waited for")
	}
}
