// SPDX-FileCopyrightText: The certlink authors
// SPDX-License-Identifier: Apache-2.0

package faults

import (
	"testing"
	"time"

	"github.com/certlink/certlink/relay/report"
)

func TestALinkProvesItselfInBothDirections(t *testing.T) {
	alfa, bravo := pair(t)
	for _, n := range []*nation{alfa, bravo} {
		p := n.connected(t)
		if p.TLS == nil || p.TLS.Version != "TLS 1.3" || p.TLS.Group != "X25519MLKEM768" || p.TLS.PeerNotAfter.IsZero() {
			t.Errorf("%s: TLS = %+v", n.name, p.TLS)
		}
	}
	t.Run("and_notices_when_the_peer_is_gone_and_back", func(t *testing.T) {
		cut := time.Now()
		bravo.kill(t)
		down := alfa.until(t, "sees that bravo is gone", func(r report.Report) bool {
			return r.Peers[0].Outbound.State == report.Down && r.Peers[0].Inbound.State == report.Down
		})
		t.Logf("down after %s: %s", time.Since(cut).Round(time.Millisecond), down.Peers[0].Outbound.Message)
		if down.Peers[0].Outbound.Cause != report.CauseUnreachable || down.Peers[0].Inbound.Cause != report.CauseSilent {
			t.Errorf("causes %q and %q", down.Peers[0].Outbound.Cause, down.Peers[0].Inbound.Cause)
		}
		bravo.start(t)
		alfa.connected(t)
	})
	t.Run("and_both_stop_in_order", func(t *testing.T) {
		for _, n := range []*nation{alfa, bravo} {
			if took, err := n.stop(t); err != nil || took > 10*time.Second {
				t.Errorf("%s stopped after %s: %v", n.name, took, err)
			}
		}
	})
}
