// SPDX-FileCopyrightText: The certlink authors
// SPDX-License-Identifier: Apache-2.0

package relayconfig

import (
	"github.com/certlink/certlink/api/v1alpha1"
	"github.com/certlink/certlink/relay/config"
)

// deliveries are the part of the configuration that the deliveries of an import ask for.
func deliveries(list []v1alpha1.FeedDelivery) []config.Delivery {
	var out []config.Delivery
	for _, d := range list {
		c := config.Delivery{Name: d.Name}
		switch {
		case d.TAXII != nil:
			taxii := TAXII(*d.TAXII)
			c.TAXII = &taxii
		case d.MISP != nil:
			c.MISP = &config.MISPDelivery{Organisation: d.MISP.Organisation}
		case d.Webhook != nil:
			// The key of the signature is a file of the receiver's directory.
			c.Webhook = &config.Webhook{Remote: Remote(d.Webhook.Receiver), MaxAttempts: deref(d.Webhook.MaxAttempts)}
		}
		out = append(out, c)
	}
	return out
}
