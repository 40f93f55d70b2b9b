// SPDX-FileCopyrightText: The certlink authors
// SPDX-License-Identifier: Apache-2.0

package relayconfig

import (
	"cmp"
	"fmt"
	"hash/fnv"
	"net"
	"slices"
	"strconv"
	"strings"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/intstr"

	"github.com/certlink/certlink/api/v1alpha1"
	"github.com/certlink/certlink/controllers/internal/status"
	"github.com/certlink/certlink/relay/config"
)

// The ports of the relay's pods behind imported services.
const (
	FirstServicePort = 20_000
	LastServicePort  = 29_999
)

// Target is where an export leads to.
type Target struct {
	// Address is what our relay dials: NAME.NAMESPACE.svc:PORT.
	Address string
	// Selector of the pods behind it, nil where the Service names none.
	Selector map[string]string
	// Port of these pods, by number or by name.
	Port intstr.IntOrString
}

// TargetOf resolves the Service that an export names; service is nil when there
// is none of that name. LocalCERT is the name of ours. The verdict says why it
// cannot be shared.
func TargetOf(localCERT string, s *v1alpha1.SharedService, service *corev1.Service) (Target, *status.Verdict) {
	ref := s.Spec.Export.ServiceRef
	if service == nil {
		return Target{}, stalled(v1alpha1.ReasonServiceNotFound,
			"there is no Service %q in this namespace; create it or correct spec.export.serviceRef", ref.Name)
	}
	if service.Spec.Type == corev1.ServiceTypeExternalName {
		return Target{}, stalled(v1alpha1.ReasonServiceUnusable,
			"Service %q is an ExternalName, which may lead anywhere; share a Service with a selector, or one with EndpointSlices of its own", ref.Name)
	}
	if owner := metav1.GetControllerOfNoCopy(service); owner != nil && strings.HasPrefix(owner.APIVersion, v1alpha1.GroupVersion.Group+"/") {
		return Target{}, stalled(v1alpha1.ReasonServiceUnusable,
			"Service %q leads to our own relay (%s %q); a relay, or what a peer shares with us, is not passed on", ref.Name, owner.Kind, owner.Name)
	}
	if SelectsRelay(localCERT, service.Spec.Selector) {
		return Target{}, stalled(v1alpha1.ReasonServiceUnusable,
			"Service %q selects the pods of our own relay; a relay, or what a peer shares with us, is not passed on: correct its selector", ref.Name)
	}
	for i := range service.Spec.Ports {
		if p := &service.Spec.Ports[i]; p.Port == ref.Port && (p.Protocol == corev1.ProtocolTCP || p.Protocol == "") {
			return target(s.Namespace, service, p)
		}
	}
	return Target{}, stalled(v1alpha1.ReasonServicePortNotFound,
		"Service %q has no TCP port %d; correct spec.export.serviceRef.port", ref.Name, ref.Port)
}

// SelectsRelay tells whether a selector matches the pods of the relay of a
// LocalCERT: by the labels that we give them, and those that a StatefulSet does.
func SelectsRelay(localCERT string, selector map[string]string) bool {
	ours := map[string]string{
		"app.kubernetes.io/name": "certlink", "app.kubernetes.io/component": "relay",
		"app.kubernetes.io/instance": localCERT, "app.kubernetes.io/managed-by": "certlink-operator",
		"statefulset.kubernetes.io/pod-name": localCERT + "-relay-0", "apps.kubernetes.io/pod-index": "0",
	}
	for key, value := range selector {
		is, known := ours[key]
		if (!known || is != value) && key != "controller-revision-hash" {
			return false
		}
	}
	return len(selector) > 0
}

// target of a port. A Service without an address of its own (headless) is not
// translated: whoever dials it reaches the pods, at the port dialled.
func target(namespace string, service *corev1.Service, p *corev1.ServicePort) (Target, *status.Verdict) {
	out := Target{Selector: service.Spec.Selector, Port: p.TargetPort}
	if out.Port == (intstr.IntOrString{}) {
		out.Port = intstr.FromInt32(p.Port)
	}
	dial := p.Port
	if service.Spec.ClusterIP == corev1.ClusterIPNone {
		if out.Port.Type == intstr.String {
			return Target{}, stalled(v1alpha1.ReasonServiceUnusable,
				"Service %q is headless and its targetPort %q is a name; give that port a number, or share a Service with an address of its own", service.Name, out.Port.StrVal)
		}
		dial = out.Port.IntVal
	}
	out.Address = ServiceAddress(namespace, service.Name, dial)
	return out, nil
}

