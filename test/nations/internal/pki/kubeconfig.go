// SPDX-FileCopyrightText: The certlink authors
// SPDX-License-Identifier: Apache-2.0

package pki

import (
	"encoding/base64"
	"fmt"
	"os"
	"path/filepath"

	"github.com/certlink/certlink/test/nations/internal/layout"
)

const kubeconfig = `apiVersion: v1
kind: Config
clusters:
- name: %[1]s
  cluster:
    server: %[2]s
    certificate-authority-data: %[4]s
users:
- name: %[3]s
  user:
    client-certificate-data: %[5]s
    client-key-data: %[6]s
contexts:
- name: %[1]s
  context: {cluster: %[1]s, user: %[3]s}
current-context: %[1]s
`

// WriteKubeconfig writes a kubeconfig of the user whose certificate is in the nation's pki directory. The file replaces
// an older one at once, so a reader never sees half of it.
func WriteKubeconfig(dirs layout.Dirs, user, server, path string) error {
	var encoded [3]string
	for i, name := range []string{"ca.crt", user + ".crt", user + ".key"} {
		content, err := os.ReadFile(dirs.PKI(name))
		if err != nil {
			return fmt.Errorf("reading %q for a kubeconfig: %w", name, err)
		}
		encoded[i] = base64.StdEncoding.EncodeToString(content)
	}
	text := fmt.Sprintf(kubeconfig, filepath.Base(string(dirs)), server, user, encoded[0], encoded[1], encoded[2])
	next := path + ".next"
	if err := os.WriteFile(next, []byte(text), 0o600); err != nil {
		return fmt.Errorf("writing kubeconfig %q: %w", path, err)
	}
	if err := os.Rename(next, path); err != nil {
		return fmt.Errorf("putting kubeconfig %q in place: %w", path, err)
	}
	return nil
}
