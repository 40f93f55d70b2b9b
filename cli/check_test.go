// SPDX-FileCopyrightText: The certlink authors
// SPDX-License-Identifier: Apache-2.0

package cli

import (
	"encoding/json"
	"errors"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/certlink/certlink/internal/relayclient/relaytest"
	"github.com/certlink/certlink/relay/desk"
)

// seenCheck is a peer with one address that is well and one that is not.
func seenCheck() desk.Check {
	offset := int64(12)
	layers := func(saw ...string) []desk.LayerCheck {
		var list []desk.LayerCheck
		for i, layer := range []desk.Layer{desk.LayerName, desk.LayerPort, desk.LayerTLS, desk.LayerTrustDomain, desk.LayerChain, desk.LayerClock, desk.LayerProtocol} {
			l := desk.LayerCheck{Layer: layer, State: desk.LayerNotReached}
			if i < len(saw) {
				l.State, l.Saw = desk.LayerOK, saw[i]
			}
			list = append(list, l)
		}
		return list
	}
	good := layers("192.0.2.7", "connected to 192.0.2.7:8443", "TLS 1.3, X25519MLKEM768", "spiffe://bravo.example/relay", `issued by "CN=bravo", SHA-256 ab12`,
		"offset +12 ms (±3 ms), certificates valid until 2026-05-01T00:00:00Z", "probe answered in 4 ms, hotline open, feeds open")
	bad := layers("192.0.2.8", "connected to 192.0.2.8:8443", "TLS 1.3, X25519MLKEM768")
	bad[3] = desk.LayerCheck{
		Layer: desk.LayerTrustDomain, State: desk.LayerFailed, Saw: "spiffe://charlie.example/\x1b[2J",
		Fault: `the relay at this address shows a certificate for trust domain "charlie.example", not "bravo.example": correct the address`,
	}
	return desk.Check{
		Peer: "bravo", TrustDomain: "bravo.example", State: "Active", CheckedAt: noon, Trusts: []string{"ab12"},
		Endpoints: []desk.EndpointCheck{
			{Address: "relay.bravo.example:8443", Label: "first", Layers: good, Remote: "192.0.2.7:8443", Subject: "spiffe://bravo.example/relay",
				Issuer: "ab12", NotAfter: noon.Add(24 * time.Hour), TLSVersion: "TLS 1.3", Group: "X25519MLKEM768", OffsetMilliseconds: &offset, RoundTripMilliseconds: 4.25},
			{Address: "relay2.bravo.example:8443", Fails: desk.LayerTrustDomain, Layers: bad, Remote: "192.0.2.8:8443"},
		},
	}
}

func TestCheckOutput(t *testing.T) {
	for file, output := range map[string]format{"check.txt": asTable, "check.json": asJSON, "check.yaml": asYAML} {
		t.Run(file, func(t *testing.T) {
			o, s := setup(t)
			asked := ""
			relay := relaytest.Desk(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				asked = r.Method + " " + r.URL.Path
				w.Header().Set("Content-Type", "application/json")
				if err := json.NewEncoder(w).Encode(seenCheck()); err != nil {
					t.Error(err)
				}
			}))
			err := o.checkPeer(t.Context(), relay, "bravo", &output)
			if expect(t, err, `"bravo" at relay2.bravo.example:8443 fails at the layer trustDomain`); !errors.Is(err, ErrUnwell) {
				t.Errorf("err = %v", err)
			}
			if asked != "POST /check/bravo" {
				t.Errorf("asked for %q", asked)
			}
			golden(t, file, s.out.String())
		})
	}
}

func TestCheckIsWellWhenNoLayerFails(t *testing.T) {
	seen := seenCheck()
	seen.Endpoints = seen.Endpoints[:1]
	if err := checked(seen); err != nil {
		t.Error(err)
	}
}

func TestCheckTellsWhyTheRelayCannotLook(t *testing.T) {
	o, s := setup(t)
	relay := relaytest.Desk(t, http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/problem+json")
		w.WriteHeader(http.StatusNotFound)
		_, _ = w.Write([]byte(`{"title":"Not Found","status":404,"detail":"our relay has no peer of this name"}`))
	}))
	output := asTable
	expect(t, o.checkPeer(t.Context(), relay, "b/../x", &output), `our relay has no peer "b/../x": see kubectl get pcert`)
	if strings.TrimSpace(s.out.String()) != "" {
		t.Errorf("printed %q", s.out)
	}
}
