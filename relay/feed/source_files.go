// SPDX-FileCopyrightText: The certlink authors
// SPDX-License-Identifier: Apache-2.0

package feed

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/certlink/certlink/relay/stix"
	"github.com/certlink/certlink/relay/store"
)

const (
	// maxFilesBytes is what all files of a source have at most: the objects in them
	// are remembered, to find those that have vanished. More belongs behind a URL.
	maxFilesBytes = 64 << 20
	// maxDirectory is the number of files of one directory.
	maxDirectory = 1000
	// maxSwaps is how often the files are looked at anew when they have changed meanwhile.
	maxSwaps = 3
)

var (
	// errNoFiles: there is nothing to read. A ConfigMap that is gone looks like this,
	// and takes nothing back.
	errNoFiles = errors.New("there is no file")
	// errFilesTooLong: see maxFilesBytes.
	errFilesTooLong = fmt.Errorf("the files have more than %d bytes", maxFilesBytes)
	// errKept: an object could not be read, so that nothing can be said to have vanished.
	errKept = errors.New("objects in the files are not valid")
	// errOpening: a file is not there, or no longer: a volume takes away what it replaced.
	errOpening = errors.New("cannot be opened")
)

// fileOrigin are STIX bundles in files, such as a mounted ConfigMap. They are declared
// state: the source holds the versions of objects that stand in the files, and no
// others. What has vanished is deleted only after all files were read without any
// fault.
type fileOrigin struct {
	names []string
}

func (o *fileOrigin) from() string { return "its files" }

func (o *fileOrigin) resume(string) {}

// declared are the versions of objects that stand in files.
type declared map[string]bool

func (d declared) add(o stix.Object) {
	d[versionKey(o.ID, o.Version.UnixMicro(), o.Version.IsZero())] = true
}

func (d declared) has(r store.Record) bool {
	return d[versionKey(r.ID, r.Version.UnixMicro(), r.Version.IsZero())]
}

func versionKey(id string, micros int64, none bool) string {
	if none {
		return id
	}
	return fmt.Sprintf("%s %d", id, micros)
}

// pull stores what is new, then deletes what has vanished:
//
//	read all files, store what is new → delete what no file holds
//
// A crash in between leaves too much, which the next pull deletes. With the quota
// reached, deleting makes room, and the files are read once more.
func (o *fileOrigin) pull(ctx context.Context, in *intake) error {
	for again := false; ; again = true {
		seen, err := o.read(ctx, in)
		full := errors.Is(err, errQuota)
		if err != nil && !full {
			return err
		}
		deleted, err := in.deleteOthers(ctx, seen)
		switch {
		case err != nil:
			return err
		case !full:
			return nil
		case in.holds() >= int64(len(seen)):
			return nil // all of it is stored already, and just fits
		case deleted == 0 || again:
			return errQuota
		}
	}
}

// read stores the objects of all files, and returns them. With errQuota all files
// were read, and not all objects stored. Files that were replaced meanwhile are read anew.
func (o *fileOrigin) read(ctx context.Context, in *intake) (declared, error) {
	for swaps := 0; ; swaps++ {
		files, err := listFiles(o.names)
		if err != nil {
			return nil, err
		}
		seen, err := o.readFiles(ctx, in, files)
		if !errors.Is(err, errOpening) || swaps == maxSwaps {
			return seen, err
		}
	}
}

func (o *fileOrigin) readFiles(ctx context.Context, in *intake, files []string) (declared, error) {
	before := in.refused()
	seen, rest, full := declared{}, int64(maxFilesBytes), false
	for _, name := range files {
		err := eachObject(name, &rest, func(object stix.Object, err error) error {
			var bad *stix.ObjectError
			switch {
			case errors.As(err, &bad):
				in.refuse(ctx, "refused", err)
				return nil
			case err != nil:
				return err
			}
			seen.add(object)
			if full {
				return nil
			}
			err = in.take(ctx, object)
			full = errors.Is(err, errQuota)
			if full {
				return nil
			}
			return err
		})
		if err != nil {
			return nil, err
		}
	}
	if !full {
		err := in.finish(ctx, "")
		if full = errors.Is(err, errQuota); err != nil && !full {
			return nil, err
		}
	}
	if n := in.refused() - before; n > 0 {
		return nil, fmt.Errorf("%w: %d of them", errKept, n)
	}
	if full {
		return seen, errQuota
	}
	return seen, nil
}

