// SPDX-FileCopyrightText: The certlink authors
// SPDX-License-Identifier: Apache-2.0

package localcert

import (
	"testing"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/certlink/certlink/api/v1alpha1"
	"github.com/certlink/certlink/controllers/internal/relayconfig"
	"github.com/certlink/certlink/internal/testca"
	"github.com/certlink/certlink/relay/config"
)

func TestAPeerKeepsTheBundleThatTheRelayHasWhileItsConfigMapIsAway(t *testing.T) {
	good, other := testca.New(t, "bravo.example").Bundle(), testca.New(t, "bravo.example").Bundle()
	for name, tc := range map[string]struct {
		found  relayconfig.Bundle
		domain string // of the PeerCERT now
		want   string
	}{
		"away":                   {relayconfig.Bundle{Missing: "there is no ConfigMap"}, "bravo.example", good},
		"damaged":                {relayconfig.Bundle{PEM: "damaged"}, "bravo.example", good},
		"another_one":            {relayconfig.Bundle{PEM: other}, "bravo.example", other},
		"of_another_peer_by_now": {relayconfig.Bundle{Missing: "there is no ConfigMap"}, "charlie.example", ""},
	} {
		t.Run(name, func(t *testing.T) {
			p := v1alpha1.PeerCERT{ObjectMeta: metav1.ObjectMeta{Namespace: "cert", Name: "bravo"}, Spec: v1alpha1.PeerCERTSpec{
				Identity:  v1alpha1.Identity{DisplayName: "CERT Bravo", TrustDomain: "bravo.example"},
				Endpoints: []v1alpha1.Endpoint{{Address: "relay.bravo.example:8443"}}, State: v1alpha1.PeerActive,
			}}
			in := relayconfig.Input{
				Local: &v1alpha1.LocalCERT{ObjectMeta: metav1.ObjectMeta{Name: "alfa"}, Spec: v1alpha1.LocalCERTSpec{Identity: v1alpha1.Identity{TrustDomain: "alfa.example"}}},
				Peers: []v1alpha1.PeerCERT{p}, Bundles: map[string]relayconfig.Bundle{"bravo": {PEM: good}},
			}
			applied, err := config.Encode(relayconfig.Assemble(in))
			if err != nil {
				t.Fatal(err)
			}
			in.Peers[0].Spec.Identity.TrustDomain = tc.domain
			in.Bundles["bravo"] = tc.found
			keepLast(in, applied)
			got := ""
			if peers := relayconfig.Assemble(in).Peers; len(peers) == 1 {
				got = peers[0].Bundle
			}
			if got != tc.want {
				t.Errorf("the relay gets the bundle %q", got)
			}
			keepLast(in, []byte("damaged")) // changes nothing
		})
	}
}
