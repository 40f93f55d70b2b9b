// SPDX-FileCopyrightText: The certlink authors
// SPDX-License-Identifier: Apache-2.0

package link_test

import (
	"crypto/tls"
	"fmt"
	"io"
	"strings"
	"testing"
	"time"

	"github.com/certlink/certlink/internal/testca"
	"github.com/certlink/certlink/relay/link"
	"github.com/certlink/certlink/relay/report"
	"github.com/certlink/certlink/relay/stream"
)

// raw opens an authenticated connection of a class as a relay of another side.
func raw(t *testing.T, to, from *side, class link.Class) *tls.Conn {
	t.Helper()
	leaf := from.ca.Leaf(t, testca.Leaf{Path: "/relay"})
	conn, err := (&tls.Dialer{Config: &tls.Config{
		Certificates: []tls.Certificate{leaf.TLS()}, InsecureSkipVerify: true, NextProtos: []string{string(class)},
	}}).DialContext(t.Context(), "tcp", to.address)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	return conn.(*tls.Conn)
}

// says opens a framed connection with a HELLO, and tells whether it is kept.
func says(t *testing.T, to, from *side, address string) (kept bool) {
	t.Helper()
	c, err := stream.Client(raw(t, to, from, link.Probe), stream.Hello{Address: address}, stream.Config{})
	if err != nil {
		return false
	}
	t.Cleanup(c.Cut)
	s, err := c.Open()
	if err != nil {
		return false
	}
	if err := s.SetDeadline(time.Now().Add(patience)); err != nil {
		return false
	}
	if _, err := fmt.Fprintf(s, "GET %s HTTP/1.1\r\nHost: x\r\n\r\n", link.PathOffer); err != nil {
		return false
	}
	n, err := io.Copy(io.Discard, s) // to its end, so that the connection stays
	s.Close()
	return err == nil && n > 0
}

func TestAHostileHelloIsRefused(t *testing.T) {
	alfa, bravo := oneWay(t)
	for name, address := range map[string]string{
		"empty": "", "no_port": "bravo.example", "port_0": "bravo.example:0", "port_too_high": "bravo.example:70000",
		"spaces": "bravo .example:8443", "a_path": "bravo.example/x:8443", "a_long_name": strings.Repeat("a", 254) + ":1",
		"a_sign_in_the_port": "bravo.example:+8443", "no_host": ":8443",
	} {
		if says(t, bravo, alfa, address) {
			t.Errorf("%s: kept", name)
		}
	}
	for name, address := range map[string]string{"name": "relay.bravo.example:8443", "IPv4": "192.0.2.1:443", "IPv6": "[2001:db8::1]:8443"} {
		if !says(t, bravo, alfa, address) {
			t.Errorf("%s: refused", name)
		}
	}
	if n := bravo.count(t, "certlink_relay_link_refused_total", "reason=hello"); n != 9 {
		t.Errorf("%v were counted", n)
	}
}

func TestTheNinthAcceptedPathIsRefused(t *testing.T) {
	alfa, bravo := oneWay(t)
	alfa.rested(t)
	for i := range 7 { // and the one that alfa's pool dials
		if !says(t, bravo, alfa, fmt.Sprintf("relay-%d.bravo.example:8443", i)) {
			t.Fatalf("path %d was refused", i+2)
		}
	}
	if says(t, bravo, alfa, "relay-9.bravo.example:8443") {
		t.Error("a ninth path was accepted")
	}
	if n := bravo.count(t, "certlink_relay_link_refused_total", "reason=too_many_paths"); n != 1 {
		t.Errorf("%v were counted", n)
	}
	if !says(t, bravo, alfa, "relay-3.bravo.example:8443") {
		t.Error("one more connection on a path that is there was refused")
	}
}

func TestAHeartbeatConnectionRunsBothWays(t *testing.T) {
	alfa, bravo := oneWay(t)
	at := link.Path{TrustDomain: "bravo.example", Address: bravo.address}
	for range 3 {
		beats, facts, err := alfa.pool.Heartbeat(t.Context(), at)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { beats.Close() })
		if facts.Version != "TLS 1.3" {
			t.Errorf("%+v", facts)
		}
		if err := echo(beats); err != nil {
			t.Error(err)
		}
	}
	if got, want := bravo.beaten.Load(), (link.Path{TrustDomain: "alfa.example", Address: bravo.address, Accepted: true}); *got != want {
		t.Errorf("bravo names the path %+v, want %+v", got, want)
	}
	if heard := alfa.pool.Heard(at); time.Since(heard) > 10*time.Second {
		t.Errorf("heard at %s", heard)
	}
	if heard := bravo.pool.Heard(*bravo.beaten.Load()); time.Since(heard) > 10*time.Second {
		t.Errorf("bravo heard at %s", heard)
	}
	t.Run("and_its_end_is_seen", func(t *testing.T) {
		beats, _, err := alfa.pool.Heartbeat(t.Context(), at)
		if err != nil {
			t.Fatal(err)
		}
		eventually(t, "four run", func() bool { return bravo.beating.Load() == 4 })
		beats.Close()
		eventually(t, "three run", func() bool { return bravo.beating.Load() == 3 })
	})
	t.Run("and_a_refusal_is_an_error_of_the_link", func(t *testing.T) {
		_, _, err := alfa.pool.Heartbeat(t.Context(), link.Path{TrustDomain: "bravo.example", Address: "192.0.2.1:1"})
		if cause(t, err) != report.CauseNoEndpoints {
			t.Error(err)
		}
	})
}
