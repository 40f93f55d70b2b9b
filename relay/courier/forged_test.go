// SPDX-FileCopyrightText: The certlink authors
// SPDX-License-Identifier: Apache-2.0

package courier

import (
	"crypto/x509"
	"strings"
	"testing"

	"github.com/spiffe/go-spiffe/v2/bundle/x509bundle"
	"github.com/spiffe/go-spiffe/v2/spiffeid"

	"github.com/certlink/certlink/internal/testca"
)

// charlie is a peer of bravo like alfa, and its signature is as good: of its own sets, and of no set of alfa's.
func TestASetThatAnotherPeerOfOursSignedIsRefused(t *testing.T) {
	a, b := newPair(t)
	charlie := testca.New(t, "charlie.example")
	b.Add(x509bundle.FromX509Authorities(spiffeid.RequireTrustDomainFromString(charlie.TrustDomain), []*x509.Certificate{charlie.Root}))
	a.pair = charlie.Leaf(t, testca.Leaf{Path: "/signing"}) // who writes the set says that it is alfa
	a.queue("forged", "{}")
	_, files := a.export(t, 1<<20)
	if _, err := b.imports(t, files...); err == nil || len(b.got) > 0 || !strings.Contains(err.Error(), "signed by charlie.example") {
		t.Errorf("%d batches are taken, the error is %v", len(b.got), err)
	}
}
