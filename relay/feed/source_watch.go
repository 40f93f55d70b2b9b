// SPDX-FileCopyrightText: The certlink authors
// SPDX-License-Identifier: Apache-2.0

package feed

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/certlink/certlink/internal/filewatch"
	"github.com/certlink/certlink/relay/config"
	"github.com/certlink/certlink/relay/remote"
)

// watchEvery is how often the files of sources are looked at without an event.
const watchEvery = 10 * time.Second

// watchFiles pulls a source at once when a file that it depends on has changed: a
// bundle, or credentials, so that what was mended does not wait for a back-off.
func (e *Engine) watchFiles(ctx context.Context) {
	first := true
	err := filewatch.Run(ctx, filewatch.Config{
		Every: watchEvery, Log: e.cfg.Log,
		Files: func() []string {
			var all []string
			for _, f := range e.sources() {
				all = append(all, filesOf(f.conf)...)
			}
			return all
		},
		Changed: func() {
			for _, f := range e.sources() {
				sum := sumOf(filesOf(f.conf))
				if !first && f.sum != "" && f.sum != sum {
					f.wake()
				}
				f.sum = sum
			}
			first = false
		},
	})
	if err != nil {
		e.cfg.Log.Warn("watching the files of sources ended", "error", err)
	}
}

func (e *Engine) sources() []*fetcher {
	e.mu.Lock()
	defer e.mu.Unlock()
	return slices.Clone(e.fetchers)
}

// filesOf are the files that a source depends on; of a directory also ".", so that
// its first file is seen.
func filesOf(s config.PulledSource) []string {
	var list []string
	switch {
	case s.TAXII != nil:
		list = remote.Files(s.TAXII.Remote)
	case s.STIX != nil:
		list = remote.Files(*s.STIX)
	case s.MISP != nil:
		list = remote.Files(*s.MISP)
	}
	for _, name := range s.Files {
		if strings.HasSuffix(name, "/") {
			list = append(list, name+".")
			entries, err := os.ReadDir(name)
			if err != nil {
				continue
			}
			for _, e := range entries[:min(len(entries), maxDirectory)] {
				if !strings.HasPrefix(e.Name(), ".") {
					list = append(list, filepath.Join(name, e.Name()))
				}
			}
			continue
		}
		list = append(list, name)
	}
	return list
}

func sumOf(files []string) string {
	h := sha256.New()
	for _, name := range files {
		fmt.Fprintf(h, "%q:", name)
		if f, err := os.Open(name); err == nil {
			_, _ = io.Copy(h, io.LimitReader(f, maxFilesBytes)) // as much as can be read
			_ = f.Close()
		}
	}
	return hex.EncodeToString(h.Sum(nil))
}
