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
// +kubebuilder:validation:MinProperties=0
type MISPDelivery struct {
	// organisation that the events name as their creator. Default: the display name of the peer.
	// +optional
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=255
	// +kubebuilder:validation:XValidation:rule=`!self.matches('\\p{Cc}')`,message="organisation must be one line, without control characters"
	Organisation string `json:"organisation,omitempty"`
}

// WebhookDelivery posts STIX bundles to a URL.
type WebhookDelivery struct {
	// receiver of the requests. The key hmac of its Secret, if it is there, signs each of
	// them: HMAC-SHA256 over time and body.
	// +required
	Receiver RemoteEndpoint `json:"receiver,omitzero"`

	// maxAttempts for a batch before it counts as a dead letter. 1 to 1000, default 20.
	// +optional
	// +kubebuilder:validation:Minimum=1
	// +kubebuilder:validation:Maximum=1000
	MaxAttempts *int32 `json:"maxAttempts,omitempty"`
}

// DeliveryStatus is how a delivery stands. A MISP feed has none: it is read, not sent.
type DeliveryStatus struct {
	// name of the delivery.
	// +required
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=63
	Name string `json:"name,omitempty"`

	// delivered is the number of objects that the receiver took, rounded down to 1, 2 or 5
	// times a power of ten.
	// +required
	// +kubebuilder:validation:Minimum=0
	Delivered *int64 `json:"delivered,omitempty"`

	// waiting is the number of objects that wait to be delivered, rounded as delivered is,
	// and counted up to 100000.
	// +required
	// +kubebuilder:validation:Minimum=0
	Waiting *int64 `json:"waiting,omitempty"`

	// dead is the number of objects that the receiver did not take: dead letters, which
	// kubectl certlink feed dead lists and feed redeliver sends again.
	// +required
	// +kubebuilder:validation:Minimum=0
	Dead *int64 `json:"dead,omitempty"`

	// message says why the last attempt did not succeed, and what to do; empty if it did.
	// +optional
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=1024
	Message string `json:"message,omitempty"`
}
