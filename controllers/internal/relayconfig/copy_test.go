// SPDX-FileCopyrightText: The certlink authors
// SPDX-License-Identifier: Apache-2.0

package relayconfig

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/certlink/certlink/relay/config"
)

// TestACheckFillsNothingIn: what is checked is written afterwards, and is compared with what the
// relay runs; the relay alone fills in what was left out.
func TestACheckFillsNothingIn(t *testing.T) {
	sparse := func() config.Config {
		return config.Config{
			Peers:   []config.Peer{{Name: "bravo", TrustDomain: "bravo.example", Endpoints: []config.Endpoint{{Address: "relay.bravo.example:8443"}}}},
			Exports: []config.Export{{Name: "out", Sources: []config.Source{{Name: "misp", Pull: &config.PulledSource{MISP: &config.Remote{URL: "https://misp.alfa.example/"}}}}}},
			Imports: []config.Import{{Name: "in", Deliveries: []config.Delivery{{Name: "hook", Webhook: &config.Webhook{Remote: config.Remote{URL: "https://hook.alfa.example/"}}}}}},
			Hotlines: []config.Hotline{{
				Name: "bravo", Peer: "bravo", Deadlines: []config.Deadline{{Precedence: "FLASH"}},
				Release:   &config.Release{Rules: []config.ReleaseRule{{Kinds: []string{"ANSWER"}}}},
				Notifiers: []config.Notifier{{Name: "mail", SMTP: &config.SMTP{Server: "mail.alfa.example:465"}}},
			}},
		}
	}
	part := sparse()
	check(part)
	if diff := cmp.Diff(sparse(), part); diff != "" {
		t.Errorf("the check changed what it looked at (-before +after):\n%s", diff)
	}
}
