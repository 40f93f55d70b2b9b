// SPDX-FileCopyrightText: The certlink authors
// SPDX-License-Identifier: Apache-2.0

package hotline

import "os"

// backup stops a nation and returns what puts the present state of its disk back later.
func (n *nation) backup() (restore func()) {
	n.t.Helper()
	n.kill()
	raw := n.image()
	n.start()
	return func() {
		n.t.Helper()
		n.kill()
		n.imprint(raw)
	}
}

// image is what is on the disk of a nation that does not run.
func (n *nation) image() []byte {
	n.t.Helper()
	raw, err := os.ReadFile(n.path)
	if err != nil {
		n.t.Fatal(err)
	}
	return raw
}

// imprint puts that on the disk, and nothing else.
func (n *nation) imprint(raw []byte) {
	n.t.Helper()
	for _, end := range []string{"-wal", "-shm"} {
		if err := os.Remove(n.path + end); err != nil && !os.IsNotExist(err) {
			n.t.Fatal(err)
		}
	}
	if err := os.WriteFile(n.path, raw, 0o600); err != nil {
		n.t.Fatal(err)
	}
}
