// SPDX-FileCopyrightText: The certlink authors
// SPDX-License-Identifier: Apache-2.0

package offer

import (
	"fmt"
	"slices"
)

// versions of the link protocol that this release speaks.
var versions = []int32{1}

// Versions of the link protocol that this release speaks, ascending.
func Versions() []int32 { return slices.Clone(versions) }

// Agreement is which version of the link protocol two relays speak.
type Agreement struct {
	// Version is the highest that both speak; zero when there is none, or when the
	// peer has not said yet.
	Version int32
	// OK allows traffic beside offers: there is such a version, or the peer has not
	// said yet.
	OK bool
	// Said: the peer has said which versions it speaks.
	Said bool
	// Ours and Theirs are the versions of each side.
	Ours, Theirs []int32
}

// Agree takes the highest version that both speak. Both sides come to the same.
func Agree(ours, theirs []int32) Agreement {
	a := Agreement{Said: true, Ours: ours, Theirs: theirs}
	for _, v := range ours {
		if slices.Contains(theirs, v) {
			a.Version = max(a.Version, v)
		}
	}
	a.OK = a.Version > 0
	return a
}

// Err says which side must be upgraded; nil when traffic is allowed.
func (a Agreement) Err() error {
	if a.OK {
		return nil
	}
	return &VersionError{Ours: a.Ours, Theirs: a.Theirs}
}

// VersionError says that two relays have no version of the link protocol in common.
type VersionError struct {
	Ours, Theirs []int32
}

// Error says which side must be upgraded.
func (e *VersionError) Error() string {
	behind := "the peer's relay"
	if e.WeAreBehind() {
		behind = "our relay"
	}
	return fmt.Sprintf("no version of the link protocol in common: our relay speaks %v, the peer's %v; only offers are exchanged until %s is upgraded",
		e.Ours, e.Theirs, behind)
}

// WeAreBehind tells whether it is our side that must be upgraded: the one whose
// newest version is the older.
func (e *VersionError) WeAreBehind() bool { return newest(e.Ours) < newest(e.Theirs) }

func newest(versions []int32) int32 {
	if len(versions) == 0 {
		return 0
	}
	return slices.Max(versions)
}
