// SPDX-FileCopyrightText: The certlink authors
// SPDX-License-Identifier: Apache-2.0

package config

// Territory holds the data sets by which the relay tells where an address appears
// to be, and the lists of what tells nothing.
type Territory struct {
	// Datasets of registries and geolocation. At most 32.
	Datasets []Dataset `json:"datasets,omitempty"`
	// WarningLists in the format of MISP. At most 256.
	WarningLists []Dataset `json:"warningLists,omitempty"`
	// Directory in which fetched data sets are kept, one dated file each. Empty means
	// the directory of the store.
	Directory string `json:"directory,omitempty"`
}

// Dataset is a file, or something to fetch. Exactly one of File and Remote is set.
type Dataset struct {
	// Name of the data set, unique.
	Name string `json:"name"`
	// Format is RIRDelegation, MaxMindCountry, MaxMindASN (both also in other
	// publishers' MMDB files) or, in warning lists, MISPWarningList.
	Format string `json:"format"`
	// File is read again when it changes. A path that ends in "/" stands for the one
	// file of that directory, as mounted from a ConfigMap.
	File string `json:"file,omitempty"`
	// Remote is fetched every RefreshHours: 1 to 8760, default 24.
	Remote       *Remote `json:"remote,omitempty"`
	RefreshHours int32   `json:"refreshHours,omitempty"`
}

// PeerTerritory is what counts as a peer's own territory.
type PeerTerritory struct {
	// Countries are ISO 3166-1 alpha-2 codes. At most 16.
	Countries []string `json:"countries,omitempty"`
	// Networks are prefixes in CIDR notation that count whatever the data sets say. At most 256.
	Networks []string `json:"networks,omitempty"`
	// AutonomousSystems are AS numbers that count likewise. At most 256.
	AutonomousSystems []int64 `json:"autonomousSystems,omitempty"`
	// Domains are DNS suffixes, such as a country's top-level domain, that count likewise. At most 64.
	Domains []string `json:"domains,omitempty"`
}

// EmanatesFrom restricts a rule by territory.
type EmanatesFrom string

// The values of EmanatesFrom.
const (
	// FromAnywhere does not look at territory.
	FromAnywhere EmanatesFrom = ""
	// FromPeer sends each peer what appears to emanate from its own territory.
	FromPeer EmanatesFrom = "Peer"
)
