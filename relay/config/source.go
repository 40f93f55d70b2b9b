// SPDX-FileCopyrightText: The certlink authors
// SPDX-License-Identifier: Apache-2.0

package config

// Defaults of pulled sources.
const (
	DefaultSourceIntervalSeconds = 300
	DefaultSourceMaxObjects      = 1_000_000
)

// maxSourceFiles is the largest number of files, or directories of files, of a source.
const maxSourceFiles = 64

// PulledSource says where the relay itself fetches a source's objects. Exactly one of
// TAXII, STIX, MISP and Files is set.
type PulledSource struct {
	// TAXII is a TAXII 2.1 collection.
	TAXII *TAXIISource `json:"taxii,omitempty"`
	// STIX is a STIX 2.0 or 2.1 bundle behind an HTTP(S) URL.
	STIX *Remote `json:"stix,omitempty"`
	// MISP is a MISP feed: the directory with manifest.json.
	MISP *Remote `json:"misp,omitempty"`
	// Files are STIX bundles in files, as mounted from a ConfigMap; a name that ends
	// in "/" stands for all files of that directory. At most 64.
	Files []string `json:"files,omitempty"`
	// IntervalSeconds between two looks: 1 to 86400, default 300.
	IntervalSeconds int32 `json:"intervalSeconds,omitempty"`
	// MaxObjects that are kept: 1 to 100000000, default 1000000.
	MaxObjects int64 `json:"maxObjects,omitempty"`
}

// TAXIISource is a collection of a TAXII 2.1 server.
type TAXIISource struct {
	// Remote is the server: the URL of its API root, or of its discovery.
	Remote Remote `json:"remote"`
	// Collection is the id, alias or title of the collection.
	Collection string `json:"collection"`
}

func (s *PulledSource) setDefaults() {
	if s == nil {
		return
	}
	fill(&s.IntervalSeconds, DefaultSourceIntervalSeconds)
	fill(&s.MaxObjects, DefaultSourceMaxObjects)
}

func (s *PulledSource) validate(f faults) {
	if s == nil {
		return
	}
	parts := 0
	if s.TAXII != nil {
		parts++
		s.TAXII.validate(f.in("taxii"))
	}
	if s.STIX != nil {
		parts++
		s.STIX.validate(f.in("stix"))
	}
	if s.MISP != nil {
		parts++
		s.MISP.validate(f.in("misp"))
	}
	if len(s.Files) > 0 {
		parts++
		checkCount(f.in("files"), len(s.Files), maxSourceFiles)
		files := newSet("file")
		for i, path := range s.Files {
			checkFile(f.in("files").at(i), path)
			files.add(f.in("files").at(i), path)
		}
	}
	if parts != 1 {
		f.add("must set exactly one of taxii, stix, misp and files")
	}
	checkRange(f.in("intervalSeconds"), s.IntervalSeconds, 1, 86_400)
	checkRange(f.in("maxObjects"), s.MaxObjects, 1, 100_000_000)
}

func (s TAXIISource) validate(f faults) {
	s.Remote.validate(f.in("remote"))
	if s.Collection == "" {
		f.in("collection").add("must name a collection by its id, alias or title")
	}
	checkText(f.in("collection"), s.Collection, 256)
}
