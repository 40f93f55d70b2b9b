// SPDX-FileCopyrightText: The certlink authors
// SPDX-License-Identifier: Apache-2.0

package faults

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"io"
	"net"
	"net/http"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/certlink/certlink/internal/testca"
	"github.com/certlink/certlink/relay/config"
	"github.com/certlink/certlink/relay/desk"
	"github.com/certlink/certlink/relay/report"
)

// expected is what one side's report says of the link.
type expected struct {
	outbound report.Cause
	says     string // in the outbound message
	inbound  report.Cause
}

func TestALinkThatMustNotBe(t *testing.T) {
	for _, c := range []struct {
		name        string
		spoil       func(t *testing.T, alfa, bravo *nation)
		alfa, bravo expected
	}{
		{
			name: "wrong_bundle",
			spoil: func(t *testing.T, alfa, _ *nation) {
				alfa.cfg.Peers[0].Bundle = testca.New(t, "bravo.example").Bundle()
			},
			alfa:  expected{report.CauseUntrusted, "does not chain to our bundle", report.CauseUntrusted},
			bravo: expected{report.CauseRefused, "refused our certificate", report.CauseSilent},
		},
		{
			name: "another_trust_domain_at_the_address",
			spoil: func(_ *testing.T, alfa, _ *nation) {
				alfa.cfg.Peers[0].TrustDomain = "charlie.example"
			},
			alfa:  expected{report.CauseTrustDomain, `for trust domain "bravo.example", not "charlie.example"`, report.CauseSilent},
			bravo: expected{report.CauseRefused, "refused our certificate", report.CauseSilent},
		},
		{
			name: "expired_chain",
			spoil: func(t *testing.T, _, bravo *nation) {
				bravo.ca.Leaf(t, testca.Leaf{Path: "/relay", NotAfter: time.Now().Add(-time.Minute)}).
					WriteTo(t, filepath.Dir(bravo.cfg.Identity.Link.CertFile))
			},
			alfa:  expected{report.CauseExpired, "must renew it", report.CauseExpired},
			bravo: expected{report.CauseRefused, "refused our certificate", report.CauseSilent},
		},
		{
			name: "expired_bundle",
			spoil: func(t *testing.T, alfa, _ *nation) {
				alfa.cfg.Peers[0].Bundle = testca.New(t, "bravo.example", testca.Options{
					NotBefore: time.Now().Add(-48 * time.Hour), NotAfter: time.Now().Add(-24 * time.Hour),
				}).Bundle()
			},
			alfa:  expected{report.CauseExpired, "get the peer's new card", report.CauseExpired},
			bravo: expected{report.CauseRefused, "refused our certificate", report.CauseSilent},
		},
		{
			name: "unreachable_address",
			spoil: func(t *testing.T, alfa, bravo *nation) {
				alfa.cfg.Peers[0].Endpoints[0].Address = freePort(t)
				bravo.cfg.Peers[0].Endpoints = nil // or it would dial, and so connect both ways
			},
			alfa:  expected{report.CauseUnreachable, "connection refused", report.CauseSilent},
			bravo: expected{report.CauseNoEndpoints, "it dials us", report.CauseSilent},
		},
		{
			name: "a_name_that_does_not_exist",
			spoil: func(_ *testing.T, alfa, bravo *nation) {
				alfa.cfg.Peers[0].Endpoints[0].Address = "relay.invalid:8443"
				bravo.cfg.Peers[0].Endpoints = nil // or it would dial, and so connect both ways
			},
			alfa:  expected{report.CauseUnreachable, `"relay.invalid"`, report.CauseSilent},
			bravo: expected{report.CauseNoEndpoints, "it dials us", report.CauseSilent},
		},
		{
			name: "charlie_signed_by_bravo",
			spoil: func(t *testing.T, alfa, bravo *nation) {
				charlie := testca.New(t, "charlie.example")
				alfa.cfg.Peers[0].TrustDomain, alfa.cfg.Peers[0].Bundle = "charlie.example", charlie.Bundle()
				p := bravo.ca.Leaf(t, testca.Leaf{Path: "/relay", TrustDomain: "charlie.example"})
				bravo.cfg.Identity.TrustDomain = "charlie.example"
				p.WriteTo(t, filepath.Join(bravo.dir, "tls", "relay"))
				for _, path := range []string{"/local", "/signing"} {
					bravo.ca.Leaf(t, testca.Leaf{Path: path, TrustDomain: "charlie.example"}).WriteTo(t, filepath.Join(bravo.dir, "tls", path))
				}
				desk := bravo.ca.Leaf(t, testca.Leaf{Path: "/desk", TrustDomain: "charlie.example"})
				desk.WriteTo(t, filepath.Join(bravo.dir, "tls", "desk"))
				bravo.http = bravo.client(t, "desk")
			},
			alfa:  expected{report.CauseUntrusted, "does not chain to our bundle", report.CauseUntrusted},
			bravo: expected{report.CauseRefused, "refused our certificate", report.CauseSilent},
		},
		{
			name: "something_else_at_the_address",
			spoil: func(t *testing.T, alfa, bravo *nation) {
				alfa.cfg.Peers[0].Endpoints[0].Address = plainServer(t)
				bravo.cfg.Peers[0].Endpoints = nil // or it would dial, and so connect both ways
			},
			alfa:  expected{report.CauseProtocol, "does not speak TLS", report.CauseSilent},
			bravo: expected{report.CauseNoEndpoints, "it dials us", report.CauseSilent},
		},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			alfa, bravo := newNation(t, "alfa"), newNation(t, "bravo")
			alfa.join(bravo)
			bravo.join(alfa)
			c.spoil(t, alfa, bravo)
			alfa.start(t)
			bravo.start(t)
			alfa.offer(t, "bravo")
			bravo.offer(t, "alfa")
			alfa.sees(t, c.alfa)
			bravo.sees(t, c.bravo)
			if c.alfa.outbound != report.CauseNone && c.bravo.outbound != report.CauseNone {
				alfa.hasNothing(t, "bravo")
				bravo.hasNothing(t, "alfa")
			}
		})
	}
}

