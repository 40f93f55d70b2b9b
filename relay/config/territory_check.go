// SPDX-FileCopyrightText: The certlink authors
// SPDX-License-Identifier: Apache-2.0

package config

import (
	"net/netip"
	"path/filepath"
	"regexp"
	"slices"
)

// The formats of a Dataset.
const (
	RIRDelegation   = "RIRDelegation"
	MaxMindCountry  = "MaxMindCountry"
	MaxMindASN      = "MaxMindASN"
	MISPWarningList = "MISPWarningList"
)

// DefaultRefreshHours is how often a data set is fetched: registries publish daily.
const DefaultRefreshHours = 24

// territoryDirectory is the directory of data sets beside the embedded store.
const territoryDirectory = "territory"

var country = regexp.MustCompile(`^[A-Z]{2}$`)

// setDefaults fills in what was left out. Without an embedded store there is no
// default directory.
func (t *Territory) setDefaults(store SQLite) {
	if len(t.Datasets)+len(t.WarningLists) == 0 {
		return
	}
	if t.Directory == "" && store.Path != "" {
		t.Directory = filepath.Join(filepath.Dir(store.Path), territoryDirectory)
	}
	for _, list := range [][]Dataset{t.Datasets, t.WarningLists} {
		for i := range list {
			if list[i].Remote != nil {
				fill(&list[i].RefreshHours, DefaultRefreshHours)
			}
		}
	}
	for i := range t.WarningLists {
		fill(&t.WarningLists[i].Format, MISPWarningList)
	}
}

func (t Territory) validate(f faults) {
	names := newSet("name of a data set or warning list")
	checkCount(f.in("datasets"), len(t.Datasets), 32)
	for i, d := range t.Datasets {
		at := f.in("datasets").at(i)
		checkOneOf(at.in("format"), d.Format, RIRDelegation, MaxMindCountry, MaxMindASN)
		d.validate(at, names)
	}
	checkCount(f.in("warningLists"), len(t.WarningLists), 256)
	for i, d := range t.WarningLists {
		at := f.in("warningLists").at(i)
		checkOneOf(at.in("format"), d.Format, MISPWarningList)
		d.validate(at, names)
	}
	fetched := func(d Dataset) bool { return d.Remote != nil }
	switch {
	case t.Directory != "":
		checkFile(f.in("directory"), t.Directory)
	case slices.ContainsFunc(t.Datasets, fetched), slices.ContainsFunc(t.WarningLists, fetched):
		f.in("directory").add("must name a directory for what is fetched; only the embedded store has one of its own")
	}
}

func (d Dataset) validate(f faults, names *set) {
	checkName(f.in("name"), d.Name)
	names.add(f.in("name"), d.Name)
	switch {
	case (d.File == "") == (d.Remote == nil):
		f.add("must have either file or remote")
	case d.Remote != nil:
		d.Remote.validate(f.in("remote"))
		checkRange(f.in("refreshHours"), d.RefreshHours, 1, 8760)
	default:
		checkFile(f.in("file"), d.File)
		if d.RefreshHours != 0 {
			f.in("refreshHours").add("belongs to remote; a file is read again when it changes")
		}
	}
}

func (t PeerTerritory) validate(f faults) {
	checkCount(f.in("countries"), len(t.Countries), 16)
	for i, c := range t.Countries {
		if !country.MatchString(c) {
			f.in("countries").at(i).add("%q must be two capital letters, as in ISO 3166-1 alpha-2", clip(c))
		}
	}
	checkCount(f.in("networks"), len(t.Networks), 256)
	for i, n := range t.Networks {
		if _, err := netip.ParsePrefix(n); err != nil {
			f.in("networks").at(i).add("%q must be a network in CIDR notation, such as 192.0.2.0/24", clip(n))
		}
	}
	checkCount(f.in("autonomousSystems"), len(t.AutonomousSystems), 256)
	for i, n := range t.AutonomousSystems {
		checkRange(f.in("autonomousSystems").at(i), n, 1, 1<<32-1)
	}
	checkCount(f.in("domains"), len(t.Domains), 64)
	for i, d := range t.Domains {
		if !subdomain.MatchString(d) {
			f.in("domains").at(i).add("%q must be a DNS name in lower case, such as gov.example", clip(d))
		}
	}
}
