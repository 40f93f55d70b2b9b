// SPDX-FileCopyrightText: The certlink authors
// SPDX-License-Identifier: Apache-2.0

package config

import (
	"strings"
	"testing"
)

func TestDeliveriesThatCannotBeMeantAreRefused(t *testing.T) {
	hook := func(attempts int32) *Webhook {
		return &Webhook{Remote: Remote{URL: "https://siem.alfa.example/"}, MaxAttempts: attempts}
	}
	many := make([]Delivery, maxDeliveries+1)
	for name, tt := range map[string]struct {
		deliveries []Delivery
		want       string
	}{
		"one of each": {[]Delivery{
			{Name: "opencti", TAXII: &TAXIISource{Remote: Remote{URL: "https://opencti.alfa.example/taxii2/"}, Collection: "x"}},
			{Name: "misp", MISP: &MISPDelivery{}}, {Name: "siem", Webhook: hook(1000)},
		}, ""},
		"no part":                {[]Delivery{{Name: "x"}}, "exactly one of"},
		"two parts":              {[]Delivery{{Name: "x", MISP: &MISPDelivery{}, Webhook: hook(1)}}, "exactly one of"},
		"two of one name":        {[]Delivery{{Name: "x", MISP: &MISPDelivery{}}, {Name: "x", MISP: &MISPDelivery{}}}, "[1].name: delivery name \"x\" is taken"},
		"a name with a path":     {[]Delivery{{Name: "../x", MISP: &MISPDelivery{}}}, "name:"},
		"too many attempts":      {[]Delivery{{Name: "x", Webhook: hook(1001)}}, "maxAttempts"},
		"a receiver without URL": {[]Delivery{{Name: "x", Webhook: &Webhook{MaxAttempts: 1}}}, "remote.url"},
		"too many deliveries":    {many, "more than 8"},
	} {
		t.Run(name, func(t *testing.T) {
			f := newFaults()
			Import{Deliveries: tt.deliveries}.validateDeliveries(f)
			got := ""
			if err := f.err(); err != nil {
				got = err.Error()
			}
			if !strings.Contains(got, tt.want) || tt.want == "" && got != "" {
				t.Errorf("got %q, want %q", got, tt.want)
			}
		})
	}
}

func TestAWebhookTriesTwentyTimesUnlessToldOtherwise(t *testing.T) {
	m := Import{Deliveries: []Delivery{{Webhook: &Webhook{}}, {Webhook: &Webhook{MaxAttempts: 3}}, {MISP: &MISPDelivery{}}}}
	m.setDeliveryDefaults()
	if got := m.Deliveries[0].Webhook.MaxAttempts; got != DefaultMaxAttempts {
		t.Errorf("got %d", got)
	}
	if got := m.Deliveries[1].Webhook.MaxAttempts; got != 3 {
		t.Errorf("got %d", got)
	}
}
