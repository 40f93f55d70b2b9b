// SPDX-FileCopyrightText: The certlink authors
// SPDX-License-Identifier: Apache-2.0

package link_test

import (
	"crypto/x509"
	"errors"
	"io"
	"net"
	"path/filepath"
	"testing"
	"time"

	"github.com/certlink/certlink/internal/cabundle"
	"github.com/certlink/certlink/internal/testca"
	"github.com/certlink/certlink/relay/config"
	"github.com/certlink/certlink/relay/identity"
	"github.com/certlink/certlink/relay/link"
	"github.com/certlink/certlink/relay/stream"
)

// tunnel opens a stream to a side whose tunnels echo, and proves that it runs.
func (s *side) tunnel(t *testing.T, trustDomain string) *stream.Stream {
	t.Helper()
	for {
		st, err := s.pool.Open(t.Context(), trustDomain)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(st.Abort)
		switch err := echo(st); {
		case err == nil:
			return st
		case !link.Again(err):
			t.Fatal(err)
		}
	}
}

// echo sends a byte over a stream and waits for it to come back.
func echo(s net.Conn) error {
	if err := s.SetDeadline(time.Now().Add(patience)); err != nil {
		return err
	}
	if _, err := s.Write([]byte("x")); err != nil {
		return err
	}
	_, err := io.ReadFull(s, make([]byte, 1))
	return err
}

// ends waits until the connection of a stream has ended; who reads it sees that.
func ends(t *testing.T, s *stream.Stream) {
	t.Helper()
	eventually(t, "the connection has ended", func() bool {
		_ = echo(s)
		return s.Conn().Err() != nil
	})
}

func TestARetiredRootEndsNoStream(t *testing.T) {
	alfa, bravo := oneWay(t)
	alfa.rested(t)
	running := alfa.tunnel(t, "bravo.example")
	reverse := bravo.tunnel(t, "alfa.example")

	// Bravo goes over to a new root, as its offers say: first both, then only the new.
	base := cabundle.SetHash([]*x509.Certificate{bravo.ca.Root})
	next := testca.New(t, "bravo.example")
	learn := func(bundle string) {
		t.Helper()
		err := alfa.source.Learn(identity.Learned{TrustDomain: "bravo.example", Base: base, Bundle: bundle, At: time.Now()})
		if err != nil {
			t.Fatal(err)
		}
	}
	learn(bravo.ca.Bundle() + next.Bundle())
	next.Leaf(t, testca.Leaf{Path: "/relay"}).WriteTo(t, filepath.Join(bravo.dir, "relay"))
	bravo.apply(t)
	learn(next.Bundle())

	for name, s := range map[string]*stream.Stream{"dialled": running, "reverse": reverse} {
		if err := echo(s); err != nil {
			t.Errorf("%s: the stream was broken: %v", name, err)
		}
	}
	eventually(t, "what is parked was opened under the new root", func() bool {
		resp, err := get(t, alfa.pool.Client("bravo.example", link.Feed), discovery)
		return err == nil && resp.TLS.PeerCertificates[0].CheckSignatureFrom(next.Root) == nil
	})
	if err := running.Close(); err != nil {
		t.Fatal(err)
	}
	ends(t, running) // and carries no second one

	t.Run("but_a_revocation_does", func(t *testing.T) {
		other := alfa.tunnel(t, "bravo.example")
		alfa.change(t, func(p *config.Peer) { p.State = config.Revoked })
		ends(t, other)
		ends(t, reverse)
	})
}

func TestARenewedLeafEndsNoStreamAndReplacesWhatIsParked(t *testing.T) {
	for _, c := range []struct {
		name    string
		renewed func(alfa, bravo *side) (who *side, dir string)
	}{
		{"of_the_side_that_dialled", func(alfa, _ *side) (*side, string) { return alfa, alfa.dir }},
		{"of_the_other_side", func(_, bravo *side) (*side, string) { return bravo, bravo.dir }},
	} {
		t.Run(c.name, func(t *testing.T) {
			alfa, bravo := oneWay(t)
			alfa.rested(t)
			running, reverse := alfa.tunnel(t, "bravo.example"), bravo.tunnel(t, "alfa.example")
			who, dir := c.renewed(alfa, bravo)
			pair := who.ca.Leaf(t, testca.Leaf{Path: "/relay", NotAfter: time.Now().Add(time.Hour)})
			pair.WriteTo(t, filepath.Join(dir, "relay"))
			who.apply(t)
			from, to := bravo, alfa
			if who == bravo {
				from, to = alfa, bravo
			}
			eventually(t, "requests go over connections with the new leaf", func() bool {
				resp, err := get(t, from.pool.Client(to.ca.TrustDomain, link.Hotline), "https://"+to.ca.TrustDomain+link.PathHotline)
				return err == nil && resp.TLS.PeerCertificates[0].Equal(pair.Chain[0])
			})
			for _, s := range []*stream.Stream{running, reverse} {
				if err := echo(s); err != nil {
					t.Errorf("a stream was broken: %v", err)
				}
			}
		})
	}
}

func TestAConnectionThatIsCutInTheMiddleFailsItsStreamOnly(t *testing.T) {
	alfa, bravo := oneWay(t)
	alfa.rested(t)
	one, two := alfa.tunnel(t, "bravo.example"), alfa.tunnel(t, "bravo.example")
	one.Conn().Cut()
	if err := echo(one); err == nil || errors.Is(err, stream.ErrGlare) {
		t.Errorf("the stream of a cut connection: %v", err)
	}
	if err := echo(two); err != nil {
		t.Errorf("another stream: %v", err)
	}
	eventually(t, "the other side has forgotten it", func() bool { return bravo.connections(t, "class=tunnel", "state=busy") == 1 })
}
