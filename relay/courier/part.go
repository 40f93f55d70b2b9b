// SPDX-FileCopyrightText: The certlink authors
// SPDX-License-Identifier: Apache-2.0

package courier

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"regexp"
)

const (
	// partMagic begins every file; its number is the version of the form.
	partMagic = "certlink-courier/1\n"
	// HeaderBytes is the size of the header in clear: the magic, a line of JSON, the SHA-256
	// of that line, spaces, a line break.
	HeaderBytes = 1024
	// MaxParts of a set.
	MaxParts = 999
	// MinPart is the smallest size of a file.
	MinPart = 16 << 10
	// Extension of files.
	Extension = ".certlink"
)

// Part is the header of one file, in clear: what a courier's customs may read.
type Part struct {
	// Set, From and To as in Statement.
	Set  string `json:"set"`
	From string `json:"from"`
	To   string `json:"to"`
	// Number of this part, from 1, of so many Parts.
	Number int `json:"part"`
	Parts  int `json:"parts"`
	// Bytes and SHA256 are those of what follows the header.
	Bytes  int64  `json:"bytes"`
	SHA256 string `json:"sha256"`
}

var (
	setShape    = regexp.MustCompile(`^[0-9a-f]{32}$`)
	sumShape    = regexp.MustCompile(`^[0-9a-f]{64}$`)
	domainShape = regexp.MustCompile(`^[a-z0-9]([a-z0-9._-]{0,253}[a-z0-9])?$`)
)

// Encode writes a header of HeaderBytes.
func (p Part) Encode() ([]byte, error) {
	line, err := json.Marshal(p)
	if err != nil {
		return nil, fmt.Errorf("writing a header: %w", err)
	}
	head := append([]byte(partMagic), line...)
	head = append(append(head, '\n'), digest(line)...)
	if len(head) >= HeaderBytes {
		return nil, fmt.Errorf("writing a header: %d bytes are too many", len(head))
	}
	return append(append(head, bytes.Repeat([]byte(" "), HeaderBytes-1-len(head))...), '\n'), nil
}

// ParsePart reads a header.
func ParsePart(head []byte) (Part, error) {
	rest, ok := bytes.CutPrefix(head, []byte(partMagic))
	if !ok || len(head) != HeaderBytes {
		return Part{}, errors.New("it is no file of a courier")
	}
	line, rest, ok := bytes.Cut(rest, []byte("\n"))
	if !ok || string(bytes.TrimRight(rest, " \n")) != digest(line) {
		return Part{}, fmt.Errorf("its header was changed: %w", ErrDamaged)
	}
	var p Part
	if err := json.Unmarshal(line, &p); err != nil {
		return Part{}, fmt.Errorf("its header is no JSON: %w", ErrDamaged)
	}
	again, err := p.Encode()
	if err != nil || !bytes.Equal(again, head) ||
		!setShape.MatchString(p.Set) || !sumShape.MatchString(p.SHA256) || !domainShape.MatchString(p.From) || !domainShape.MatchString(p.To) ||
		p.Parts < 1 || p.Parts > MaxParts || p.Number < 1 || p.Number > p.Parts || p.Bytes < 1 {
		return Part{}, fmt.Errorf("its header cannot be: %w", ErrDamaged)
	}
	return p, nil
}

// Splitter writes a set into files of a size. Until Commit they have names that Import
// does not take.
type Splitter struct {
	directory, name string
	set, from, to   string
	size            int64

	file  *os.File
	sum   *sums
	part  Part
	parts []Part
	paths []string
}

// NewSplitter begins files NAME.001.certlink, NAME.002.certlink and so on in a directory,
// each of at most size bytes.
func NewSplitter(directory, name, set, from, to string, size int64) (*Splitter, error) {
	if size < MinPart {
		return nil, fmt.Errorf("files of %d bytes are smaller than %d", size, MinPart)
	}
	if filepath.Base(name) != name || name == "." {
		return nil, fmt.Errorf("%q is no file name", name)
	}
	return &Splitter{directory: directory, name: name, set: set, from: from, to: to, size: size}, nil
}

// Write implements io.Writer.
func (s *Splitter) Write(p []byte) (n int, err error) {
	for len(p) > 0 {
		if s.file != nil && s.part.Bytes == s.size-HeaderBytes {
			if err := s.end(); err != nil {
				return n, err
			}
		}
		if s.file == nil {
			if err := s.begin(); err != nil {
				return n, err
			}
		}
		fits := min(int64(len(p)), s.size-HeaderBytes-s.part.Bytes)
		wrote, err := s.file.Write(p[:fits])
		s.sum.add(p[:wrote])
		s.part.Bytes += int64(wrote)
		n += wrote
		if err != nil {
			return n, err
		}
		p = p[fits:]
	}
	return n, nil
}

