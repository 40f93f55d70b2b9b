// SPDX-FileCopyrightText: The certlink authors
// SPDX-License-Identifier: Apache-2.0

// Package filewatch tells when the content of files has changed.
//
// It watches the directories of the files and also reads the files at intervals,
// because file events get lost: the kubelet swaps symbolic links, network file
// systems send none, and a queue can overflow. What counts is the content: a
// write that changes nothing is not told. A file that cannot be read counts as
// content of its own.
//
// It promises nothing about the order of changes to several files: read them all
// when one has changed, and be ready to find them half-written.
package filewatch

import (
	"context"
	"crypto/sha256"
	"fmt"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"time"

	"github.com/fsnotify/fsnotify"
)

// settle is how long to wait after an event, so that a burst of them is one change.
const settle = 50 * time.Millisecond

// maxBytes is how much of a file is looked at. It is more than any reader of the
// files accepts.
const maxBytes = 4 << 20

// Config says what to watch.
type Config struct {
	// Files returns the paths to watch; it is asked again at each look.
	Files func() []string
	// Every is the interval at which files are read without an event.
	Every time.Duration
	// Changed is called once at the start, because a change may have come before,
	// and then after each change; never twice at the same time.
	Changed func()
	// Log is told when events are not to be had.
	Log *slog.Logger
}

// Run watches until the context ends, and returns nil then.
func Run(ctx context.Context, cfg Config) error {
	w := &watch{cfg: cfg, watched: map[string]bool{}}
	var events <-chan fsnotify.Event
	if notify, err := fsnotify.NewWatcher(); err == nil {
		defer notify.Close()
		w.notify, events = notify, notify.Events
	} else {
		cfg.Log.Warn("watching files by interval only", "error", err)
	}
	tick := time.NewTicker(cfg.Every)
	defer tick.Stop()
	for {
		w.look()
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
		case <-events:
			if !wait(ctx, settle) {
				return nil
			}
			drain(events)
		}
	}
}

type watch struct {
	cfg     Config
	notify  *fsnotify.Watcher // nil when there are no events
	watched map[string]bool   // directories
	last    string
}

// look reads the files and tells when they differ from the last time.
func (w *watch) look() {
	files := w.cfg.Files()
	for _, file := range files {
		w.follow(filepath.Dir(file))
	}
	if now := digest(files); now != w.last {
		w.last = now
		w.cfg.Changed()
	}
}

// follow adds a directory to those whose events are seen. One that is not there
// yet is tried again at the next look; until then the interval serves.
func (w *watch) follow(dir string) {
	if w.notify == nil || w.watched[dir] {
		return
	}
	if w.notify.Add(dir) == nil {
		w.watched[dir] = true
	}
}

func digest(files []string) string {
	all := sha256.New()
	for _, file := range files {
		fmt.Fprintf(all, "%q:%x\n", file, content(file))
	}
	return string(all.Sum(nil))
}

// content is the hash of a file, or of the reason why it cannot be read.
func content(file string) []byte {
	h := sha256.New()
	f, err := os.Open(file)
	if err == nil {
		defer f.Close()
		_, err = io.Copy(h, io.LimitReader(f, maxBytes))
	}
	if err != nil {
		fmt.Fprintf(h, "unreadable: %v", err)
	}
	return h.Sum(nil)
}

func wait(ctx context.Context, d time.Duration) bool {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-ctx.Done():
		return false
	case <-t.C:
		return true
	}
}

func drain(events <-chan fsnotify.Event) {
	for {
		select {
		case <-events:
		default:
			return
		}
	}
}