// ServiceAddress is NAME.NAMESPACE.svc:PORT of a Service.
func ServiceAddress(namespace, name string, port int32) string {
	return net.JoinHostPort(name+"."+namespace+".svc", strconv.Itoa(int(port)))
}

// ServiceExport is the part of the configuration that an exporting SharedService
// asks for: its peers are those that usable tells.
func ServiceExport(s *v1alpha1.SharedService, t Target, usable func(peer string) bool) config.ServiceExport {
	spec := s.Spec.Export
	out := config.ServiceExport{
		Name:           s.Name,
		Target:         t.Address,
		Peers:          []string{},
		MaxConnections: deref(spec.Limits.MaxConnections),
		IdleSeconds:    deref(spec.Limits.IdleSeconds),
	}
	for _, ref := range spec.PeerRefs {
		if usable(ref.Name) {
			out.Peers = append(out.Peers, ref.Name)
		}
	}
	slices.Sort(out.Peers)
	return out
}

// ServiceImport is the part of the configuration that an importing SharedService
// asks for, with its port of the relay.
func ServiceImport(s *v1alpha1.SharedService) config.ServiceImport {
	spec := s.Spec.Import
	return config.ServiceImport{
		Name:           s.Name,
		Peer:           spec.PeerRef.Name,
		Service:        ImportedName(s),
		Listen:         ":" + strconv.Itoa(int(s.Status.RelayPort)),
		MaxConnections: deref(spec.Limits.MaxConnections),
		IdleSeconds:    deref(spec.Limits.IdleSeconds),
	}
}

// ImportedName is the name of the peer's export that an import asks for.
func ImportedName(s *v1alpha1.SharedService) string {
	return cmp.Or(s.Spec.Import.Service, s.Name)
}

// ServiceFault says why a SharedService cannot become part of the configuration,
// or not wholly; nil when it can. Fault is that of its target, for an export.
func ServiceFault(s *v1alpha1.SharedService, t Target, fault *status.Verdict, exists, usable func(peer string) bool) *status.Verdict {
	if s.Spec.Direction == v1alpha1.ServiceImport {
		if !isServicePort(s.Status.RelayPort) {
			return &status.Verdict{Fate: status.Working, Reason: v1alpha1.ReasonProgressing, Message: "a port of our relay is being chosen"}
		}
		if v := invalid(config.Config{ServiceImports: []config.ServiceImport{ServiceImport(s)}}); v != nil {
			return v
		}
		return peerFault([]string{s.Spec.Import.PeerRef.Name}, exists, usable)
	}
	if fault != nil {
		return fault
	}
	if v := invalid(config.Config{ServiceExports: []config.ServiceExport{ServiceExport(s, t, func(string) bool { return false })}}); v != nil {
		return v
	}
	refs := make([]string, len(s.Spec.Export.PeerRefs))
	for i, ref := range s.Spec.Export.PeerRefs {
		refs[i] = ref.Name
	}
	return peerFault(refs, exists, usable)
}

// barsService tells whether a fault keeps a service out altogether. An export
// goes on with the peers that it has.
func barsService(s *v1alpha1.SharedService, fault *status.Verdict) bool {
	if fault == nil {
		return false
	}
	missing := fault.Reason == v1alpha1.ReasonPeerNotFound || fault.Reason == v1alpha1.ReasonPeerNotReady
	return s.Spec.Direction == v1alpha1.ServiceImport || !missing
}

// Network is what the relay's pods need of the network for shared services.
type Network struct {
	// Imports are the relay's ports behind imported services, by port.
	Imports []ImportPort
	// Exports are the targets of exported services, each once.
	Exports []Target
}

// ImportPort is a port of the relay behind an imported service.
type ImportPort struct {
	Port int32
	From v1alpha1.ServiceAudience
}

