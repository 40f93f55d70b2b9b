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

// DefaultMaxAttempts of a webhook's batch.
const DefaultMaxAttempts = 20

// maxDeliveries of one import.
const maxDeliveries = 8

func (m *Import) setDeliveryDefaults() {
	for _, d := range m.Deliveries {
		if d.Webhook != nil {
			fill(&d.Webhook.MaxAttempts, DefaultMaxAttempts)
		}
	}
}

func (m Import) validateDeliveries(f faults) {
	checkCount(f, len(m.Deliveries), maxDeliveries)
	names := newSet("delivery name")
	for i, d := range m.Deliveries {
		at := f.at(i)
		checkName(at.in("name"), d.Name)
		names.add(at.in("name"), d.Name)
		d.validate(at)
	}
}

func (d Delivery) validate(f faults) {
	parts := 0
	if d.TAXII != nil {
		parts++
		d.TAXII.validate(f.in("taxii"))
	}
	if d.MISP != nil {
		parts++
		checkText(f.in("misp").in("organisation"), d.MISP.Organisation, 255)
	}
	if d.Webhook != nil {
		parts++
		d.Webhook.Remote.validate(f.in("webhook").in("remote"))
		if d.Webhook.SecretFile != "" {
			checkFile(f.in("webhook").in("secretFile"), d.Webhook.SecretFile)
		}
		checkRange(f.in("webhook").in("maxAttempts"), d.Webhook.MaxAttempts, 1, 1000)
	}
	if parts != 1 {
		f.add("must set exactly one of taxii, misp and webhook")
	}
}
