// SPDX-FileCopyrightText: The certlink authors
// SPDX-License-Identifier: Apache-2.0

//go:build e2e

package e2e

import (
	"context"
	"fmt"
	"io"
	"net"
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/certlink/certlink/api/v1alpha1"
	"github.com/certlink/certlink/internal/relayclient"
	wire "github.com/certlink/certlink/relay/desk"
	"github.com/certlink/certlink/test/scenario"
)

// changePeer changes what p declares about other, and puts it back after the test.
func changePeer(t *testing.T, p, other *scenario.Party, change func(*v1alpha1.PeerCERTSpec)) {
	t.Helper()
	var before v1alpha1.PeerCERTSpec
	must(t, scenario.Change(t.Context(), p, other.Name, &v1alpha1.PeerCERT{}, func(peer *v1alpha1.PeerCERT) {
		peer.Spec.DeepCopyInto(&before)
		change(&peer.Spec)
	}))
	cleanup(t, func(ctx context.Context) error {
		return scenario.Change(ctx, p, other.Name, &v1alpha1.PeerCERT{}, func(peer *v1alpha1.PeerCERT) { before.DeepCopyInto(&peer.Spec) })
	})
}

func state(to v1alpha1.PeerState) func(*v1alpha1.PeerCERTSpec) {
	return func(spec *v1alpha1.PeerCERTSpec) { spec.State = to }
}

// holds opens a connection through bravo's import of alfa's echo.
func holds(t *testing.T) net.Conn {
	t.Helper()
	s := &stream{at: bravo, of: alfa}
	must(t, s.open(within(t, patience)))
	t.Cleanup(func() { s.conn.Close() })
	return s.conn
}

// ends says how long after start a connection is ended from the other side.
func ends(t *testing.T, conn net.Conn, start time.Time) time.Duration {
	t.Helper()
	must(t, conn.SetReadDeadline(time.Now().Add(patience)))
	n, err := conn.Read(make([]byte, 1))
	if err == nil {
		t.Fatalf("the connection has %d bytes", n)
	}
	if timeout, ok := err.(net.Error); ok && timeout.Timeout() { //nolint:errorlint // a reset is no net.Error with Timeout
		t.Fatalf("the connection is open after %s", time.Since(start))
	}
	return time.Since(start)
}

// echoes sends bytes round.
func echoes(conn net.Conn, text string) error {
	if err := conn.SetDeadline(time.Now().Add(5 * time.Second)); err != nil {
		return err
	}
	if _, err := conn.Write([]byte(text)); err != nil {
		return err
	}
	back := make([]byte, len(text))
	if _, err := io.ReadFull(conn, back); err != nil {
		return err
	}
	if string(back) != text {
		return fmt.Errorf("%q came back as %q", text, back)
	}
	return nil
}

// crosses sends a message and waits for its receipt and acknowledgement.
func crosses(t *testing.T, from, to *scenario.Party) {
	t.Helper()
	sender, receiver := desk(t, from), desk(t, to)
	m, err := sender.Send(within(t, patience), wire.SendRequest{Hotline: to.Name, Subject: "s", Text: "t", Officer: "e2e", Precedence: "FLASH"})
	must(t, err)
	err = scenario.Poll(within(t, patience), "a message from "+from.Name+" has its receipt", func(ctx context.Context) error {
		now, err := sender.Get(ctx, relayclient.Out, to.TrustDomain, m.ID)
		if err == nil && now.State == "Queued" {
			err = fmt.Errorf("it is %s", now.State)
		}
		return err
	})
	must(t, err)
	_, err = receiver.Acknowledge(within(t, patience), from.TrustDomain, m.ID, wire.AckRequest{Officer: "e2e"})
	must(t, err)
}

// applied bounds the time from kubectl to the effect in both relays: three seconds
// until a change is live, a detection interval, and the time of a slow machine.
const applied = 6 * time.Second

// Alfa alone suspends bravo: services stop, open tunnels are cut, the hotline goes
// on, and bravo is told. TestFeed does the same with a feed.
func TestSuspendingStopsServicesAndNotTheHotline(t *testing.T) {
	if !needsHarness(t, "services") {
		return
	}
	connected(t)
	conn := holds(t)
	start := time.Now()
	t.Run("suspended", func(t *testing.T) {
		changePeer(t, alfa, bravo, state(v1alpha1.PeerSuspended))
		if took := ends(t, conn, start); took > applied {
			t.Errorf("an open tunnel was cut after %s", took)
		} else {
			t.Logf("an open tunnel was cut after %s", took)
		}
		must(t, refused(within(t, patience), bravo, echoOf(alfa)))
		_, err := bravo.AwaitPeer(within(t, patience), alfa.Name, append(scenario.True(v1alpha1.ConditionReady, v1alpha1.ConditionConnected),
			scenario.Want{Type: v1alpha1.ConditionPeerAccepted, Status: metav1.ConditionFalse, Reason: v1alpha1.ReasonPeerSuspendedUs})...)
		must(t, err)
		crosses(t, alfa, bravo)
		crosses(t, bravo, alfa)
	})
	must(t, echoes(holds(t), "resumed"))
	_, err := bravo.AwaitPeer(within(t, patience), alfa.Name, scenario.True(v1alpha1.ConditionConnected, v1alpha1.ConditionPeerAccepted)...)
	must(t, err)
}

