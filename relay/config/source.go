// SPDX-FileCopyrightText: The certlink authors
// SPDX-License-Identifier: Apache-2.0

package config

// PulledSource says where the relay itself fetches a source's objects. At most one
// part is set; without any, local tools push.
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
