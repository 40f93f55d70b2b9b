// SPDX-FileCopyrightText: The certlink authors
// SPDX-License-Identifier: Apache-2.0

package courier

import (
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strconv"
	"strings"
)

// MaxSets is how many sets Sort tells apart: each header can say that there are MaxParts of it.
const MaxSets = 1000

// Set is the files of one set, in order.
type Set struct {
	// ID, From and To as in Statement.
	ID, From, To string
	// Parts there are to be; Missing are those that are not here.
	Parts   int
	Missing []int
	// Bytes of all files, without their headers.
	Bytes int64

	paths []string
}

// Sort puts files into sets, in the order in which the sets come first. Files may come in
// any order and repeatedly. A file that cannot be read, is damaged, or does not go with the
// others of its set, is in bad; nothing of it counts.
func Sort(files []string) (sets []*Set, bad []error) {
	byID := map[string]*Set{}
	parts := map[string]map[int]Part{}
	for _, path := range files {
		p, err := ReadPart(path)
		if err != nil {
			bad = append(bad, err)
			continue
		}
		s := byID[p.Set]
		if s == nil && len(sets) == MaxSets {
			bad = append(bad, fmt.Errorf("%s: it is of one set more than the %d that are taken at once: name fewer files", path, MaxSets))
			continue
		}
		if s == nil {
			s = &Set{ID: p.Set, From: p.From, To: p.To, Parts: p.Parts, paths: make([]string, p.Parts)}
			byID[p.Set], parts[p.Set] = s, map[int]Part{}
			sets = append(sets, s)
		}
		before, repeated := parts[p.Set][p.Number]
		switch {
		case s.From != p.From || s.To != p.To || s.Parts != p.Parts, repeated && before != p:
			bad = append(bad, fmt.Errorf("%s: it does not go with the other files of set %s: %w", path, p.Set, ErrDamaged))
		case !repeated:
			parts[p.Set][p.Number], s.paths[p.Number-1] = p, path
			s.Bytes += p.Bytes
		}
	}
	for _, s := range sets {
		for i, path := range s.paths {
			if path == "" {
				s.Missing = append(s.Missing, i+1)
			}
		}
	}
	return sets, bad
}

// Lacks says which parts are missing, for people; "" if none is.
func (s *Set) Lacks() string {
	var runs []string
	for i := 0; i < len(s.Missing); {
		j := i
		for j+1 < len(s.Missing) && s.Missing[j+1] == s.Missing[j]+1 {
			j++
		}
		run := strconv.Itoa(s.Missing[i])
		if j > i {
			run += "–" + strconv.Itoa(s.Missing[j])
		}
		runs, i = append(runs, run), j+1
	}
	if len(runs) == 0 {
		return ""
	}
	return fmt.Sprintf("parts %s of %d", strings.Join(runs, ", "), s.Parts)
}

// Open reads the content of all parts, one after the other. A set with missing parts does
// not open.
func (s *Set) Open() (io.ReadCloser, error) {
	if len(s.Missing) > 0 {
		return nil, fmt.Errorf("set %s: %s are missing", s.ID, s.Lacks())
	}
	return &joined{paths: slices.Clone(s.paths)}, nil
}

// joined reads files one after the other, with one of them open.
type joined struct {
	paths []string
	file  *os.File
}

// Read implements io.Reader.
func (j *joined) Read(p []byte) (int, error) {
	for {
		if j.file == nil {
			if len(j.paths) == 0 {
				return 0, io.EOF
			}
			file, err := openPart(j.paths[0])
			if err != nil {
				return 0, err
			}
			j.file, j.paths = file, j.paths[1:]
			if _, err := file.Seek(HeaderBytes, io.SeekStart); err != nil {
				return 0, err
			}
		}
		n, err := j.file.Read(p)
		if n > 0 || err != nil && !errors.Is(err, io.EOF) {
			return n, err
		}
		if err := j.Close(); err != nil {
			return 0, err
		}
	}
}

// Close implements io.Closer.
func (j *joined) Close() error {
	if j.file == nil {
		return nil
	}
	err := j.file.Close()
	j.file = nil
	return err
}