// Drained is a gentle Suspended: open tunnels end in their own time, and the
// status says when the last has.
func TestDrainingLetsOpenTunnelsEnd(t *testing.T) {
	if !needsHarness(t, "services") {
		return
	}
	connected(t)
	conn := holds(t)
	changePeer(t, alfa, bravo, state(v1alpha1.PeerDrained))
	suspended := func(reason string) {
		_, err := alfa.AwaitPeer(within(t, patience), bravo.Name, scenario.True(v1alpha1.ConditionConnected)[0],
			scenario.Want{Type: v1alpha1.ConditionSuspended, Status: metav1.ConditionTrue, Reason: reason})
		must(t, err)
	}
	suspended(v1alpha1.ReasonDraining)
	_, err := bravo.AwaitPeer(within(t, patience), alfa.Name,
		scenario.Want{Type: v1alpha1.ConditionPeerAccepted, Status: metav1.ConditionFalse, Reason: v1alpha1.ReasonPeerDrainedUs})
	must(t, err)
	must(t, echoes(conn, "still here"))
	must(t, refused(within(t, patience), bravo, echoOf(alfa)))
	crosses(t, bravo, alfa)
	must(t, conn.Close())
	suspended(v1alpha1.ReasonDrained)
}

// Revoked cuts what is open. TestRevokingAPeer looks at the hotline.
func TestRevokingCutsOpenTunnels(t *testing.T) {
	if !needsHarness(t, "services") {
		return
	}
	connected(t)
	conn := holds(t)
	t.Run("revoked", func(t *testing.T) {
		start := time.Now()
		changePeer(t, alfa, bravo, state(v1alpha1.PeerRevoked))
		if took := ends(t, conn, start); took > applied {
			t.Errorf("an open tunnel was cut after %s", took)
		}
		explained(t, bravo, alfa.Name, down(v1alpha1.ReasonPeerRefusedUs))
	})
	connected(t)
	must(t, echoes(holds(t), "welcome back"))
}

// A nation that can be reached from nowhere takes part fully: bravo dials nobody,
// and alfa finds bravo only; what crosses, crosses in both directions.
func TestOnlyOneSideDials(t *testing.T) {
	if !needsHarness(t, "services") {
		return
	}
	connected(t)
	for _, c := range []struct{ dials, waits *scenario.Party }{{alfa, bravo}, {bravo, alfa}} {
		t.Run("only_"+c.dials.Name+"_dials", func(t *testing.T) {
			changePeer(t, c.waits, c.dials, func(spec *v1alpha1.PeerCERTSpec) { spec.Endpoints = nil })
			watch(t, patience, "only paths that "+c.dials.Name+" dials", func(p *scenario.Party, peer v1alpha1.PeerCERT) error {
				want := v1alpha1.PathDialed
				if p == c.waits {
					want = v1alpha1.PathAccepted
				}
				up := 0
				for _, path := range peer.Status.Paths {
					if path.Direction != want {
						return fmt.Errorf("there are others: %s", describePaths(peer))
					}
					if path.State == v1alpha1.PathUp || path.State == v1alpha1.PathRecovering {
						up++
					}
				}
				if up != 2 {
					return fmt.Errorf("%d are up: %s", up, describePaths(peer))
				}
				return scenario.All(peer.Status.Conditions, peer.Generation, scenario.True(v1alpha1.ConditionReady, v1alpha1.ConditionConnected)...)
			})
			everythingCrosses(t, "dials-"+c.dials.Name)
		})
	}
	noPathDown(t)
	settled(t)
}

// everythingCrosses tries hotline, feed and service in both directions.
func everythingCrosses(t *testing.T, name string) {
	t.Helper()
	for _, pair := range [][2]*scenario.Party{{alfa, bravo}, {bravo, alfa}} {
		p, other := pair[0], pair[1]
		crosses(t, p, other)
		s := &stream{at: p, of: other}
		must(t, s.open(within(t, patience)))
		must(t, s.conn.Close())
		feed, imported := name+"-"+p.Name, name+"-from-"+p.Name
		removeFeed(t, p, feed)
		removeFeed(t, other, imported)
		must(t, p.Export(t.Context(), feed, v1alpha1.TLPGreen, map[string]v1alpha1.TLPLevel{"own": ""}, other.Name))
		must(t, other.Import(t.Context(), imported, p.Name, feed))
		push(t, p, feed+".own", scenario.Indicators(name, "GREEN", 2)...)
		stored(t, other, imported, 2)
	}
}
