// SPDX-FileCopyrightText: The certlink authors
// SPDX-License-Identifier: Apache-2.0

package v1alpha1

import metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

// FeedPull says where our relay fetches the objects of a source. Exactly one part is set.
// +kubebuilder:validation:MinProperties=1
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
	// +kubebuilder:validation:Minimum=1
	// +kubebuilder:validation:Maximum=86400
	IntervalSeconds *int32 `json:"intervalSeconds,omitempty"`

	// maxObjects that are kept of this source. 1 to 100000000, default 1000000.
	// +optional
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
	// +kubebuilder:validation:XValidation:rule=`!self.matches('\\p{Cc}')`,message="collection must be one line, without control characters"
	Collection string `json:"collection,omitempty"`
}

// SourceStatus is what became of a source that our relay fetches.
type SourceStatus struct {
	// name of the source.
	// +required
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=63
	Name string `json:"name,omitempty"`

	// stored is the number of its objects (versions) that the relay keeps. While a long
	// pull goes on it is rounded down to 1, 2 or 5 times a power of ten.
	// +required
	// +kubebuilder:validation:Minimum=0
	Stored *int64 `json:"stored,omitempty"`

	// refused is the number of fetched objects that were not kept, because they were not
	// valid or the same version has other content.
	// +optional
	// +kubebuilder:validation:Minimum=0
	Refused *int64 `json:"refused,omitempty"`

	// percent of a long pull that has come, in steps of 10; absent while none goes on, or
	// its length is not known.
	// +optional
	// +kubebuilder:validation:Minimum=0
	// +kubebuilder:validation:Maximum=100
	Percent *int32 `json:"percent,omitempty"`

	// lastSuccessTime is when a pull last ended without error, to the minute, as it was
	// when this status was written last: a source that goes on succeeding does not
	// change it. Absent if none has.
	// +optional
	LastSuccessTime *metav1.Time `json:"lastSuccessTime,omitempty"`

	// message says why the last pull did not succeed, and what to do; empty if it did.
	// +optional
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=1024
	Message string `json:"message,omitempty"`
}
