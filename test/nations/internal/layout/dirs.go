// SPDX-FileCopyrightText: The certlink authors
// SPDX-License-Identifier: Apache-2.0

package layout

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
)

// Module is the path of certlink's own Go module.
const Module = "github.com/certlink/certlink"

// State is the directory of everything that lives only while nations run.
type State string

// Cache returns ${XDG_CACHE_HOME:-~/.cache}/certlink, the root of all that the harness keeps outside the repository.
func Cache() (string, error) {
	dir, err := os.UserCacheDir()
	if err != nil {
		return "", fmt.Errorf("finding the cache directory (set HOME or XDG_CACHE_HOME): %w", err)
	}
	return filepath.Join(dir, "certlink"), nil
}

// RunState returns the State directory below the cache.
func RunState() (State, error) {
	cache, err := Cache()
	return State(filepath.Join(cache, "run")), err
}

// Repository returns the root of certlink's source tree: the first directory upwards from the working directory whose
// go.mod is certlink's.
func Repository() (string, error) {
	dir, err := os.Getwd()
	if err != nil {
		return "", fmt.Errorf("finding the working directory: %w", err)
	}
	for at := dir; ; at = filepath.Dir(at) {
		mod, err := os.ReadFile(filepath.Join(at, "go.mod"))
		if err == nil && strings.HasPrefix(string(mod), "module "+Module+"\n") {
			return at, nil
		}
		if at == filepath.Dir(at) {
			return "", fmt.Errorf("finding certlink's source tree upwards of %q: no go.mod of %s; run this inside the repository", dir, Module)
		}
	}
}

// HubSocket is where the hub takes orders.
func (s State) HubSocket() string { return filepath.Join(string(s), "hub.sock") }

// HubLog is the hub's log.
func (s State) HubLog() string { return filepath.Join(string(s), "hub.log") }

// Nation returns the directories of one nation.
func (s State) Nation(n Nation) Dirs { return Dirs(filepath.Join(string(s), n.Name)) }

// Dirs is one nation's directory.
type Dirs string

// Path joins names below the nation's directory.
func (d Dirs) Path(names ...string) string {
	return filepath.Join(append([]string{string(d)}, names...)...)
}

// PKI is a file of the nation's certificates and kubeconfigs.
func (d Dirs) PKI(name string) string { return d.Path("pki", name) }

// Log is the log of one of the nation's processes.
func (d Dirs) Log(name string) string { return d.Path("log", name+".log") }

// InitSocket is where the nation's first process takes orders.
func (d Dirs) InitSocket() string { return d.Path("init.sock") }

// Volumes is where the volumes of claims are.
func (d Dirs) Volumes() string { return d.Path("volumes") }
