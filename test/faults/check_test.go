// SPDX-FileCopyrightText: The certlink authors
// SPDX-License-Identifier: Apache-2.0

package faults

import (
	"encoding/json"
	"net/http"
	"testing"

	"github.com/certlink/certlink/relay/config"
	"github.com/certlink/certlink/relay/desk"
	"github.com/certlink/certlink/relay/report"
)

// check lets the relay look at a peer with one address and returns the layer that fails.
func (n *nation) check(t *testing.T, peer string) desk.Layer {
	t.Helper()
	status, body, err := n.call(t.Context(), t, http.MethodPost, "/check/"+peer, "", nil)
	if err != nil {
		t.Fatal(err)
	}
	var seen desk.Check
	if err := json.Unmarshal(body, &seen); err != nil || status != http.StatusOK || len(seen.Endpoints) != 1 {
		t.Fatalf("%d %s (%v)", status, body, err)
	}
	return seen.Endpoints[0].Fails
}

func TestACheckNamesTheLayerThatFails(t *testing.T) {
	alfa, bravo := pair(t)
	alfa.connected(t)
	if fails := alfa.check(t, "bravo"); fails != "" {
		t.Errorf("all is well, but %q fails", fails)
	}
	t.Run("protocol_when_the_peer_revokes_us", func(t *testing.T) {
		bravo.cfg.Peers[0].State = config.Revoked
		bravo.write(t)
		alfa.until(t, "is refused", func(r report.Report) bool { return r.Peers[0].Outbound.Cause == report.CauseRefused })
		if fails := alfa.check(t, "bravo"); fails != desk.LayerProtocol {
			t.Errorf("fails %q", fails)
		}
	})
	t.Run("port_when_the_peer_is_gone", func(t *testing.T) {
		bravo.kill(t)
		if fails := alfa.check(t, "bravo"); fails != desk.LayerPort {
			t.Errorf("fails %q", fails)
		}
	})
}
