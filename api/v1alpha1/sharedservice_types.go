// SPDX-FileCopyrightText: The certlink authors
// SPDX-License-Identifier: Apache-2.0

package v1alpha1

import (
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// ServiceDirection says which way a service is shared.
// +kubebuilder:validation:Enum=Export;Import
type ServiceDirection string

// The directions of a service.
const (
	ServiceExport ServiceDirection = "Export"
	ServiceImport ServiceDirection = "Import"
)

// SharedServiceSpec declares a TCP service of ours that peers may use (Export),
// or one of a peer that we use (Import).
// +kubebuilder:validation:XValidation:rule="self.direction == 'Export' ? has(self.export) && !has(self.import) : has(self.import) && !has(self.export)",message="direction Export needs export and no import; direction Import needs import and no export"
// +kubebuilder:validation:XValidation:rule="self.direction == oldSelf.direction",message="direction is immutable: create another SharedService"
type SharedServiceSpec struct {
	// direction of the service: Export or Import. Immutable.
	// +required
	Direction ServiceDirection `json:"direction,omitempty"`

	// export says which Service of ours peers may use, and who they are.
	// +optional
	Export *ServiceExportSpec `json:"export,omitempty"`

	// import says whose service we use, and where it is found in our cluster.
	// +optional
	Import *ServiceImportSpec `json:"import,omitempty"`
}

// ServiceExportSpec declares an export: peers ask for it by the name of the
// SharedService.
type ServiceExportSpec struct {
	// serviceRef names the Service of this namespace and its port.
	// +required
	ServiceRef ServiceReference `json:"serviceRef,omitzero"`

	// peerRefs name the PeerCERTs that may use the service. Whoever else asks is
	// refused, and counted.
	// +required
	// +listType=map
	// +listMapKey=name
	// +kubebuilder:validation:MinItems=1
	// +kubebuilder:validation:MaxItems=64
	PeerRefs []PeerReference `json:"peerRefs,omitempty"`

	// limits of the connections to the service.
	// +optional
	Limits ServiceLimits `json:"limits,omitzero"`
}

// ServiceReference names a port of a Service in the same namespace.
type ServiceReference struct {
	// name of the Service.
	// +required
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=63
	// +kubebuilder:validation:XValidation:rule="!format.dns1123Label().validate(self).hasValue()",message="name must be the name of a Service of this namespace: lower-case letters, digits and '-'"
	Name string `json:"name,omitempty"`

	// port of the Service, by number: 1 to 65535. It must be a TCP port.
	// +required
	// +kubebuilder:validation:Minimum=1
	// +kubebuilder:validation:Maximum=65535
	Port int32 `json:"port,omitempty"`
}

// ServiceImportSpec declares an import: a Service with the name of the
// SharedService is made in this namespace, and leads to the peer's.
// +kubebuilder:validation:XValidation:rule="has(self.service) == has(oldSelf.service) && (!has(self.service) || self.service == oldSelf.service)",message="service is immutable: another service of the peer is another SharedService; create one"
type ServiceImportSpec struct {
	// peerRef names the PeerCERT that exports the service. Immutable.
	// +required
	// +kubebuilder:validation:XValidation:rule="self == oldSelf",message="peerRef is immutable: a service of another peer is another SharedService; create one"
	PeerRef PeerReference `json:"peerRef,omitzero"`

	// service is the name of the peer's export: the name of their SharedService.
	// Default: the name of this object. Immutable.
	// +optional
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=63
	// +kubebuilder:validation:XValidation:rule="!format.dns1035Label().validate(self).hasValue()",message="service must be the name of the peer's SharedService: lower-case letters, digits and '-', beginning with a letter"
	Service string `json:"service,omitempty"`

	// port of the Service that is made here: 1 to 65535. It need not be the
	// exporter's.
	// +required
	// +kubebuilder:validation:Minimum=1
	// +kubebuilder:validation:Maximum=65535
	Port int32 `json:"port,omitempty"`

	// from says whose pods may connect: those of this Namespace (default), or of
	// the whole Cluster.
	// +optional
	// +default="Namespace"
	From ServiceAudience `json:"from,omitempty"`

	// limits of the connections to the peer's service.
	// +optional
	Limits ServiceLimits `json:"limits,omitzero"`
}

// ServiceAudience says whose pods may use an imported service.
// +kubebuilder:validation:Enum=Namespace;Cluster
type ServiceAudience string

// The audiences of an imported service.
const (
	FromNamespace ServiceAudience = "Namespace"
	FromCluster   ServiceAudience = "Cluster"
)

// ServiceLimits bound the connections of one service. Each side applies its own;
// those of the PeerCERT hold for all services of a peer together.
// +kubebuilder:validation:MinProperties=1
type ServiceLimits struct {
	// maxConnections at once; more are refused until one ends. 1 to 16384, default 1024.
	// +optional
	// +default=1024
	// +kubebuilder:validation:Minimum=1
	// +kubebuilder:validation:Maximum=16384
	MaxConnections *int32 `json:"maxConnections,omitempty"`

	// idleSeconds after which a connection without a byte in either direction is
	// closed. 1 to 604800, default 3600.
	// +optional
	// +default=3600
	// +kubebuilder:validation:Minimum=1
	// +kubebuilder:validation:Maximum=604800
	IdleSeconds *int32 `json:"idleSeconds,omitempty"`
}

// SharedServiceStatus is what our side saw of the service.
type SharedServiceStatus struct {
	// observedGeneration is the generation of the spec that this status is about.
	// +optional
	// +kubebuilder:validation:Minimum=0
	ObservedGeneration int64 `json:"observedGeneration,omitempty"`

	// conditions are Ready, PeerAccepted, Available; Reconciling and Stalled only
	// while true. What needs attention first stands first.
	// +optional
	// +listType=map
	// +listMapKey=type
	// +kubebuilder:validation:MaxItems=16
	Conditions []metav1.Condition `json:"conditions,omitempty"`

	// peers are the names of the PeerCERTs at the other end, separated by commas,
	// as far as they fit. For kubectl get.
	// +optional
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=256
	Peers string `json:"peers,omitempty"`

	// address is NAME.NAMESPACE.svc:PORT: of an import, where our pods reach the
	// peer's service; of an export, where the relay leads peers to.
	// +optional
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=261
	Address string `json:"address,omitempty"`

	// relayPort is the port of the relay's pods behind the Service of an import.
	// It stays the same for as long as the object lives. Import only.
	// +optional
	// +kubebuilder:validation:Minimum=20000
	// +kubebuilder:validation:Maximum=29999
	RelayPort int32 `json:"relayPort,omitempty"`

	// refused is the number of connections that were asked for by peers which are
	// not named, or which we hold back, since the relay started, in steps: 1, 10, 100
	// and so on. Export only.
	// +optional
	// +kubebuilder:validation:Minimum=0
	Refused *int64 `json:"refused,omitempty"`
}

// SharedService declares a TCP service that peers may use, or one of a peer that
// we use, through the link.
//
// +kubebuilder:object:root=true
// +kubebuilder:subresource:status
// +kubebuilder:resource:shortName=ssvc,categories=certlink
// +kubebuilder:printcolumn:name="Ready",type=string,JSONPath=`.status.conditions[?(@.type=="Ready")].status`
// +kubebuilder:printcolumn:name="Direction",type=string,JSONPath=`.spec.direction`
// +kubebuilder:printcolumn:name="Available",type=string,JSONPath=`.status.conditions[?(@.type=="Available")].status`
// +kubebuilder:printcolumn:name="Peers",type=string,JSONPath=`.status.peers`
// +kubebuilder:printcolumn:name="Address",type=string,JSONPath=`.status.address`
// +kubebuilder:printcolumn:name="Reason",type=string,JSONPath=`.status.conditions[0].reason`
// +kubebuilder:printcolumn:name="Accepted",type=string,JSONPath=`.status.conditions[?(@.type=="PeerAccepted")].status`,priority=1
// +kubebuilder:printcolumn:name="Message",type=string,JSONPath=`.status.conditions[0].message`,priority=1
// +kubebuilder:printcolumn:name="Age",type=date,JSONPath=`.metadata.creationTimestamp`
// +kubebuilder:selectablefield:JSONPath=`.spec.direction`
// +kubebuilder:validation:XValidation:rule="self.metadata.name.size() <= 63 && self.metadata.name.matches('^[a-z]') && !self.metadata.name.contains('.')",message="metadata.name must hold at most 63 lower-case letters, digits and '-', and begin with a letter: peers ask for an export by it, and the Service of an import has it"
type SharedService struct {
	metav1.TypeMeta `json:",inline"`
	// metadata is the standard object metadata.
	// +optional
	metav1.ObjectMeta `json:"metadata,omitzero"`

	// spec declares the service.
	// +required
	Spec SharedServiceSpec `json:"spec,omitzero"`

	// status is what our side saw of the service.
	// +optional
	Status SharedServiceStatus `json:"status,omitzero"`
}

// SharedServiceList is a list of SharedServices.
//
// +kubebuilder:object:root=true
type SharedServiceList struct {
	metav1.TypeMeta `json:",inline"`
	metav1.ListMeta `json:"metadata,omitzero"`
	Items           []SharedService `json:"items"`
}

func init() { SchemeBuilder.Register(&SharedService{}, &SharedServiceList{}) }
