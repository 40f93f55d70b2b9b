// SPDX-FileCopyrightText: The certlink authors
// SPDX-License-Identifier: Apache-2.0

//go:build linux

package campaign

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
)

// copyPart copies a file or a directory of files.
func copyPart(from fs.FS, part, to string) error {
	return fs.WalkDir(from, part, func(path string, entry fs.DirEntry, err error) error {
		if err != nil {
			return fmt.Errorf("keeping %s: %w", path, err)
		}
		target := filepath.Join(to, path)
		if entry.IsDir() {
			return os.MkdirAll(target, 0o700)
		}
		return copyFile(from, path, target)
	})
}

func copyFile(from fs.FS, path, target string) (err error) {
	if err := os.MkdirAll(filepath.Dir(target), 0o700); err != nil {
		return fmt.Errorf("keeping %s: %w", path, err)
	}
	source, err := from.Open(path)
	if err != nil {
		return fmt.Errorf("keeping %s: %w", path, err)
	}
	defer source.Close()
	file, err := os.OpenFile(target, os.O_CREATE|os.O_WRONLY|os.O_TRUNC, 0o600)
	if err != nil {
		return fmt.Errorf("keeping %s: %w", path, err)
	}
	_, err = io.Copy(file, source)
	return errors.Join(err, file.Close())
}