// offer has the nation send an object and a message to the peer.
func (n *nation) offer(t *testing.T, peer string) {
	t.Helper()
	if status, data, err := n.push(t, peer, object(1)); err != nil || status != http.StatusAccepted {
		t.Fatalf("push: %d %s %v", status, data, err)
	}
	status, data, err := n.send(t.Context(), t, desk.SendRequest{Hotline: peer, Subject: "Test", Text: "Test", Officer: "Duty"})
	if err != nil || status != http.StatusCreated {
		t.Fatalf("send: %d %s %v", status, data, err)
	}
}

// hasNothing checks that neither object nor message of the peer has arrived.
func (n *nation) hasNothing(t *testing.T, peer string) {
	t.Helper()
	if ids, err := n.received(t, peer); err != nil || len(ids) != 0 {
		t.Errorf("%s received %v from %s (%v)", n.name, ids, peer, err)
	}
	if in, err := n.messages(t, "in"); err != nil || len(in) != 0 {
		t.Errorf("%s received %d messages from %s (%v)", n.name, len(in), peer, err)
	}
}

// sees waits until the report says what is expected of the only peer, and checks
// that it keeps saying so: a message that flickers is a write to an API server.
func (n *nation) sees(t *testing.T, want expected) {
	t.Helper()
	right := func(r report.Report) bool {
		p := r.Peers[0]
		return p.Outbound.State == state(want.outbound) && p.Outbound.Cause == want.outbound && strings.Contains(p.Outbound.Message, want.says) &&
			p.Inbound.State == state(want.inbound) && p.Inbound.Cause == want.inbound
	}
	first := n.until(t, fmt.Sprintf("sees %+v", want), right)
	for revision := first.Revision; ; { // until it has been quiet for as long as five probes take
		next, err := n.reportAfter(t, revision, time.Second)
		if err != nil {
			break
		}
		revision = next.Revision
	}
	p := n.until(t, "still sees it", right).Peers[0]
	t.Logf("%s: outbound %s %q; inbound %s %q", n.name, p.Outbound.Cause, p.Outbound.Message, p.Inbound.Cause, p.Inbound.Message)
	if strings.Contains(p.Outbound.Message+p.Inbound.Message, "PRIVATE") {
		t.Error("a message shows key material")
	}
}

