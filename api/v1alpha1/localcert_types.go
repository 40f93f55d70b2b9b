// SPDX-FileCopyrightText: The certlink authors
// SPDX-License-Identifier: Apache-2.0

package v1alpha1

import (
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// LocalCERTSpec declares our side: who we are, which CA issues our
// certificates, where peers reach us and how our relay runs.
// +kubebuilder:validation:XValidation:rule="(has(self.relay) && has(self.relay.storage) && has(self.relay.storage.postgres)) == (has(oldSelf.relay) && has(oldSelf.relay.storage) && has(oldSelf.relay.storage.postgres))",message="relay.storage.postgres cannot be added or removed later: messages and objects would be left behind; make a new LocalCERT"
type LocalCERTSpec struct {
	// identity says who we are. It goes onto the card that peers receive.
	// +required
	Identity Identity `json:"identity,omitzero"`

	// issuerRef names the cert-manager issuer of our certificates. It must sign
	// with our own nation's CA and give the CA certificate in ca.crt. Without it
	// the operator makes a CA of our own through cert-manager.
	// +optional
	IssuerRef *IssuerReference `json:"issuerRef,omitempty"`

	// authority says how our root, the CA certificate by which peers know us, is
	// replaced by a new one.
	// +optional
	Authority AuthoritySpec `json:"authority,omitzero"`

	// addresses are where peers reach our relay; they go onto the card, in this
	// order. Without them the card carries the addresses of the relay's Service
	// of type LoadBalancer, once it has some; a CERT without any address can
	// still dial its peers.
	// +optional
	// +listType=map
	// +listMapKey=address
	// +kubebuilder:validation:MinItems=1
	// +kubebuilder:validation:MaxItems=8
	Addresses []Endpoint `json:"addresses,omitempty"`

	// relay says how our relay runs.
	// +optional
	Relay RelaySpec `json:"relay,omitzero"`

	// territory names the data sets by which feeds tell where an address appears to be.
	// +optional
	Territory TerritorySpec `json:"territory,omitzero"`

	// desk says who may read, write and release hotline messages.
	// +optional
	Desk DeskSpec `json:"desk,omitzero"`
}

// IssuerReference names a cert-manager Issuer of the same namespace, or a ClusterIssuer.
type IssuerReference struct {
	// name of the issuer.
	// +required
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=253
	// +kubebuilder:validation:XValidation:rule="!format.dns1123Subdomain().validate(self).hasValue()",message="name must be the name of an issuer of cert-manager: lower-case letters, digits, '-' and '.'"
	Name string `json:"name,omitempty"`

	// kind of the issuer: Issuer (default) or ClusterIssuer.
	// +optional
	// +default="Issuer"
	// +kubebuilder:validation:Enum=Issuer;ClusterIssuer
	Kind string `json:"kind,omitempty"`
}

// RelaySpec says how the relay of a LocalCERT runs.
// +kubebuilder:validation:MinProperties=1
// +kubebuilder:validation:XValidation:rule="!has(self.replicas) || self.replicas == 1 || has(self.storage) && has(self.storage.postgres)",message="replicas greater than 1 needs storage.postgres: one relay alone can use a volume"
type RelaySpec struct {
	// replicas of the relay, which share their work and one PostgreSQL database.
	// 1 to 9, default 1.
	// +optional
	// +kubebuilder:validation:Minimum=1
	// +kubebuilder:validation:Maximum=9
	Replicas *int32 `json:"replicas,omitempty"`

	// storage of the relay: the volume, or the database, that keeps messages and
	// objects.
	// +optional
	Storage RelayStorage `json:"storage,omitzero"`

	// service says how peers' connections reach the relay.
	// +optional
	Service RelayService `json:"service,omitzero"`

	// resources of the relay's container. Default: requests of 50m CPU and 64Mi,
	// a memory limit of 512Mi.
	// +optional
	Resources *corev1.ResourceRequirements `json:"resources,omitempty"`

	// nodeSelector of the relay's pod.
	// +optional
	// +kubebuilder:validation:MaxProperties=32
	NodeSelector map[string]string `json:"nodeSelector,omitempty"`

	// tolerations of the relay's pod.
	// +optional
	// +listType=atomic
	// +kubebuilder:validation:MinItems=1
	// +kubebuilder:validation:MaxItems=32
	Tolerations []corev1.Toleration `json:"tolerations,omitempty"`
}

// RelayStorage is the volume of the embedded store (SQLite), or a PostgreSQL database.
// +kubebuilder:validation:MinProperties=1
// +kubebuilder:validation:XValidation:rule="!has(self.postgres) || !has(self.size) && !has(self.storageClassName)",message="size and storageClassName are for a volume: with postgres there is none"
type RelayStorage struct {
	// postgres is the database that takes the place of the volume. It can be set
	// only when the LocalCERT is made.
	// +optional
	Postgres *PostgresStorage `json:"postgres,omitempty"`

	// size of the volume. Default 10Gi. It is used when the volume is made; a
	// later change has no effect on an existing volume.
	// +optional
	// +kubebuilder:validation:XValidation:rule="quantity(string(self)).isGreaterThan(quantity('0'))",message="size must be greater than zero, for example 10Gi"
	Size *resource.Quantity `json:"size,omitempty"`

	// storageClassName of the volume. Default: the cluster's default class.
	// +optional
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=253
	StorageClassName *string `json:"storageClassName,omitempty"`
}

// PostgresStorage is a PostgreSQL database, 13 or newer, that belongs to this relay alone.
type PostgresStorage struct {
	// secretRef names a Secret of this namespace whose key uri holds the connection
	// URI, postgres://USER:PASSWORD@HOST:PORT/DATABASE?sslmode=verify-full. It is read
	// for each new connection. Its key ca.crt, if there is one, is the server's CA: the
	// URI then ends with &sslrootcert=/etc/certlink/postgres/ca.crt.
	// +required
	SecretRef SecretReference `json:"secretRef,omitzero"`

	// port of the server, which the relay's NetworkPolicy lets out to. 1 to 65535;
	// default 5432.
	// +optional
	// +kubebuilder:validation:Minimum=1
	// +kubebuilder:validation:Maximum=65535
	Port *int32 `json:"port,omitempty"`

	// maxConnections of each replica to the server. 4 to 1000, default 16.
	// +optional
	// +kubebuilder:validation:Minimum=4
	// +kubebuilder:validation:Maximum=1000
	MaxConnections *int32 `json:"maxConnections,omitempty"`
}

// RelayServiceType is the type of the Service before the relay's link port.
// +kubebuilder:validation:Enum=ClusterIP;NodePort;LoadBalancer
type RelayServiceType string

// RelayService is the Service before the relay's link port, 8443.
// +kubebuilder:validation:MinProperties=1
type RelayService struct {
	// type of the Service: LoadBalancer (default), NodePort or ClusterIP. Use
	// ClusterIP when we only dial, or when something of ours stands before it.
	// +optional
	// +default="LoadBalancer"
	Type RelayServiceType `json:"type,omitempty"`

	// annotations for the Service, as a cloud's load balancer needs them.
	// +optional
	// +kubebuilder:validation:MaxProperties=32
	Annotations map[string]string `json:"annotations,omitempty"`
}

// LocalCERTStatus is what the operator saw of our side.
type LocalCERTStatus struct {
	// observedGeneration is the generation of the spec that this status is about.
	// +optional
	// +kubebuilder:validation:Minimum=0
	ObservedGeneration int64 `json:"observedGeneration,omitempty"`

	// conditions are Ready, CertificatesIssued, RelayAvailable, TrustInSync,
	// TerritoryCurrent; Reconciling and Stalled only while true.
	// +optional
	// +listType=map
	// +listMapKey=type
	// +kubebuilder:validation:MaxItems=16
	Conditions []metav1.Condition `json:"conditions,omitempty"`

	// card is our public description for peers: a PeerCERT manifest in YAML.
	// Peers put it into their repository as it stands. It holds nothing secret.
	// +optional
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=65536
	Card string `json:"card,omitempty"`

	// fingerprint of the card: SHA-256 over its trust domain and CA
	// certificates, in groups of hexadecimal digits that can be read out over a telephone.
	// +optional
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=128
	Fingerprint string `json:"fingerprint,omitempty"`

	// addresses at which peers reach our relay, as on the card.
	// +optional
	// +listType=atomic
	// +kubebuilder:validation:MinItems=1
	// +kubebuilder:validation:MaxItems=8
	// +kubebuilder:validation:items:MinLength=1
	// +kubebuilder:validation:items:MaxLength=261
	Addresses []string `json:"addresses,omitempty"`

	// notAfter is the earliest end of validity among our certificates and their chains.
	// +optional
	NotAfter *metav1.Time `json:"notAfter,omitempty"`

	// authority is the CA that our certificates are issued from. It is kept here
	// while a rotation replaces it.
	// +optional
	Authority AuthorityStatus `json:"authority,omitzero"`

	// rotation is the replacement of our root that is under way; absent when none is.
	// +optional
	Rotation *RotationStatus `json:"rotation,omitempty"`

	// deskSecretName is the Secret with the client certificate of our desk. Who
	// may read this Secret may read and send hotline messages and push objects. Absent
	// where spec.desk denies the shared certificate.
	// +optional
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=253
	DeskSecretName string `json:"deskSecretName,omitempty"`

	// officers of spec.desk and the Secrets with their certificates.
	// +optional
	// +listType=map
	// +listMapKey=name
	// +kubebuilder:validation:MinItems=1
	// +kubebuilder:validation:MaxItems=64
	Officers []OfficerStatus `json:"officers,omitempty"`
}

// LocalCERT declares our side of every link: one in each namespace.
//
// +kubebuilder:object:root=true
// +kubebuilder:subresource:status
// +kubebuilder:resource:shortName=lcert,categories=certlink
// +kubebuilder:printcolumn:name="Ready",type=string,JSONPath=`.status.conditions[?(@.type=="Ready")].status`
// +kubebuilder:printcolumn:name="Trust Domain",type=string,JSONPath=`.spec.identity.trustDomain`
// +kubebuilder:printcolumn:name="Relay",type=string,JSONPath=`.status.conditions[?(@.type=="RelayAvailable")].status`
// +kubebuilder:printcolumn:name="Address",type=string,JSONPath=`.status.addresses[0]`
// +kubebuilder:printcolumn:name="Issuer",type=string,JSONPath=`.status.authority.issuerRef.name`,priority=1
// +kubebuilder:printcolumn:name="Rotation",type=string,JSONPath=`.status.rotation.step`,priority=1
// +kubebuilder:printcolumn:name="Expires",type=string,JSONPath=`.status.notAfter`,priority=1
// +kubebuilder:printcolumn:name="Reason",type=string,JSONPath=`.status.conditions[?(@.type=="Ready")].reason`
// +kubebuilder:printcolumn:name="Message",type=string,JSONPath=`.status.conditions[?(@.type=="Ready")].message`,priority=1
// +kubebuilder:printcolumn:name="Age",type=date,JSONPath=`.metadata.creationTimestamp`
// +kubebuilder:validation:XValidation:rule="self.metadata.name.size() <= 40 && self.metadata.name.matches('^[a-z][a-z0-9-]*$')",message="metadata.name must begin with a letter, and have no dots and at most 40 characters: the relay's Services are named after it"
type LocalCERT struct {
	metav1.TypeMeta `json:",inline"`
	// metadata is the standard object metadata.
	// +optional
	metav1.ObjectMeta `json:"metadata,omitzero"`

	// spec declares our side.
	// +required
	Spec LocalCERTSpec `json:"spec,omitzero"`

	// status is what the operator saw of our side.
	// +optional
	Status LocalCERTStatus `json:"status,omitzero"`
}

// LocalCERTList is a list of LocalCERTs.
//
// +kubebuilder:object:root=true
type LocalCERTList struct {
	metav1.TypeMeta `json:",inline"`
	metav1.ListMeta `json:"metadata,omitzero"`
	Items           []LocalCERT `json:"items"`
}

func init() { SchemeBuilder.Register(&LocalCERT{}, &LocalCERTList{}) }
