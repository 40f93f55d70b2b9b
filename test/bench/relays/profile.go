// SPDX-FileCopyrightText: The certlink authors
// SPDX-License-Identifier: Apache-2.0

//go:build linux

package relays

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"path/filepath"
	"time"
)

// profileSeconds is how long one profile takes.
const profileSeconds = 5

// profile writes profiles of a relay's processor time, one after the other, into the
// directory that PROFILE names, while the relay runs. make profile merges them.
func (n *Nation) profile(ctx context.Context, process int) {
	dir := os.Getenv("PROFILE")
	if dir == "" {
		return
	}
	pause := time.NewTicker(100 * time.Millisecond)
	defer pause.Stop()
	for i := 0; ; {
		var profile bytes.Buffer
		err := n.Desk().Profile(ctx, "cpu", profileSeconds, &profile)
		if err == nil {
			file := filepath.Join(dir, fmt.Sprintf("%s-%d-%04d.pprof", n.Name, process, i))
			err = os.WriteFile(file, profile.Bytes(), 0o600)
			i++
		}
		if ctx.Err() != nil {
			return
		}
		if err != nil { // it is starting
			select {
			case <-pause.C:
			case <-ctx.Done():
				return
			}
		}
	}
}
