// SPDX-FileCopyrightText: The certlink authors
// SPDX-License-Identifier: Apache-2.0

package localcert

import (
	"maps"
	"slices"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/certlink/certlink/controllers/internal/reports"
	"github.com/certlink/certlink/internal/cabundle"
	"github.com/certlink/certlink/relay/config"
	relayreport "github.com/certlink/certlink/relay/report"
)

// mount is one step of the kubelet: one volume of the relay shows what is newest.
func (w *world) mount(volume string) {
	w.t.Helper()
	w.clock = w.clock.Add(time.Second)
	var from client.Object = &corev1.Secret{ObjectMeta: metav1.ObjectMeta{Namespace: "cert", Name: "alfa-" + volume}}
	if volume == "config" {
		from = &corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Namespace: "cert", Name: "alfa-relay"}}
	}
	err := w.raw.Get(w.t.Context(), client.ObjectKeyFromObject(from), from)
	if err != nil || w.relay.mounted[volume] == from.GetResourceVersion() {
		return
	}
	w.relay.mounted = maps.Clone(w.relay.mounted) // a copy of the world may have this one
	if w.relay.mounted == nil {
		w.relay.mounted = map[string]string{}
	}
	w.relay.mounted[volume] = from.GetResourceVersion()
	switch from := from.(type) {
	case *corev1.ConfigMap:
		w.load([]byte(from.Data["relay.yaml"]))
	case *corev1.Secret:
		chain, ca := parse(from.Data["tls.crt"]), parse(from.Data["ca.crt"])
		state := issuedAs{root: cabundle.Hash(rootOf(chain, ca, chain[0].NotBefore)), serial: chain[0].SerialNumber.Text(16)}
		*map[string]*issuedAs{"link": &w.relay.link, "local": &w.relay.local, "signing": &w.relay.signing}[volume] = state
		w.relay.up = w.relay.link.root != "" && w.relay.local.root != "" && w.relay.signing.root != ""
	}
}

// load is what the relay does about a new configuration file.
func (w *world) load(file []byte) {
	w.t.Helper()
	c, err := config.Decode(file)
	if err != nil {
		w.t.Fatalf("the relay refuses its configuration: %v", err)
	}
	w.relay.config, w.relay.sum, w.relay.roots = c, config.Checksum(file), nil
	if c.Identity.Bundle == "" {
		return
	}
	bundle, err := cabundle.Parse(c.Identity.Bundle)
	if err != nil {
		w.t.Fatalf("the relay refuses its own bundle: %v", err)
	}
	w.relay.roots = cabundle.Hashes(bundle)
}

// meet is one exchange of offers with a peer, or the connection that is refused.
func (w *world) meet(name string) {
	w.t.Helper()
	w.clock = w.clock.Add(time.Second)
	p := w.peers[name]
	if !p.online || !w.relay.up || w.relay.roots == nil {
		return
	}
	if p.accepted == nil {
		p.accepted = slices.Clone(w.relay.roots) // the card, by hand
	}
	for what, root := range map[string]string{"link": w.relay.link.root, "signing": w.relay.signing.root} {
		if !slices.Contains(p.accepted, root) {
			w.t.Fatalf("outage: %s does not accept root %s of our %s certificate, only %v; status: %+v", name, short(root), what, p.accepted, w.local().Status.Rotation)
		}
	}
	if !p.manual {
		p.accepted = slices.Clone(w.relay.roots)
	}
	p.offer = &relayreport.Offer{ReceivedAt: w.clock.Truncate(time.Minute), AcceptedRoots: slices.Clone(p.accepted), SeenRoot: w.relay.link.root}
}

// View implements relays: what the operator sees.
func (w *world) View(string) reports.View {
	if w.relay.fresh || w.relay.silent {
		return reports.View{Contact: reports.Calling}
	}
	if !w.relay.up || w.relay.config == nil {
		return reports.View{Contact: reports.Undeployed}
	}
	r := &relayreport.Report{
		Config:   relayreport.ConfigState{Checksum: w.relay.sum},
		Identity: relayreport.IdentityState{Serial: w.relay.link.serial, LocalSerial: w.relay.local.serial, SigningSerial: w.relay.signing.serial, Root: w.relay.link.root},
	}
	for name, p := range w.peers {
		r.Peers = append(r.Peers, relayreport.Peer{Name: name, Offer: p.offer})
	}
	return reports.View{
		Contact: reports.Reached, Report: r, Checksum: w.relay.wanted, WrittenAt: w.relay.at,
		Wanted: w.relay.written[w.relay.wanted], Live: w.relay.written[w.relay.sum],
	}
}

// Written implements relays.
func (w *world) Written(_, checksum string, c *config.Config) {
	if w.relay.wanted != checksum {
		w.relay.at = w.clock
	}
	w.relay.written[checksum], w.relay.wanted = c, checksum
}

// Follow implements relays.
func (w *world) Follow(_ string, target reports.Target) { w.target = target }

// Undeployed implements relays.
func (w *world) Undeployed(string) {}

// Drop implements relays.
func (w *world) Drop(string, string) {}