func state(c report.Cause) report.State {
	switch c {
	case report.CauseNone:
		return report.Up
	case report.CauseNoEndpoints:
		return report.Unknown
	default:
		return report.Down
	}
}

// plainServer answers HTTP without TLS.
func plainServer(t *testing.T) string {
	t.Helper()
	l, err := new(net.ListenConfig).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	server := &http.Server{Handler: http.NotFoundHandler(), ReadHeaderTimeout: time.Second}
	go func() { _ = server.Serve(l) }()
	t.Cleanup(func() { server.Close() })
	return l.Addr().String()
}

func TestTrustChangesWhileConnected(t *testing.T) {
	alfa, bravo := pair(t)
	alfa.connected(t)
	bravo.connected(t)

	t.Run("a_renewed_certificate_costs_nothing", func(t *testing.T) {
		before := bravo.connected(t)
		p := bravo.ca.Leaf(t, testca.Leaf{Path: "/relay", NotAfter: time.Now().AddDate(0, 0, 30)})
		p.WriteTo(t, filepath.Join(bravo.dir, "tls", "relay"))
		alfa.until(t, "sees the new certificate", func(r report.Report) bool {
			return r.Peers[0].TLS.PeerNotAfter.Equal(p.Chain[0].NotAfter)
		})
		if after := bravo.connected(t); !after.Outbound.Since.Equal(before.Outbound.Since) {
			t.Errorf("the link was down in between: up since %s, was %s", after.Outbound.Since, before.Outbound.Since)
		}
	})
	t.Run("a_configuration_is_live_within_a_second_of_its_file", func(t *testing.T) {
		alfa.cfg.Peers[0].State = config.Revoked
		begun := time.Now()
		want := alfa.write(t)
		alfa.until(t, "runs the new configuration", func(r report.Report) bool { return r.Config.Checksum == want })
		took := time.Since(begun)
		t.Logf("live after %s", took.Round(time.Millisecond))
		if took > time.Second {
			t.Errorf("live after %s", took)
		}
	})
	t.Run("a_revoked_peer_is_cut_off_and_refused", func(t *testing.T) {
		bravo.until(t, "is refused", func(r report.Report) bool {
			return r.Peers[0].Outbound.Cause == report.CauseRefused && r.Peers[0].Inbound.State == report.Down
		})
	})
	t.Run("a_bad_configuration_leaves_the_last_good_one", func(t *testing.T) {
		alfa.cfg.Peers[0].State = config.Active
		good := alfa.write(t)
		alfa.connected(t)
		other := alfa.cfg.Listen
		alfa.cfg.Listen.Link = freePort(t)
		bad := alfa.write(t)
		alfa.until(t, "reports the refusal", func(r report.Report) bool {
			return r.Config.Checksum == good && r.Config.RejectedChecksum == bad && strings.Contains(r.Config.Error, "listen: cannot change")
		})
		alfa.cfg.Listen = other
		alfa.connected(t)
		alfa.write(t)
		alfa.until(t, "is content again", func(r report.Report) bool { return r.Config.RejectedChecksum == "" && r.Config.Error == "" })
	})
}

