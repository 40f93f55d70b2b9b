// SPDX-FileCopyrightText: The certlink authors
// SPDX-License-Identifier: Apache-2.0

package territory

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/certlink/certlink/relay/config"
)

const (
	// maxSnapshots of one data set are kept in its directory.
	maxSnapshots = 24
	// maxHistory is the memory for snapshots that are not the newest of their data set;
	// each data set has the same share of it.
	maxHistory = 64 << 20
	// stamp is the form of a date in the name of a file.
	stamp = "20060102T150405Z"
)

// archive keeps what was read of one data set: NAME@DATE files, one for each date.
// It holds nothing that could not be fetched or read again.
type archive struct{ directory, name string }

// stored is a file of an archive.
type stored struct {
	path string
	date time.Time
}

// list returns the files, the oldest first. What is not of the form is not its own.
func (a archive) list() ([]stored, error) {
	files, err := os.ReadDir(a.directory)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	var out []stored
	for _, f := range files {
		text, ok := strings.CutPrefix(f.Name(), a.name+"@")
		if date, err := time.Parse(stamp, text); ok && err == nil {
			out = append(out, stored{filepath.Join(a.directory, f.Name()), date})
		}
	}
	slices.SortFunc(out, func(a, b stored) int { return a.date.Compare(b.date) })
	return out, nil
}

// keep stores the bytes of a snapshot.
//
//  1. They are written to a file with another name, and synced. A crash leaves that
//     file, and the next keep overwrites it.
//  2. It takes the name of its date. A crash leaves the one or the other.
//  3. The directory is synced. A crash before that may undo the second step.
//  4. What is too much is removed. A crash leaves one more than there should be.
func (a archive) keep(raw []byte, date time.Time) error {
	if err := os.MkdirAll(a.directory, 0o700); err != nil {
		return err
	}
	temporary := filepath.Join(a.directory, a.name+".new")
	if err := writeSynced(temporary, raw); err != nil {
		return err
	}
	if err := os.Rename(temporary, filepath.Join(a.directory, a.name+"@"+date.UTC().Format(stamp))); err != nil {
		return err
	}
	if err := syncDirectory(a.directory); err != nil {
		return err
	}
	files, err := a.list()
	if err != nil {
		return err
	}
	for len(files) > maxSnapshots {
		i := superfluous(len(files), func(i int) time.Time { return files[i].date })
		if err := os.Remove(files[i].path); err != nil {
			return err
		}
		files = slices.Delete(files, i, i+1)
	}
	return nil
}

// superfluous is the one of n snapshots, the oldest first, whose neighbours are the
// nearest to each other, so that those that stay are spread over time; never the
// newest or the oldest.
func superfluous(n int, date func(int) time.Time) int {
	best := 1
	for i := 2; i < n-1; i++ {
		if date(i+1).Sub(date(i-1)) < date(best+1).Sub(date(best-1)) {
			best = i
		}
	}
	return best
}

// load reads what was kept, the newest first, and when that was stored: as much of it
// as fits into a history of so many bytes, because each file takes a moment to read.
// What can no longer be read is left out and told of.
func (a archive) load(ctx context.Context, conf config.Dataset, history int) (kept []content, last time.Time, err error) {
	files, err := a.list()
	if err != nil {
		return nil, time.Time{}, fmt.Errorf("reading what was kept: %w", err)
	}
	var faults []error
	for i := len(files) - 1; i >= 0 && history >= 0; i-- {
		raw, info, err := readFile(files[i].path)
		var c content
		if err == nil {
			c, err = load(ctx, conf, raw)
		}
		if err != nil {
			faults = append(faults, fmt.Errorf("reading %q: %w", filepath.Base(files[i].path), err))
			continue
		}
		if len(kept) == 0 {
			last = info.ModTime()
		} else if c.snapshot != nil {
			history -= c.snapshot.bytes()
		}
		kept = append(kept, c)
	}
	return kept, last, errors.Join(faults...)
}

// touch notes that the newest file was found to be current.
func (a archive) touch(now time.Time) {
	if files, err := a.list(); err == nil && len(files) > 0 {
		_ = os.Chtimes(files[len(files)-1].path, now, now) // it is fetched once more, at worst
	}
}

// onlyFile is the file of a path. One that ends in a slash is a directory, such as a
// mounted ConfigMap, with one file; names that begin with a dot are not counted.
func onlyFile(path string) (string, error) {
	if !strings.HasSuffix(path, "/") {
		return path, nil
	}
	files, err := os.ReadDir(path)
	if err != nil {
		return "", err
	}
	files = slices.DeleteFunc(files, func(f fs.DirEntry) bool { return strings.HasPrefix(f.Name(), ".") })
	if len(files) != 1 {
		return "", fmt.Errorf("holds %d files, not one: name one", len(files))
	}
	return filepath.Join(path, files[0].Name()), nil
}

// readFile reads a regular file that is not too large.
func readFile(path string) ([]byte, fs.FileInfo, error) {
	f, err := os.Open(path) //nolint:gosec // an administrator names the files
	if err != nil {
		return nil, nil, err
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return nil, nil, err
	}
	if !info.Mode().IsRegular() {
		return nil, nil, errors.New("is no regular file")
	}
	raw, err := bounded(f, maxFile)
	return raw, info, err
}

func writeSynced(path string, raw []byte) error {
	f, err := os.OpenFile(path, os.O_CREATE|os.O_TRUNC|os.O_WRONLY, 0o600) //nolint:gosec // in our own directory
	if err != nil {
		return err
	}
	_, err = f.Write(raw)
	if err == nil {
		err = f.Sync()
	}
	return errors.Join(err, f.Close())
}

func syncDirectory(path string) error {
	d, err := os.Open(path) //nolint:gosec // our own directory
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}
