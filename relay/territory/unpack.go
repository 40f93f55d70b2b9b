// SPDX-FileCopyrightText: The certlink authors
// SPDX-License-Identifier: Apache-2.0

package territory

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"errors"
	"fmt"
	"io"
	"strings"
)

// maxFile is the size of the largest data set, packed or not: 128 MiB. The largest
// city databases have half of it.
const maxFile = 128 << 20

// errTooLarge: a file is larger than maxFile.
var errTooLarge = fmt.Errorf("is larger than %d MiB", maxFile>>20)

// unpack returns the data set in a file: the file itself, or what gzip packed, and of
// an archive the first database in it. Publishers use all three. What is unpacked has
// at most so many bytes.
func unpack(file []byte, most int64) ([]byte, error) {
	if !bytes.HasPrefix(file, []byte{0x1f, 0x8b}) {
		return file, nil
	}
	z, err := gzip.NewReader(bytes.NewReader(file))
	if err != nil {
		return nil, fmt.Errorf("unpacking: %w", err)
	}
	raw, err := bounded(z, most)
	if err != nil {
		return nil, fmt.Errorf("unpacking: %w", err)
	}
	if len(raw) < 512 || string(raw[257:262]) != "ustar" {
		return raw, nil
	}
	archive := tar.NewReader(bytes.NewReader(raw))
	for {
		header, err := archive.Next()
		switch {
		case errors.Is(err, io.EOF):
			return nil, errors.New("unpacking: the archive holds no .mmdb file")
		case err != nil:
			return nil, fmt.Errorf("unpacking: %w", err)
		case header.Typeflag == tar.TypeReg && strings.HasSuffix(header.Name, ".mmdb"):
			return bounded(archive, most)
		}
	}
}

// bounded reads all of a file that has at most so many bytes.
func bounded(r io.Reader, most int64) ([]byte, error) {
	raw, err := io.ReadAll(io.LimitReader(r, most+1))
	if err == nil && int64(len(raw)) > most {
		err = errTooLarge
	}
	return raw, err
}