func TestStrangersGetNothing(t *testing.T) {
	alfa, bravo := pair(t)
	alfa.connected(t)
	charlie := testca.New(t, "charlie.example")
	for _, c := range []struct {
		name string
		cert func(t *testing.T) []tls.Certificate
	}{
		{"without_a_certificate", func(*testing.T) []tls.Certificate { return nil }},
		{"with_a_certificate_of_nobody_we_know", func(t *testing.T) []tls.Certificate {
			return []tls.Certificate{charlie.Leaf(t, testca.Leaf{Path: "/relay"}).TLS()}
		}},
		{"with_bravo's_name_by_charlie", func(t *testing.T) []tls.Certificate {
			return []tls.Certificate{charlie.Leaf(t, testca.Leaf{Path: "/relay", TrustDomain: "bravo.example"}).TLS()}
		}},
		{"with_charlie's_name_by_bravo", func(t *testing.T) []tls.Certificate {
			return []tls.Certificate{bravo.ca.Leaf(t, testca.Leaf{Path: "/relay", TrustDomain: "charlie.example"}).TLS()}
		}},
		{"with_alfa's_own_name_by_bravo", func(t *testing.T) []tls.Certificate {
			return []tls.Certificate{bravo.ca.Leaf(t, testca.Leaf{Path: "/relay", TrustDomain: "alfa.example"}).TLS()}
		}},
	} {
		t.Run(c.name, func(t *testing.T) {
			for _, protocol := range []string{"certlink-probe/1", "certlink-hotline/1", "http/1.1"} {
				if text, err := request(t, alfa, &tls.Config{Certificates: c.cert(t), NextProtos: []string{protocol}}, "GET /taxii2/"); err == nil {
					t.Errorf("%s: got an answer: %s", protocol, text)
				}
			}
		})
	}
	t.Run("a_peer_that_is_known_may_ask_only_what_the_class_allows", func(t *testing.T) {
		relay := bravo.ca.Leaf(t, testca.Leaf{Path: "/relay"}).TLS()
		reader := bravo.ca.Leaf(t, testca.Leaf{Path: "/reader"}).TLS()
		for _, q := range []struct {
			cert           tls.Certificate
			protocol, line string
			want           string
		}{
			{relay, "certlink-probe/1", "GET /taxii2/", "421"},
			{relay, "certlink-hotline/1", "POST /certlink/v1/probe", "421"},
			{relay, "http/1.1", "POST /certlink/v1/hotline/batches", "421"},
			{relay, "http/1.1", "GET /report", "421"},
			{relay, "certlink-probe/1", "GET /certlink/v1/probe", "405"},
			{reader, "certlink-probe/1", "POST /certlink/v1/probe", ""},
			{reader, "certlink-hotline/1", "POST /certlink/v1/hotline/batches", ""},
		} {
			text, err := request(t, alfa, &tls.Config{Certificates: []tls.Certificate{q.cert}, NextProtos: []string{q.protocol}}, q.line)
			if q.want == "" {
				if err == nil {
					t.Errorf("%s over %s by a client that is no relay: %.40q", q.line, q.protocol, text)
				}
				continue
			}
			if err != nil || !strings.HasPrefix(text, "HTTP/1.1 "+q.want) {
				t.Errorf("%s over %s: %.40q, %v; want %s", q.line, q.protocol, text, err, q.want)
			}
		}
	})
}

// request sends one request to the nation's link port and returns the answer.
func request(t *testing.T, n *nation, cfg *tls.Config, line string) (string, error) {
	t.Helper()
	roots := x509.NewCertPool()
	roots.AddCert(n.ca.Root)
	cfg.RootCAs, cfg.ServerName = roots, "localhost"
	ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second)
	defer cancel()
	conn, err := (&tls.Dialer{Config: cfg}).DialContext(ctx, "tcp", n.cfg.Listen.Link)
	if err != nil {
		return "", err
	}
	defer conn.Close()
	if strings.HasPrefix(cfg.NextProtos[0], "certlink-") {
		if conn, err = open(conn); err != nil {
			return "", err
		}
	}
	if err := conn.SetDeadline(time.Now().Add(5 * time.Second)); err != nil {
		return "", err
	}
	if _, err := fmt.Fprintf(conn, "%s HTTP/1.1\r\nHost: x\r\nAccept: application/taxii+json;version=2.1\r\nContent-Length: 0\r\nConnection: close\r\n\r\n", line); err != nil {
		return "", err
	}
	data, err := io.ReadAll(io.LimitReader(conn, 1<<16))
	return string(data), err
}
