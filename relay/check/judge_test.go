// SPDX-FileCopyrightText: The certlink authors
// SPDX-License-Identifier: Apache-2.0

package check

import (
	"crypto/tls"
	"errors"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/certlink/certlink/relay/desk"
	"github.com/certlink/certlink/relay/identity"
	"github.com/certlink/certlink/relay/link"
	"github.com/certlink/certlink/relay/probe"
	"github.com/certlink/certlink/relay/report"
)

const address = "relay.bravo.example:8443"

// well is an address at which everything is as it should be.
func well() sight {
	return sight{
		address: address,
		opened: link.Sighting{
			Resolved: []string{"192.0.2.1"}, Remote: "192.0.2.1:8443",
			TLS: &tls.ConnectionState{Version: tls.VersionTLS13, CurveID: tls.X25519MLKEM768},
		},
		subject: "spiffe://bravo.example/relay", issuedBy: `issued by "CN=bravo"`,
		notAfter: time.Date(2026, 5, 1, 0, 0, 0, 0, time.UTC),
		answer:   &answer{view: probe.View{Outbound: report.Up}, offset: 20 * time.Millisecond, roundTrip: 8 * time.Millisecond},
		hotline:  &door{status: hotlineOpen}, feeds: &door{status: feedsOpen},
	}
}

// stopped is an address at which the link's dialer got no further.
func stopped(err error, mod func(*link.Sighting)) sight {
	s := well()
	s.answer, s.hotline, s.feeds = nil, nil, nil
	s.opened.Err = &link.Error{Cause: report.CauseUnreachable, Message: address + ": what the link says", Err: err}
	mod(&s.opened)
	return s
}

func refused(e identity.VerifyError) sight { return stopped(&e, func(*link.Sighting) {}) }

func asked(mod func(*sight)) sight {
	s := well()
	mod(&s)
	return s
}

func TestJudge(t *testing.T) {
	noTCP := func(l *link.Sighting) { l.Remote, l.TLS = "", nil }
	noTLS := func(l *link.Sighting) { l.TLS = nil }
	for _, c := range []struct {
		name  string
		seen  sight
		fails desk.Layer
		// states of the layers: o is OK, F failed, - not reached.
		states string
		says   string
	}{
		{"all_well", well(), "", "ooooooo", "hotline open, feeds open"},
		{"the_name_does_not_resolve", stopped(&net.DNSError{IsNotFound: true}, func(l *link.Sighting) { noTCP(l); l.Resolved = nil }), desk.LayerName, "F------", "what the link says"},
		{"nothing_listens", stopped(nil, noTCP), desk.LayerPort, "oF-----", "what the link says"},
		{"no_TLS", stopped(nil, noTLS), desk.LayerTLS, "ooF----", "what the link says"},
		{"TLS_without_this_protocol", stopped(nil, func(l *link.Sighting) { noTLS(l); l.NoProtocol = true }), desk.LayerProtocol, "ooo---F", "what the link says"},
		{"another_trust_domain", refused(identity.VerifyError{Cause: report.CauseTrustDomain, TrustDomain: "charlie.example"}), desk.LayerTrustDomain, "oooF---", "what the link says"},
		{"a_chain_that_is_too_long", refused(identity.VerifyError{Cause: report.CauseUntrusted}), desk.LayerChain, "ooo-F--", "what the link says"},
		{"another_CA", refused(identity.VerifyError{Cause: report.CauseUntrusted, TrustDomain: "bravo.example"}), desk.LayerChain, "ooooF--", "what the link says"},
		{"expired_and_of_our_bundle", refused(identity.VerifyError{Cause: report.CauseExpired, TrustDomain: "bravo.example", Chains: true}), desk.LayerClock, "oooooF-", "what the link says"},
		{"expired_and_of_another_CA", refused(identity.VerifyError{Cause: report.CauseExpired, TrustDomain: "bravo.example"}), desk.LayerChain, "ooooF--", "what the link says"},
		{"refused_by_the_peer", asked(func(s *sight) {
			s.answer = &answer{err: &link.Error{Cause: report.CauseRefused, Message: address + ": refused"}}
		}), desk.LayerProtocol, "ooooo-F", "refused"},
		{"a_clock_that_is_ahead", asked(func(s *sight) { s.answer.offset = 6 * time.Second }), desk.LayerClock, "oooooF-", "6s ahead of ours"},
		{"a_clock_that_is_behind", asked(func(s *sight) { s.answer.offset = -6 * time.Second }), desk.LayerClock, "oooooF-", "6s behind ours"},
		{"an_offset_that_the_way_explains", asked(func(s *sight) { s.answer.offset, s.answer.roundTrip = 6*time.Second, 3*time.Second }), "", "ooooooo", "offset +6000 ms"},
		{"no_hotline_for_us", asked(func(s *sight) { s.hotline.status = http.StatusForbidden }), desk.LayerProtocol, "ooooooF", "ask the peer for a Hotline to us"},
		{"feeds_suspended_by_the_peer", asked(func(s *sight) { s.feeds.status = http.StatusForbidden }), desk.LayerProtocol, "ooooooF", "whether it has suspended us"},
		{"feeds_that_answer_otherwise", asked(func(s *sight) { s.feeds.status = http.StatusBadGateway }), desk.LayerProtocol, "ooooooF", "HTTP status 502"},
		{"a_hotline_that_breaks_off", asked(func(s *sight) { s.hotline = &door{err: errors.New("cut")} }), desk.LayerProtocol, "ooooooF", "asking the peer's relay: cut"},
		{"doors_that_are_not_tried", asked(func(s *sight) { s.hotline, s.feeds = nil, nil }), "", "ooooooo", "probe answered in 8 ms"},
		{"the_peer_does_not_reach_us", asked(func(s *sight) {
			s.answer.view = probe.View{Outbound: report.Down, Cause: report.CauseUntrusted}
		}), desk.LayerProtocol, "ooooooF", "does not trust our certificate"},
	} {
		t.Run(c.name, func(t *testing.T) {
			layers, fails := judge(c.seen)
			states, said := "", ""
			for _, l := range layers {
				states += map[desk.LayerState]string{desk.LayerOK: "o", desk.LayerFailed: "F", desk.LayerNotReached: "-"}[l.State]
				said += l.Saw + "\n" + l.Fault + "\n"
				if (l.Fault != "") != (l.State == desk.LayerFailed) {
					t.Errorf("%s is %s and says %q", l.Layer, l.State, l.Fault)
				}
			}
			if fails != c.fails || states != c.states {
				t.Errorf("fails %q, states %s; want %q, %s", fails, states, c.fails, c.states)
			}
			if !strings.Contains(said, c.says) {
				t.Errorf("says %q, want %q", said, c.says)
			}
			if strings.Contains(said, address+": ") {
				t.Errorf("the address is repeated: %q", said)
			}
		})
	}
}
