// SPDX-FileCopyrightText: The certlink authors
// SPDX-License-Identifier: Apache-2.0

package v1alpha1

// TerritorySpec names the data sets by which our relay tells where an address
// appears to be. They are evidence, never a verdict.
// +kubebuilder:validation:MinProperties=1
// +kubebuilder:validation:XValidation:rule="!has(self.datasets) || !has(self.warningLists) || !self.datasets.exists(d, self.warningLists.exists(w, w.name == d.name))",message="a data set and a warning list must not have the same name"
type TerritorySpec struct {
	// datasets of registries and of geolocation.
	// +optional
	// +listType=map
	// +listMapKey=name
	// +kubebuilder:validation:MinItems=1
	// +kubebuilder:validation:MaxItems=32
	Datasets []TerritoryDataset `json:"datasets,omitempty"`

	// warningLists in the format of MISP: what stands on them is shared infrastructure
	// or research, and tells nothing about territory.
	// +optional
	// +listType=map
	// +listMapKey=name
	// +kubebuilder:validation:MinItems=1
	// +kubebuilder:validation:MaxItems=256
	WarningLists []WarningList `json:"warningLists,omitempty"`
}

// DatasetFormat is the format of a data set.
// +kubebuilder:validation:Enum=RIRDelegation;MaxMindCountry;MaxMindASN
type DatasetFormat string

// The formats.
const (
	RIRDelegation  DatasetFormat = "RIRDelegation"
	MaxMindCountry DatasetFormat = "MaxMindCountry"
	MaxMindASN     DatasetFormat = "MaxMindASN"
)

// DatasetOrigin says where a data set or a list comes from. Exactly one part is set.
// +kubebuilder:validation:MinProperties=1
// +kubebuilder:validation:XValidation:rule="has(self.http) != has(self.configMapRef)",message="exactly one of http and configMapRef must be set"
type DatasetOrigin struct {
	// http is where the relay fetches it.
	// +optional
	HTTP *RemoteEndpoint `json:"http,omitempty"`

	// configMapRef names a ConfigMap, for what fits into one (1 MiB, packed by gzip or
	// not). Without a key, it must have one alone.
	// +optional
	ConfigMapRef *ConfigMapReference `json:"configMapRef,omitempty"`

	// refreshHours between two fetches by http. 1 to 8760, default 24.
	// +optional
	// +kubebuilder:validation:Minimum=1
	// +kubebuilder:validation:Maximum=8760
	RefreshHours *int32 `json:"refreshHours,omitempty"`
}

// TerritoryDataset is one data set.
type TerritoryDataset struct {
	// name of the data set, as evidence cites it: lower-case letters, digits and '-'.
	// +required
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=63
	// +kubebuilder:validation:XValidation:rule="!format.dns1123Label().validate(self).hasValue()",message="name must hold lower-case letters, digits and '-', and begin and end with a letter or digit"
	Name string `json:"name,omitempty"`

	// format of the data set: RIRDelegation (the RIR statistics exchange format),
	// MaxMindCountry or MaxMindASN (MaxMind DB files of any publisher).
	// +required
	Format DatasetFormat `json:"format,omitempty"`

	// origin of the data set.
	// +required
	Origin DatasetOrigin `json:"origin,omitzero"`
}

// WarningList is one list in the format of MISP's warning lists.
type WarningList struct {
	// name of the list, as evidence cites it: lower-case letters, digits and '-'.
	// +required
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=63
	// +kubebuilder:validation:XValidation:rule="!format.dns1123Label().validate(self).hasValue()",message="name must hold lower-case letters, digits and '-', and begin and end with a letter or digit"
	Name string `json:"name,omitempty"`

	// origin of the list.
	// +required
	Origin DatasetOrigin `json:"origin,omitzero"`
}

// PeerTerritory is what counts as a peer's own territory.
// +kubebuilder:validation:MinProperties=1
type PeerTerritory struct {
	// countries are ISO 3166-1 alpha-2 codes. Default: spec.identity.country.
	// +optional
	// +listType=set
	// +kubebuilder:validation:MinItems=1
	// +kubebuilder:validation:MaxItems=16
	// +kubebuilder:validation:items:MinLength=2
	// +kubebuilder:validation:items:MaxLength=2
	// +kubebuilder:validation:items:XValidation:rule="self.matches('^[A-Z]{2}$')",message="countries must be two capital letters each, as in ISO 3166-1 alpha-2"
	Countries []string `json:"countries,omitempty"`

	// networks in CIDR notation that count whatever the data sets say.
	// +optional
	// +listType=set
	// +kubebuilder:validation:MinItems=1
	// +kubebuilder:validation:MaxItems=256
	// +kubebuilder:validation:items:MinLength=3
	// +kubebuilder:validation:items:MaxLength=43
	// +kubebuilder:validation:items:XValidation:rule="isCIDR(self)",message="networks must be in CIDR notation, such as 192.0.2.0/24"
	Networks []string `json:"networks,omitempty"`

	// autonomousSystems are AS numbers that count likewise. 1 to 4294967295 each.
	// +optional
	// +listType=set
	// +kubebuilder:validation:MinItems=1
	// +kubebuilder:validation:MaxItems=256
	// +kubebuilder:validation:items:Minimum=1
	// +kubebuilder:validation:items:Maximum=4294967295
	AutonomousSystems []int64 `json:"autonomousSystems,omitempty"`

	// domains are DNS suffixes, such as a country's top-level domain, that count likewise.
	// +optional
	// +listType=set
	// +kubebuilder:validation:MinItems=1
	// +kubebuilder:validation:MaxItems=64
	// +kubebuilder:validation:items:MinLength=1
	// +kubebuilder:validation:items:MaxLength=253
	// +kubebuilder:validation:items:XValidation:rule="!format.dns1123Subdomain().validate(self).hasValue()",message="domains must be DNS names in lower-case letters, such as example or gov.example"
	Domains []string `json:"domains,omitempty"`
}
