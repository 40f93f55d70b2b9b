// SPDX-FileCopyrightText: The certlink authors
// SPDX-License-Identifier: Apache-2.0

package config

import (
	"fmt"
	"strings"
)

// Fault is one thing that is wrong with a configuration.
type Fault struct {
	// Path of the field, for example "peers[2].bundle".
	Path string
	// Message says what is wrong and what to do. It quotes no secrets.
	Message string
}

func (f Fault) String() string {
	if f.Path == "" {
		return f.Message
	}
	return f.Path + ": " + f.Message
}

// FaultsError holds every fault that was found, in the order of the fields.
type FaultsError []Fault

// Error lists the faults, separated by semicolons.
func (e FaultsError) Error() string {
	parts := make([]string, len(e))
	for i, f := range e {
		parts[i] = f.String()
	}
	return strings.Join(parts, "; ")
}

// faults collects what is wrong below one field.
type faults struct {
	path string
	list *FaultsError
}

func newFaults() faults { return faults{list: &FaultsError{}} }

// in returns the same collection with a longer path.
func (f faults) in(name string) faults {
	if f.path != "" {
		name = f.path + "." + name
	}
	return faults{path: name, list: f.list}
}

// at returns the same collection with an index added to the path.
func (f faults) at(i int) faults {
	return faults{path: fmt.Sprintf("%s[%d]", f.path, i), list: f.list}
}

func (f faults) add(format string, args ...any) {
	*f.list = append(*f.list, Fault{Path: f.path, Message: fmt.Sprintf(format, args...)})
}

// err returns what was collected, nil when it is nothing.
func (f faults) err() error {
	if len(*f.list) == 0 {
		return nil
	}
	return *f.list
}
