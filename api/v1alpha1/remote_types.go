// SPDX-FileCopyrightText: The certlink authors
// SPDX-License-Identifier: Apache-2.0

package v1alpha1

// RemoteEndpoint is an HTTP(S) server that our relay calls: one of ours, or that of
// a partner without certlink.
type RemoteEndpoint struct {
	// url of the server, with scheme https, or http where the network in between is
	// trusted. Without user information; at most 2048 characters.
	// +required
	// +kubebuilder:validation:MinLength=8
	// +kubebuilder:validation:MaxLength=2048
	// +kubebuilder:validation:XValidation:rule=`self.matches('^https?://[^/?#@\\s\\p{Cc}\\p{Z}]+([/?#][^\\s\\p{Cc}\\p{Z}]*)?$') && isURL(self) && url(self).getHostname() != ''`,message="url must begin with https:// or http:// and name a host, without spaces; credentials belong into secretRef"
	URL string `json:"url,omitempty"`

	// secretRef names a Secret of this namespace with what the server asks of us:
	// username and password (HTTP Basic), token (bearer), authorization (the whole value of the
	// header, as MISP wants its key), tls.crt and tls.key (client certificate), and in
	// ca.crt the CA certificates that the server's certificate must chain to. Every key is
	// optional; without ca.crt the CAs of the relay's image count, of which it has none.
	// +optional
	SecretRef *SecretReference `json:"secretRef,omitempty"`
}

// SecretReference names a Secret of the same namespace.
type SecretReference struct {
	// name of the Secret.
	// +required
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=253
	// +kubebuilder:validation:XValidation:rule="!format.dns1123Subdomain().validate(self).hasValue()",message="name must be the name of a Secret of this namespace: lower-case letters, digits, '-' and '.'"
	Name string `json:"name,omitempty"`
}

// ConfigMapReference names a ConfigMap of the same namespace.
type ConfigMapReference struct {
	// name of the ConfigMap.
	// +required
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=253
	// +kubebuilder:validation:XValidation:rule="!format.dns1123Subdomain().validate(self).hasValue()",message="name must be the name of a ConfigMap of this namespace: lower-case letters, digits, '-' and '.'"
	Name string `json:"name,omitempty"`

	// key in its data or binaryData. Without it, all keys.
	// +optional
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=253
	// +kubebuilder:validation:XValidation:rule="self.matches('^[A-Za-z0-9._-]+$') && self != '.' && !self.startsWith('..')",message="key must be a key of a ConfigMap: letters, digits, '.', '_' and '-', not beginning with '..'"
	Key string `json:"key,omitempty"`
}
