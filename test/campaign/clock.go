// SPDX-FileCopyrightText: The certlink authors
// SPDX-License-Identifier: Apache-2.0

//go:build linux

package campaign

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
)

// A relay whose clock jumps is the product's own source, compiled against a package time
// whose Now adds seconds that a file beside the configuration holds. Nothing of it is in
// the product: the compiler lays these files over the originals (go build -overlay), so a
// build of anybody else cannot have it. Timers and the monotonic clock go on, as they do
// when an administrator sets a machine's clock. A time namespace would not do: it has no
// CLOCK_REALTIME (time_namespaces(7)).
const (
	laidOverTime = `package time

import "sync/atomic"

var faultSeconds atomic.Int64

// SetFaultSeconds moves the wall clock.
func SetFaultSeconds(s int64) { faultSeconds.Store(s) }
`
	laidOverRelay = `package main

import (
	"os"
	"path/filepath"
	"strconv"
	"time"
)

func init() {
	for i, arg := range os.Args[:max(0, len(os.Args)-1)] {
		if arg != "--config" {
			continue
		}
		file := filepath.Join(filepath.Dir(os.Args[i+1]), "` + clockFile + `")
		read := func() {
			data, _ := os.ReadFile(file)
			seconds, _ := strconv.ParseInt(string(data), 10, 64)
			time.SetFaultSeconds(seconds)
		}
		read()
		go func() {
			for range time.Tick(20 * time.Millisecond) {
				read()
			}
		}()
	}
}
`
	clockFile = "clock"
	nowAsItIs = "func Now() Time {\n\tsec, nsec, mono := runtimeNow()\n"
)

// Build compiles the relay of this tree, with a clock that can be moved, into a directory
// and returns the file.
func Build(ctx context.Context, dir string) (string, error) {
	ask := func(args ...string) (string, error) {
		out, err := exec.CommandContext(ctx, "go", args...).Output()
		if err != nil {
			return "", fmt.Errorf("asking go %s: %w", strings.Join(args, " "), err)
		}
		return strings.TrimSpace(string(out)), nil
	}
	root, err := ask("env", "GOROOT")
	if err != nil {
		return "", err
	}
	relay, err := ask("list", "-f", "{{.Dir}}", "github.com/certlink/certlink/cmd/relay")
	if err != nil {
		return "", err
	}
	original := filepath.Join(root, "src", "time", "time.go")
	source, err := os.ReadFile(original)
	if err != nil {
		return "", fmt.Errorf("reading package time: %w", err)
	}
	if bytes.Count(source, []byte(nowAsItIs)) != 1 {
		return "", errors.New("moving the clock: time.Now of this Go is not as it was; look at its source and change this package")
	}
	source = bytes.Replace(source, []byte(nowAsItIs), []byte(nowAsItIs+"\tsec += faultSeconds.Load()\n"), 1)
	overlay := struct {
		Replace map[string]string `json:"Replace"`
	}{map[string]string{}}
	for path, content := range map[string]string{
		original: string(source),
		filepath.Join(root, "src", "time", "fault.go"): laidOverTime,
		filepath.Join(relay, "fault_clock.go"):         laidOverRelay,
	} {
		file := filepath.Join(dir, filepath.Base(path))
		if err := os.WriteFile(file, []byte(content), 0o600); err != nil {
			return "", fmt.Errorf("moving the clock: %w", err)
		}
		overlay.Replace[path] = file
	}
	list, err := json.Marshal(overlay)
	if err != nil {
		return "", err
	}
	file, binary := filepath.Join(dir, "overlay.json"), filepath.Join(dir, "relay-with-a-clock")
	if err := os.WriteFile(file, list, 0o600); err != nil {
		return "", fmt.Errorf("moving the clock: %w", err)
	}
	build := exec.CommandContext(ctx, "go", "build", "-overlay", file, "-o", binary, "github.com/certlink/certlink/cmd/relay")
	build.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := build.CombinedOutput(); err != nil {
		return "", fmt.Errorf("building the relay: %w: %s", err, out)
	}
	return binary, nil
}
