// SPDX-FileCopyrightText: The certlink authors
// SPDX-License-Identifier: Apache-2.0

package v1alpha1

// FeedDelivery hands the objects of an import on to a system of ours. Exactly one part is set.
// +kubebuilder:validation:XValidation:rule="[has(self.taxii), has(self.misp), has(self.webhook)].filter(x, x).size() == 1",message="exactly one of taxii, misp and webhook must be set"
type FeedDelivery struct {
	// name of the delivery, unique in the feed: lower-case letters, digits and '-'.
	// +required
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=63
	// +kubebuilder:validation:XValidation:rule="!format.dns1123Label().validate(self).hasValue()",message="name must hold lower-case letters, digits and '-', and begin and end with a letter or digit"
	Name string `json:"name,omitempty"`

	// taxii posts the objects to a collection of a TAXII 2.1 server (section 5.5).
	// +optional
	TAXII *TAXIICollection `json:"taxii,omitempty"`

	// misp serves the objects as a MISP feed on the relay's local port, under
	// /misp/FEED/DELIVERY/.
	// +optional
	MISP *MISPDelivery `json:"misp,omitempty"`

	// webhook posts batches of objects, signed, to a URL.
	// +optional
	Webhook *WebhookDelivery `json:"webhook,omitempty"`
}

// MISPDelivery is a MISP feed that our MISP instances fetch.
type MISPDelivery struct {
	// organisation that the events name as their creator. Default: the display name of the peer.
	// +optional
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=255
	Organisation string `json:"organisation,omitempty"`
}

// WebhookDelivery posts STIX bundles to a URL.
type WebhookDelivery struct {
	// receiver of the requests. The Secret's key hmac, if it is there, signs each of them.
	// +required
	Receiver RemoteEndpoint `json:"receiver,omitzero"`

	// maxAttempts for a batch before it counts as a dead letter. 1 to 1000, default 20.
	// +optional
	// +default=20
	// +kubebuilder:validation:Minimum=1
	// +kubebuilder:validation:Maximum=1000
	MaxAttempts *int32 `json:"maxAttempts,omitempty"`
}
