// SPDX-FileCopyrightText: The certlink authors
// SPDX-License-Identifier: Apache-2.0

package v1alpha1

// FeedPull says where our relay fetches the objects of a source. Exactly one part is set.
// +kubebuilder:validation:XValidation:rule="[has(self.taxii), has(self.stix), has(self.misp), has(self.configMapRef)].filter(x, x).size() == 1",message="exactly one of taxii, stix, misp and configMapRef must be set"
type FeedPull struct {
	// taxii is a collection of a TAXII 2.1 server.
	// +optional
	TAXII *TAXIICollection `json:"taxii,omitempty"`

	// stix is a STIX 2.0 or 2.1 bundle behind a URL.
	// +optional
	STIX *RemoteEndpoint `json:"stix,omitempty"`

	// misp is a MISP feed: the URL of the directory that holds manifest.json. Its
	// events become STIX objects, with their markings.
	// +optional
	MISP *RemoteEndpoint `json:"misp,omitempty"`

	// configMapRef names a ConfigMap with STIX bundles.
	// +optional
	ConfigMapRef *ConfigMapReference `json:"configMapRef,omitempty"`

	// intervalSeconds between two looks. 1 to 86400, default 300.
	// +optional
	// +default=300
	// +kubebuilder:validation:Minimum=1
	// +kubebuilder:validation:Maximum=86400
	IntervalSeconds *int32 `json:"intervalSeconds,omitempty"`

	// maxObjects that are kept of this source. 1 to 100000000, default 1000000.
	// +optional
	// +default=1000000
	// +kubebuilder:validation:Minimum=1
	// +kubebuilder:validation:Maximum=100000000
	MaxObjects *int64 `json:"maxObjects,omitempty"`
}

// TAXIICollection is a collection of a TAXII 2.1 server.
type TAXIICollection struct {
	// server is the API root, or the discovery endpoint (TAXII 2.1 sections 4.1 and 4.2).
	// +required
	Server RemoteEndpoint `json:"server,omitzero"`

	// collection is the id, alias or title of the collection (TAXII 2.1 section 5.2).
	// +required
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=256
	Collection string `json:"collection,omitempty"`
}
