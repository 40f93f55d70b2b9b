// SPDX-FileCopyrightText: The certlink authors
// SPDX-License-Identifier: Apache-2.0

package config

// Delivery hands the objects of an import on to a system of ours. Exactly one of
// TAXII, MISP and Webhook is set.
type Delivery struct {
	// Name of the delivery, unique in its import.
	Name string `json:"name"`
	// TAXII posts to a TAXII 2.1 collection.
	TAXII *TAXIISource `json:"taxii,omitempty"`
	// MISP serves a MISP feed directory on the local port, under /misp/IMPORT/DELIVERY/.
	MISP *MISPDelivery `json:"misp,omitempty"`
	// Webhook posts batches of objects to a URL.
	Webhook *Webhook `json:"webhook,omitempty"`
}

// MISPDelivery is a MISP feed that local MISP instances fetch.
type MISPDelivery struct {
	// Organisation is the name of the creator organisation of the events. Empty means
	// the peer's display name.
	Organisation string `json:"organisation,omitempty"`
}

// Webhook takes signed batches of objects.
type Webhook struct {
	// Remote is the receiver.
	Remote Remote `json:"remote"`
	// SecretFile holds the key of the HMAC-SHA256 signature of each request.
	SecretFile string `json:"secretFile,omitempty"`
	// MaxAttempts for a batch before it counts as dead: 1 to 1000, default 20.
	MaxAttempts int32 `json:"maxAttempts,omitempty"`
}