// eachObject gives the objects of one file, and the errors of single ones. A file without
// any byte is one that was cut.
func eachObject(name string, rest *int64, give func(stix.Object, error) error) error {
	f, err := os.Open(name)
	if err != nil {
		return fmt.Errorf("%s %w", filepath.Base(name), errOpening)
	}
	defer f.Close()
	reader := stix.NewReader(&measured{Reader: f, rest: rest})
	for {
		object, err := reader.Read()
		var bad *stix.ObjectError
		switch {
		case errors.Is(err, io.EOF):
			return nil
		case err != nil && !errors.As(err, &bad):
			return fmt.Errorf("%s: %w", filepath.Base(name), err)
		}
		if err := give(object, err); err != nil {
			return err
		}
	}
}

// measured ends with an error where the files of a source are too long.
type measured struct {
	io.Reader
	rest *int64
}

// Read implements io.Reader.
func (m *measured) Read(p []byte) (int, error) {
	n, err := m.Reader.Read(p)
	if *m.rest -= int64(n); *m.rest < 0 {
		return 0, errFilesTooLong
	}
	return n, err
}

// listFiles returns the files, those of directories in the order of their names, all of
// one moment: a mounted volume changes by one rename of a link, and half of its files
// before and half after it would look as if objects had vanished.
func listFiles(names []string) ([]string, error) {
	list, err := resolve(names)
	for range maxSwaps {
		again, errAgain := resolve(names)
		if slices.Equal(list, again) {
			break
		}
		list, err = again, errAgain
	}
	return list, err
}

// resolve lists the files by the places where they are now, links followed. Hidden ones
// are left out: that is where a mounted volume keeps its own.
func resolve(names []string) ([]string, error) {
	var list []string
	for _, name := range names {
		if !strings.HasSuffix(name, "/") {
			list = append(list, placeOf(name))
			continue
		}
		place := placeOf(filepath.Join(name, "..data"))
		if _, err := os.Stat(place); err != nil {
			place = name // it is no mounted volume
		}
		files, err := filesIn(place, filepath.Base(name))
		if err != nil {
			return nil, err
		}
		list = append(list, files...)
	}
	slices.Sort(list)
	return slices.Compact(list), nil
}

func placeOf(path string) string {
	if place, err := filepath.EvalSymlinks(path); err == nil {
		return place
	}
	return path
}

// filesIn are the files of a directory that people know by a name.
func filesIn(dir, name string) ([]string, error) {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return nil, errNoFiles
	}
	var list []string
	for _, e := range entries {
		path := filepath.Join(dir, e.Name())
		if info, err := os.Stat(path); strings.HasPrefix(e.Name(), ".") || err != nil || !info.Mode().IsRegular() {
			continue
		}
		if len(list) == maxDirectory {
			return nil, fmt.Errorf("%s has more than %d files", name, maxDirectory)
		}
		list = append(list, path)
	}
	if len(list) == 0 {
		return nil, errNoFiles
	}
	return list, nil
}

// refused is how many objects were refused so far.
func (in *intake) refused() int64 {
	in.mu.Lock()
	defer in.mu.Unlock()
	return in.now.Refused
}

// deleteOthers deletes the records of the collection that are not declared, and
// returns how many these were.
func (in *intake) deleteOthers(ctx context.Context, keep declared) (int, error) {
	total := 0
	q := store.Query{NoContent: true, Limit: chunkObjects}
	for {
		page, err := in.cfg.Store.ListObjects(ctx, in.stored, q)
		if err != nil {
			return total, fmt.Errorf("listing objects: %w", err)
		}
		for _, r := range page.Records {
			if keep.has(r) {
				continue
			}
			version := r.Version
			if version.IsZero() {
				version = r.DateAdded
			}
			n, err := in.deleteFrom(ctx, in.stored, store.Query{IDs: []string{r.ID}, Versions: store.Versions{At: []time.Time{version}}})
			in.gone(int64(n))
			if total += n; err != nil {
				return total, fmt.Errorf("deleting objects: %w", err)
			}
		}
		if page.Next == 0 {
			return total, nil
		}
		q.After = page.Next
	}
}

func (in *intake) gone(n int64) {
	in.mu.Lock()
	in.now.Stored -= n
	in.mu.Unlock()
	in.counts.objects.WithLabelValues("deleted").Add(float64(n))
}