func (s *Splitter) begin() error {
	if len(s.parts) == MaxParts {
		return fmt.Errorf("the set needs more than %d files of %d bytes: choose a larger size", MaxParts, s.size)
	}
	file, err := os.CreateTemp(s.directory, "."+s.name+"-*.part") // 0600
	if err != nil {
		return err
	}
	s.file, s.sum = file, newSums()
	s.part = Part{Set: s.set, From: s.from, To: s.to, Number: len(s.parts) + 1}
	s.paths = append(s.paths, file.Name())
	_, err = file.Write(make([]byte, HeaderBytes))
	return err
}

func (s *Splitter) end() error {
	s.part.SHA256 = s.sum.hex()
	s.parts = append(s.parts, s.part)
	err := s.file.Close()
	s.file = nil
	return err
}

// Commit writes the headers, and gives the files their names.
//
//  1. Each file gets its header and is on stable storage. A crash before leaves hidden
//     files that are no parts.
//  2. Each gets its name, which must be free; then the directory is on stable storage. A
//     crash between leaves some of the parts: import names those that are missing.
func (s *Splitter) Commit() ([]string, error) {
	if s.file != nil {
		if err := s.end(); err != nil {
			return nil, err
		}
	}
	for i := range s.parts {
		s.parts[i].Parts = len(s.parts)
		if err := finish(s.paths[i], s.parts[i]); err != nil {
			return nil, err
		}
	}
	var names []string
	for i, from := range s.paths {
		name := filepath.Join(s.directory, fmt.Sprintf("%s.%03d%s", s.name, i+1, Extension))
		if err := os.Link(from, name); err != nil { // unlike a rename it replaces nothing
			if !errors.Is(err, errors.ErrUnsupported) && !os.IsPermission(err) {
				return names, fmt.Errorf("naming %s: %w", name, err)
			}
			if _, err := os.Lstat(name); err == nil {
				return names, fmt.Errorf("naming %s: it is there already", name)
			}
			if err := os.Rename(from, name); err != nil { // a medium without links
				return names, fmt.Errorf("naming %s: %w", name, err)
			}
		}
		names = append(names, name)
	}
	s.Discard()
	return names, syncDirectory(s.directory)
}

// Discard deletes what has no name yet.
func (s *Splitter) Discard() {
	if s.file != nil {
		_ = s.file.Close()
		s.file = nil
	}
	for _, path := range s.paths {
		_ = os.Remove(path)
	}
	s.paths = nil
}

func finish(path string, p Part) error {
	head, err := p.Encode()
	if err != nil {
		return err
	}
	file, err := os.OpenFile(path, os.O_WRONLY, 0)
	if err != nil {
		return err
	}
	_, err = file.WriteAt(head, 0)
	if err == nil {
		err = file.Sync()
	}
	return errors.Join(err, file.Close())
}

func syncDirectory(path string) error {
	dir, err := os.Open(path)
	if err != nil {
		return err
	}
	err = dir.Sync()
	if errors.Is(err, errors.ErrUnsupported) || os.IsPermission(err) {
		err = nil // some media cannot
	}
	return errors.Join(err, dir.Close())
}

// openPart opens a file, and nothing else: a pipe would be waited for, and a device need not end.
func openPart(path string) (*os.File, error) {
	info, err := os.Stat(path)
	if err != nil {
		return nil, err
	}
	if !info.Mode().IsRegular() {
		return nil, fmt.Errorf("%s: it is no file (%s)", path, info.Mode().Type())
	}
	return os.Open(path)
}

// ReadPart reads the header of a file, and compares its content with it.
func ReadPart(path string) (Part, error) {
	file, err := openPart(path)
	if err != nil {
		return Part{}, err
	}
	defer file.Close()
	head := make([]byte, HeaderBytes)
	if _, err := io.ReadFull(file, head); err != nil {
		return Part{}, fmt.Errorf("%s: it is no file of a courier, or cut", path)
	}
	p, err := ParsePart(head)
	if err != nil {
		return Part{}, fmt.Errorf("%s: %w", path, err)
	}
	info, err := file.Stat()
	if err != nil {
		return p, fmt.Errorf("reading %s: %w", path, err)
	}
	if n := info.Size() - HeaderBytes; n != p.Bytes {
		return p, fmt.Errorf("%s: it has %d bytes behind its header, not %d: %w", path, n, p.Bytes, ErrDamaged)
	}
	sum := sha256.New()
	switch n, err := io.Copy(sum, io.LimitReader(file, p.Bytes)); {
	case err != nil:
		return p, fmt.Errorf("reading %s: %w", path, err)
	case n != p.Bytes:
		return p, fmt.Errorf("%s: it became shorter while it was read: %w", path, ErrDamaged)
	case hex.EncodeToString(sum.Sum(nil)) != p.SHA256:
		return p, fmt.Errorf("%s: its content was changed: %w", path, ErrDamaged)
	}
	return p, nil
}