// services adds what is shared through tunnels to the configuration.
func (in Input) services(c *config.Config, usable func(peer string) bool) {
	taken := map[string]bool{}
	for _, s := range in.servicesByAge() {
		if s.Spec.Direction == v1alpha1.ServiceExport {
			t, fault := TargetOf(in.Local.Name, s, in.Targets[s.Spec.Export.ServiceRef.Name])
			if !barsService(s, ServiceFault(s, t, fault, usable, usable)) {
				c.ServiceExports = append(c.ServiceExports, ServiceExport(s, t, usable))
			}
			continue
		}
		m := ServiceImport(s)
		// Two of one port would have the relay refuse the whole configuration.
		if ServiceFault(s, Target{}, nil, usable, usable) == nil && !taken[m.Listen] {
			taken[m.Listen] = true
			c.ServiceImports = append(c.ServiceImports, m)
		}
	}
	slices.SortFunc(c.ServiceExports, func(a, b config.ServiceExport) int { return cmp.Compare(a.Name, b.Name) })
	slices.SortFunc(c.ServiceImports, func(a, b config.ServiceImport) int { return cmp.Compare(a.Name, b.Name) })
}

func (in Input) servicesByAge() []*v1alpha1.SharedService {
	out := make([]*v1alpha1.SharedService, len(in.Services))
	for i := range in.Services {
		out[i] = &in.Services[i]
	}
	slices.SortFunc(out, func(a, b *v1alpha1.SharedService) int {
		if Older(a, b) {
			return -1
		}
		return 1
	})
	return out
}

// NetworkOf says what the services in a configuration that was assembled from
// the input need of the network.
func NetworkOf(in Input, c *config.Config) Network {
	var n Network
	declared := map[string]*v1alpha1.SharedService{}
	for i := range in.Services {
		declared[in.Services[i].Name] = &in.Services[i]
	}
	for _, m := range c.ServiceImports {
		if s := declared[m.Name]; s != nil {
			n.Imports = append(n.Imports, ImportPort{Port: s.Status.RelayPort, From: cmp.Or(s.Spec.Import.From, v1alpha1.FromNamespace)})
		}
	}
	for _, e := range c.ServiceExports {
		if s := declared[e.Name]; s != nil {
			if t, fault := TargetOf(in.Local.Name, s, in.Targets[s.Spec.Export.ServiceRef.Name]); fault == nil {
				n.Exports = append(n.Exports, t)
			}
		}
	}
	slices.SortFunc(n.Imports, func(a, b ImportPort) int { return cmp.Compare(a.Port, b.Port) })
	n.Exports = distinct(n.Exports)
	return n
}

// distinct targets in a fixed order; where they lead to the same pods and port,
// one stands for all.
func distinct(targets []Target) []Target {
	key := func(t Target) string { return fmt.Sprint(t.Selector, " ", t.Port.String()) } // fmt sorts maps
	slices.SortFunc(targets, func(a, b Target) int { return cmp.Or(cmp.Compare(key(a), key(b)), cmp.Compare(a.Address, b.Address)) })
	return slices.CompactFunc(targets, func(a, b Target) bool { return key(a) == key(b) })
}

func isServicePort(port int32) bool { return port >= FirstServicePort && port <= LastServicePort }

// ServicePort returns the port of the relay for an import: the one that its
// status has, or reserved has for it, unless an older import has the same; else
// a free one, always the same for the same name and neighbours. Zero means that
// there is none left. Siblings are the SharedServices of the namespace; reserved
// are the ports that were given away and may not show in a status yet, by name.
func ServicePort(s *v1alpha1.SharedService, siblings []v1alpha1.SharedService, reserved map[string]int32) int32 {
	taken := map[int32]bool{}
	for name, port := range reserved {
		if name != s.Name {
			taken[port] = true
		}
	}
	older := map[int32]bool{}
	for i := range siblings {
		if sib := &siblings[i]; sib.Name != s.Name && sib.Status.RelayPort != 0 {
			taken[sib.Status.RelayPort] = true
			if Older(sib, s) {
				older[sib.Status.RelayPort] = true
			}
		}
	}
	if have := s.Status.RelayPort; isServicePort(have) && !older[have] {
		return have
	}
	if have := reserved[s.Name]; isServicePort(have) && !taken[have] {
		return have
	}
	const count = LastServicePort - FirstServicePort + 1
	hash := fnv.New32a()
	hash.Write([]byte(s.Namespace + "/" + s.Name))
	begin := int32(hash.Sum32() % count)
	for i := range int32(count) {
		if port := FirstServicePort + (begin+i)%count; !taken[port] {
			return port
		}
	}
	return 0
}
