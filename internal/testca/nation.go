// SPDX-FileCopyrightText: The certlink authors
// SPDX-License-Identifier: Apache-2.0

package testca

import (
	"fmt"
	"path/filepath"
)

// Paths of the SPIFFE IDs that a CERT has.
var Paths = []string{"/relay", "/local", "/signing", "/operator", "/desk", "/tool"}

// WriteNation issues every certificate of a CERT and writes each into a
// directory named by its path under dir: relay, local, signing, operator, desk
// and tool.
func (ca *CA) WriteNation(dir string) error {
	for _, path := range Paths {
		p, err := ca.Issue(Leaf{Path: path})
		if err != nil {
			return fmt.Errorf("issuing %s: %w", path, err)
		}
		if err := p.Write(filepath.Join(dir, path)); err != nil {
			return err
		}
	}
	return nil
}
