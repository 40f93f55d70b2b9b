// SPDX-FileCopyrightText: The certlink authors
// SPDX-License-Identifier: Apache-2.0

package v1alpha1

import (
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// FeedDirection says which way a feed runs.
// +kubebuilder:validation:Enum=Export;Import
type FeedDirection string

// The directions of a feed.
const (
	FeedExport FeedDirection = "Export"
	FeedImport FeedDirection = "Import"
)

// SharedFeedSpec declares STIX objects that we publish to peers (Export) or
// collect from one peer (Import).
// +kubebuilder:validation:XValidation:rule="self.direction == 'Export' ? has(self.export) && !has(self.import) : has(self.import) && !has(self.export)",message="direction Export needs export and no import; direction Import needs import and no export"
// +kubebuilder:validation:XValidation:rule="self.direction == oldSelf.direction",message="direction is immutable: create another SharedFeed"
type SharedFeedSpec struct {
	// direction of the feed: Export or Import. Immutable.
	// +required
	Direction FeedDirection `json:"direction,omitempty"`

	// title of the collection as peers and local tools see it (TAXII 2.1 section
	// 5.2). Default: the name of the object.
	// +optional
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=256
	// +kubebuilder:validation:XValidation:rule=`!self.matches('\\p{Cc}')`,message="title must be one line, without control characters"
	Title string `json:"title,omitempty"`

	// export says what leaves, and to whom.
	// +optional
	Export *FeedExportSpec `json:"export,omitempty"`

	// import says what is collected, and from whom.
	// +optional
	Import *FeedImportSpec `json:"import,omitempty"`
}

// FeedExportSpec declares an export: sources, the rule that allows objects to
// leave, and the peers that receive them.
type FeedExportSpec struct {
	// peerRefs name the PeerCERTs that may read this feed. Nobody else can see
	// that it exists.
	// +required
	// +listType=map
	// +listMapKey=name
	// +kubebuilder:validation:MinItems=1
	// +kubebuilder:validation:MaxItems=64
	PeerRefs []PeerReference `json:"peerRefs,omitempty"`

	// sources of the objects. Each is a collection on the relay's local port, into
	// which local tools push STIX objects (TAXII 2.1 section 5.5) or which the relay fills by pull.
	// +required
	// +listType=map
	// +listMapKey=name
	// +kubebuilder:validation:MinItems=1
	// +kubebuilder:validation:MaxItems=16
	Sources []FeedSource `json:"sources,omitempty"`

	// rule that allows an object to leave. Without a rule that allows it, nothing leaves.
	// +required
	Rule FeedRule `json:"rule,omitzero"`

	// redaction of what leaves.
	// +optional
	Redaction FeedRedaction `json:"redaction,omitzero"`
}

// FeedSource is one source of an export: a collection that local tools push into, or
// that our relay fetches.
type FeedSource struct {
	// name of the source, unique in the feed: lower-case letters, digits and '-'.
	// +required
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=63
	// +kubebuilder:validation:XValidation:rule="!format.dns1123Label().validate(self).hasValue()",message="name must hold lower-case letters, digits and '-', and begin and end with a letter or digit"
	Name string `json:"name,omitempty"`

	// unmarkedAs is the TLP level that objects of this source without any TLP
	// marking count as. Declare it only for a source whose publisher says so, for
	// example ATT&CK, which is public and carries a statement marking only.
	// Default AMBER+STRICT: unmarked objects stay here. It never changes what a
	// TLP marking on an object says.
	// +optional
	UnmarkedAs TLPLevel `json:"unmarkedAs,omitempty"`

	// pull says where our relay fetches the objects. Without it local tools push.
	// +optional
	Pull *FeedPull `json:"pull,omitempty"`
}

// FeedRule allows objects to leave. All parts must allow an object.
type FeedRule struct {
	// maxTLP is the narrowest marking that may leave: CLEAR lets only TLP:CLEAR
	// out, GREEN also TLP:GREEN, AMBER also TLP:AMBER. AMBER+STRICT and RED
	// objects never leave in a feed: send them by hotline.
	// +required
	// +kubebuilder:validation:Enum=CLEAR;GREEN;AMBER
	MaxTLP TLPLevel `json:"maxTLP,omitempty"`

	// types are the STIX object types that may leave, for example "indicator".
	// Without types, all may.
	// +optional
	// +listType=set
	// +kubebuilder:validation:MinItems=1
	// +kubebuilder:validation:MaxItems=64
	// +kubebuilder:validation:items:MinLength=3
	// +kubebuilder:validation:items:MaxLength=250
	// +kubebuilder:validation:items:XValidation:rule="self.matches('^[a-z][a-z0-9-]*[a-z0-9]$')",message="types must hold names of STIX object types, such as indicator or attack-pattern: lower-case letters, digits and '-'"
	Types []string `json:"types,omitempty"`
	// cel is an expression of the Common Expression Language that must be true for an
	// object to leave. Its variable object is the STIX object, for example
	// "has(object.confidence) && object.confidence >= 50". An object on which it
	// fails stays. 1 to 4096 characters.
	// +optional
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=4096
	CEL string `json:"cel,omitempty"`

	// minConfidence is the lowest confidence (STIX 2.1 section 3.2) that may leave; an
	// object without confidence counts as 0. 0 to 100, default 0: all may leave.
	// +optional
	// +kubebuilder:validation:Minimum=0
	// +kubebuilder:validation:Maximum=100
	MinConfidence *int32 `json:"minConfidence,omitempty"`

	// maxAgeDays since the object's last sign of life: the latest of modified, last_seen,
	// last_observed and valid_from. 1 to 36500; without it, any age may leave.
	// +optional
	// +kubebuilder:validation:Minimum=1
	// +kubebuilder:validation:Maximum=36500
	MaxAgeDays *int32 `json:"maxAgeDays,omitempty"`

	// emanatesFrom Peer lets only those objects leave that appear to emanate from the
	// receiving peer's own territory (PeerCERT.spec.territory), by the data sets of
	// LocalCERT.spec.territory. Without it, territory does not count.
	// +optional
	// +kubebuilder:validation:Enum=Peer
	EmanatesFrom string `json:"emanatesFrom,omitempty"`

	// minAgreement is the number of data sets that must agree on the territory.
	// 1 to 8, default 1.
	// +optional
	// +default=1
	// +kubebuilder:validation:Minimum=1
	// +kubebuilder:validation:Maximum=8
	MinAgreement *int32 `json:"minAgreement,omitempty"`

	// warningLists is Hold (default) or Ignore: whether what stands on a warning list
	// still counts as evidence of territory.
	// +optional
	WarningLists WarningListMode `json:"warningLists,omitempty"`
}

// FeedImportSpec declares an import: a collection of one peer that our relay
// pulls and serves to local tools on its local port.
type FeedImportSpec struct {
	// peerRef names the PeerCERT whose collection is pulled. Immutable: another
	// origin is another feed.
	// +required
	// +kubebuilder:validation:XValidation:rule="self == oldSelf",message="peerRef is immutable: another origin is another feed; create another SharedFeed"
	PeerRef PeerReference `json:"peerRef,omitzero"`

	// collection is the alias or id of the peer's TAXII collection: the name of
	// the peer's SharedFeed. Immutable.
	// +required
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=256
	// +kubebuilder:validation:XValidation:rule="self == oldSelf",message="collection is immutable: another origin is another feed; create another SharedFeed"
	// +kubebuilder:validation:XValidation:rule="self.matches('^[A-Za-z0-9]([A-Za-z0-9._-]*[A-Za-z0-9])?$')",message="collection must be the alias or id of the peer's collection, which is the name of their SharedFeed: letters, digits, '.', '_' and '-'"
	Collection string `json:"collection,omitempty"`

	// intervalSeconds between two pulls. 1 to 86400, default 60.
	// +optional
	// +default=60
	// +kubebuilder:validation:Minimum=1
	// +kubebuilder:validation:Maximum=86400
	IntervalSeconds *int32 `json:"intervalSeconds,omitempty"`

	// maxObjects that are kept from this feed; the pull stops there and the
	// condition Delivering says so. 1 to 100000000, default 1000000.
	// +optional
	// +default=1000000
	// +kubebuilder:validation:Minimum=1
	// +kubebuilder:validation:Maximum=100000000
	MaxObjects *int64 `json:"maxObjects,omitempty"`

	// deliveries hand the collected objects on to systems of ours. Without any, local
	// tools read them from the relay's local port.
	// +optional
	// +listType=map
	// +listMapKey=name
	// +kubebuilder:validation:MinItems=1
	// +kubebuilder:validation:MaxItems=8
	Deliveries []FeedDelivery `json:"deliveries,omitempty"`
}

// SharedFeedStatus is what our side saw of the feed.
type SharedFeedStatus struct {
	// observedGeneration is the generation of the spec that this status is about.
	// +optional
	// +kubebuilder:validation:Minimum=0
	ObservedGeneration int64 `json:"observedGeneration,omitempty"`

	// conditions are Ready, PeerAccepted, Fresh, Delivering; Quarantined, Reconciling and Stalled only while true.
	// What needs attention first stands first.
	// +optional
	// +listType=map
	// +listMapKey=type
	// +kubebuilder:validation:MaxItems=16
	Conditions []metav1.Condition `json:"conditions,omitempty"`

	// stored is the number of objects (versions) that the relay keeps for this feed.
	// +optional
	// +kubebuilder:validation:Minimum=0
	Stored *int64 `json:"stored,omitempty"`

	// shared is the number of stored objects that the rule allows to leave.
	// Export only; the smallest number where peers differ.
	// +optional
	// +kubebuilder:validation:Minimum=0
	Shared *int64 `json:"shared,omitempty"`

	// held is the number of stored objects that the rule holds back. Export only.
	// +optional
	// +kubebuilder:validation:Minimum=0
	Held *int64 `json:"held,omitempty"`

	// heldReasons counts the held objects by reason. Export only.
	// +optional
	// +listType=map
	// +listMapKey=reason
	// +kubebuilder:validation:MinItems=1
	// +kubebuilder:validation:MaxItems=32
	HeldReasons []HeldCount `json:"heldReasons,omitempty"`

	// refused is the number of versions that peers say in signed receipts not to have
	// kept. Export only.
	// +optional
	// +kubebuilder:validation:Minimum=0
	Refused *int64 `json:"refused,omitempty"`

	// sources that our relay fetches, as far as it has looked at them. Export only.
	// +optional
	// +listType=map
	// +listMapKey=name
	// +kubebuilder:validation:MinItems=1
	// +kubebuilder:validation:MaxItems=16
	Sources []SourceStatus `json:"sources,omitempty"`

	// withdrawn is the number of versions that the peer has withdrawn since our relay
	// started, and that were dropped. Import only.
	// +optional
	// +kubebuilder:validation:Minimum=0
	Withdrawn *int64 `json:"withdrawn,omitempty"`

	// quarantined is the number of objects of the peer that are held until somebody
	// accepts or drops them. Import only.
	// +optional
	// +kubebuilder:validation:Minimum=0
	Quarantined *int64 `json:"quarantined,omitempty"`

	// deliveries to systems of ours, as far as the relay has looked at them. Import only.
	// +optional
	// +listType=map
	// +listMapKey=name
	// +kubebuilder:validation:MinItems=1
	// +kubebuilder:validation:MaxItems=8
	Deliveries []DeliveryStatus `json:"deliveries,omitempty"`
}

// HeldCount is a number of objects held back for one reason.
type HeldCount struct {
	// reason why the objects are held, for example "TLPAboveCeiling: RED" or "Unmarked".
	// +required
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=128
	Reason string `json:"reason,omitempty"`

	// objects is the number of objects held for this reason.
	// +required
	// +kubebuilder:validation:Minimum=0
	Objects *int64 `json:"objects,omitempty"`
}

// SharedFeed declares STIX objects that we publish to, or collect from, peers.
//
// +kubebuilder:object:root=true
// +kubebuilder:subresource:status
// +kubebuilder:resource:shortName=sfeed,categories=certlink
// +kubebuilder:printcolumn:name="Ready",type=string,JSONPath=`.status.conditions[?(@.type=="Ready")].status`
// +kubebuilder:printcolumn:name="Direction",type=string,JSONPath=`.spec.direction`
// +kubebuilder:printcolumn:name="Delivering",type=string,JSONPath=`.status.conditions[?(@.type=="Delivering")].status`
// +kubebuilder:printcolumn:name="Fresh",type=string,JSONPath=`.status.conditions[?(@.type=="Fresh")].status`
// +kubebuilder:printcolumn:name="Stored",type=integer,JSONPath=`.status.stored`
// +kubebuilder:printcolumn:name="Shared",type=integer,JSONPath=`.status.shared`
// +kubebuilder:printcolumn:name="Held",type=integer,JSONPath=`.status.held`
// +kubebuilder:printcolumn:name="Reason",type=string,JSONPath=`.status.conditions[0].reason`
// +kubebuilder:printcolumn:name="Accepted",type=string,JSONPath=`.status.conditions[?(@.type=="PeerAccepted")].status`,priority=1
// +kubebuilder:printcolumn:name="Message",type=string,JSONPath=`.status.conditions[0].message`,priority=1
// +kubebuilder:printcolumn:name="Age",type=date,JSONPath=`.metadata.creationTimestamp`
// +kubebuilder:selectablefield:JSONPath=`.spec.direction`
// +kubebuilder:validation:XValidation:rule="self.metadata.name.size() <= 63 && !self.metadata.name.contains('.')",message="metadata.name must have no dots and at most 63 characters: it is the alias of the collection"
type SharedFeed struct {
	metav1.TypeMeta `json:",inline"`
	// metadata is the standard object metadata.
	// +optional
	metav1.ObjectMeta `json:"metadata,omitzero"`

	// spec declares the feed.
	// +required
	Spec SharedFeedSpec `json:"spec,omitzero"`

	// status is what our side saw of the feed.
	// +optional
	Status SharedFeedStatus `json:"status,omitzero"`
}

// SharedFeedList is a list of SharedFeeds.
//
// +kubebuilder:object:root=true
type SharedFeedList struct {
	metav1.TypeMeta `json:",inline"`
	metav1.ListMeta `json:"metadata,omitzero"`
	Items           []SharedFeed `json:"items"`
}

func init() { SchemeBuilder.Register(&SharedFeed{}, &SharedFeedList{}) }
