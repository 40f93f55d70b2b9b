// SPDX-FileCopyrightText: The certlink authors
// SPDX-License-Identifier: Apache-2.0

//go:build envtest

package envtest

import (
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/certlink/certlink/api/v1alpha1"
	"github.com/certlink/certlink/internal/testca"
	"github.com/certlink/certlink/relay/report"
)

// nation is a namespace with everything that alfa declares about bravo, an
// operator, a played cert-manager and a played relay.
type nation struct {
	*server
	operator *operator
	relay    *relay
	certs    *certManager
	bravo    *testca.CA

	local   *v1alpha1.LocalCERT
	peer    *v1alpha1.PeerCERT
	export  *v1alpha1.SharedFeed
	imports *v1alpha1.SharedFeed
	hotline *v1alpha1.Hotline
}

// alfa brings up a nation that is Ready, and Connected to bravo.
func alfa(t *testing.T) *nation {
	t.Helper()
	n := &nation{server: start(t)}
	n.certs = playCertManager(t, n.server, "alfa.example")
	n.relay = playRelay(t, n.server, "alfa")
	n.operator = runOperator(t, n.server, n.relay.address)
	n.bravo = testca.New(t, "bravo.example")
	n.declare(t)
	n.relay.up(t)
	n.relay.change(linkUp)
	n.expect(t, n.local, "Ready=True/Reconciled", "CertificatesIssued=True/CertificatesIssued", "RelayAvailable=True/RelayReporting", "!Reconciling", "!Stalled")
	n.expect(t, n.peer, "Ready=True/Reconciled", "Connected=True/ProbesAnswered", "Redundant=True/PathsProven",
		"PeerAccepted=True/Accepted", "TrustInSync=True/InSync", "Suspended=False/Active")
	n.expect(t, n.export, "Ready=True/Reconciled", "PeerAccepted=True/Offered", "Delivering=True/Exporting", "Fresh=True/Decided")
	n.expect(t, n.imports, "Ready=True/Reconciled", "PeerAccepted=True/Offered", "Delivering=True/Pulled", "Fresh=True/Pulled")
	n.expect(t, n.hotline, "Ready=True/Reconciled", "Reachable=True/ReceiptsInTime", "Answered=True/AcknowledgedInTime")
	return n
}

// declare creates the resources of alfa.
func (n *nation) declare(t *testing.T) {
	t.Helper()
	n.local = localCERT(n.Namespace, "alfa")
	n.peer = peerCERT(n.Namespace, "bravo", n.bravo)
	n.export = &v1alpha1.SharedFeed{
		ObjectMeta: metav1.ObjectMeta{Namespace: n.Namespace, Name: "threats"},
		Spec: v1alpha1.SharedFeedSpec{Direction: v1alpha1.FeedExport, Export: &v1alpha1.FeedExportSpec{
			PeerRefs: []v1alpha1.PeerReference{{Name: "bravo"}},
			Sources:  []v1alpha1.FeedSource{{Name: "attack", UnmarkedAs: v1alpha1.TLPClear}},
			Rule:     v1alpha1.FeedRule{MaxTLP: v1alpha1.TLPGreen},
		}},
	}
	n.imports = &v1alpha1.SharedFeed{
		ObjectMeta: metav1.ObjectMeta{Namespace: n.Namespace, Name: "from-bravo"},
		Spec: v1alpha1.SharedFeedSpec{Direction: v1alpha1.FeedImport, Import: &v1alpha1.FeedImportSpec{
			PeerRef:    v1alpha1.PeerReference{Name: "bravo"},
			Collection: "sightings",
		}},
	}
	n.hotline = &v1alpha1.Hotline{
		ObjectMeta: metav1.ObjectMeta{Namespace: n.Namespace, Name: "bravo"},
		Spec:       v1alpha1.HotlineSpec{PeerRef: v1alpha1.PeerReference{Name: "bravo"}},
	}
	for _, err := range []error{
		n.Client.Create(t.Context(), n.local), n.Client.Create(t.Context(), n.peer), n.Client.Create(t.Context(), n.export),
		n.Client.Create(t.Context(), n.imports), n.Client.Create(t.Context(), n.hotline),
	} {
		if err != nil {
			t.Fatal(err)
		}
	}
}

func localCERT(namespace, name string) *v1alpha1.LocalCERT {
	return &v1alpha1.LocalCERT{
		ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: name},
		Spec: v1alpha1.LocalCERTSpec{
			Identity:  v1alpha1.Identity{DisplayName: "CERT Alfa", TrustDomain: "alfa.example"},
			Addresses: []v1alpha1.Endpoint{{Address: "relay.alfa.example:8443"}},
		},
	}
}

func peerCERT(namespace, name string, ca *testca.CA) *v1alpha1.PeerCERT {
	return &v1alpha1.PeerCERT{
		ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: name},
		Spec: v1alpha1.PeerCERTSpec{
			Identity:  v1alpha1.Identity{DisplayName: "CERT " + name, TrustDomain: ca.TrustDomain},
			Endpoints: []v1alpha1.Endpoint{{Address: "relay.bravo.example:18443"}},
			Trust:     v1alpha1.PeerTrust{Bundle: ca.Bundle()},
		},
	}
}

// linkUp is a report with everything well between alfa and bravo.
func linkUp(r *report.Report) {
	now := time.Now()
	up := report.Direction{State: report.Up, Since: now}
	r.Peers = []report.Peer{{
		Name: "bravo", State: "Active", Outbound: up, Inbound: up,
		TLS: &report.TLS{Version: "TLS 1.3", Group: "X25519MLKEM768", PeerNotAfter: now.AddDate(0, 0, 60)},
		Paths: []report.PathState{
			{Address: "relay.bravo.example:18443", State: report.Up, Outbound: report.Up, Inbound: report.Up, Since: now, RoundTripMilliseconds: 1.5},
			{Address: "relay.alfa.example:8443", Accepted: true, State: report.Up, Outbound: report.Up, Inbound: report.Up, Since: now},
		},
		DetectionMilliseconds: 350,
		Offer: &report.Offer{
			ReceivedAt: now, Versions: []int32{1}, Version: 1, Release: "v0.2.0", State: "Active", Card: "cccc", AcceptedRoots: []string{"aaaa"}, SeenRoot: "aaaa",
			Exports: []string{"sightings"}, Imports: []string{"threats"}, Hotline: true, Outbound: report.Up, Inbound: report.Up, PathsUp: 2,
		},
		Trust: &report.Trust{Roots: []string{"bbbb"}, Fingerprint: "bbbb"},
	}}
	r.Identity.Root, r.Identity.Roots = "aaaa", []string{"aaaa"}
	r.Exports = []report.Export{{Name: "threats", Stored: 100, Peers: []report.ExportPeer{{
		Peer: "bravo", Shared: 90, Held: []report.Held{{Reason: "TLPAboveCeiling: RED", Objects: 7}, {Reason: "Unmarked", Objects: 3}},
	}}}}
	r.Imports = []report.Import{{Name: "from-bravo", Stored: 12, LastSuccess: now.Truncate(time.Minute)}}
	r.Hotlines = []report.Hotline{{Name: "bravo", Peer: "bravo", LastReceipt: now.Add(-time.Minute).Truncate(time.Second), Unacknowledged: 2}}
}
