// SPDX-FileCopyrightText: The certlink authors
// SPDX-License-Identifier: Apache-2.0

package localcert

import (
	"errors"
	"maps"
	"os"
	"runtime/debug"
	"slices"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	eventsv1 "k8s.io/api/events/v1"
	networkingv1 "k8s.io/api/networking/v1"
	policyv1 "k8s.io/api/policy/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/types"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/certlink/certlink/api/v1alpha1"
	"github.com/certlink/certlink/controllers/internal/apply"
	"github.com/certlink/certlink/controllers/internal/loop"
	"github.com/certlink/certlink/controllers/internal/manifest"
	"github.com/certlink/certlink/controllers/internal/reports"
	"github.com/certlink/certlink/internal/testca"
	"github.com/certlink/certlink/relay/config"
	relayreport "github.com/certlink/certlink/relay/report"
)

// TestMain has less garbage collected: worlds are small, and make a lot of it.
func TestMain(m *testing.M) {
	debug.SetGCPercent(400)
	os.Exit(m.Run())
}

var errCrash = errors.New("the operator was killed")

// world is alfa with its operator, cert-manager, relay and peers, all of which take
// steps in any order. Nothing in it waits: time goes on by a second for each step.
//
// It notices an outage: a peer that is there and is shown a certificate that it
// does not accept.
type world struct {
	t     *testing.T
	raw   *server
	op    *Reconciler
	key   types.NamespacedName
	clock time.Time

	// crash kills the operator at its write of this number; before it happens, or
	// just after. Zero never does.
	crash      int
	afterwards bool
	always     bool // at every write: each second attempt succeeds, or all do and are the last
	writes     []string
	kills      int

	external map[string]*testca.CA // by name of the Issuer
	own      map[string]*testca.CA // by name of the Secret
	issuedAs map[string]string     // name of Certificate to what it was issued for
	refuses  map[string]string     // Issuers that cannot sign, with the reason

	relay  relayState
	target reports.Target
	peers  map[string]*peerState
	seen   map[string]bool // of steps that the rotation was in
	// calm: our certificates must not become bad any more.
	calm bool
}

// relayState is what the relay has mounted.
type relayState struct {
	up      bool
	config  *config.Config
	roots   []string // that it says peers should accept
	sum     string
	mounted map[string]string // by volume: resource version of what it shows
	link    issuedAs
	local   issuedAs
	signing issuedAs
	fresh   bool                      // this operator has not looked yet
	silent  bool                      // it does not answer
	written map[string]*config.Config // by checksum
	wanted  string
	at      time.Time
}

type issuedAs struct{ root, serial string }

// peerState is a peer as it holds us.
type peerState struct {
	online   bool
	manual   bool
	accepted []string
	offer    *relayreport.Offer
}

func newWorld(t *testing.T, change func(*v1alpha1.LocalCERT), peers ...string) *world {
	t.Helper()
	scheme := runtime.NewScheme()
	if err := errors.Join(corev1.AddToScheme(scheme), appsv1.AddToScheme(scheme), networkingv1.AddToScheme(scheme),
		policyv1.AddToScheme(scheme), eventsv1.AddToScheme(scheme), v1alpha1.AddToScheme(scheme)); err != nil {
		t.Fatal(err)
	}
	w := &world{
		t: t, clock: time.Now(), key: types.NamespacedName{Namespace: "cert", Name: "alfa"},
		external: map[string]*testca.CA{}, own: map[string]*testca.CA{}, issuedAs: map[string]string{}, refuses: map[string]string{},
		peers: map[string]*peerState{}, seen: map[string]bool{},
	}
	l := local()
	l.CreationTimestamp = metav1.NewTime(w.clock.Truncate(time.Second))
	l.Spec.Addresses = []v1alpha1.Endpoint{{Address: "relay.alfa.example:8443"}}
	change(l)
	w.raw = newServer(t, scheme, l)
	for _, name := range peers {
		w.peers[name] = &peerState{online: true}
		ca := testca.New(t, name+".example")
		w.create(&v1alpha1.PeerCERT{
			ObjectMeta: metav1.ObjectMeta{Namespace: "cert", Name: name},
			Spec: v1alpha1.PeerCERTSpec{
				Identity: v1alpha1.Identity{DisplayName: name, TrustDomain: ca.TrustDomain},
				Trust:    v1alpha1.PeerTrust{Bundle: ca.Bundle()},
			},
		})
	}
	w.restart()
	return w
}

// copy returns a world that goes its own way from here. What its operator knows of the
// relay it knows there, too.
func (w *world) copy() *world {
	w.t.Helper()
	c := *w
	c.raw, c.relay.written = w.raw.copy(), maps.Clone(w.relay.written)
	c.own, c.issuedAs, c.seen = maps.Clone(w.own), maps.Clone(w.issuedAs), maps.Clone(w.seen)
	c.writes = slices.Clone(w.writes)
	c.peers = map[string]*peerState{}
	for name, p := range w.peers {
		held := *p
		held.accepted = slices.Clone(p.accepted)
		c.peers[name] = &held
	}
	c.start()
	return &c
}

// restart starts an operator that remembers nothing.
func (w *world) restart() {
	w.t.Helper()
	w.start()
	w.relay.fresh, w.relay.written, w.relay.wanted = true, map[string]*config.Config{}, ""
}

func (w *world) start() {
	w.t.Helper()
	metrics, err := NewMetrics(prometheus.NewRegistry())
	if err != nil {
		w.t.Fatal(err)
	}
	c := operatorClient{w.raw, w}
	w.op = &Reconciler{
		Base:    loop.Base{Client: c, Direct: c, Instance: "operator", Now: func() time.Time { return w.clock }},
		Options: options, Metrics: metrics, relays: w, watches: installed{},
		apply: apply.Applier{Client: c, Direct: c, Owner: fieldOwner},
	}
}

func (w *world) write(what string, do func() error) error {
	w.writes = append(w.writes, what)
	killed := len(w.writes) == w.crash || w.always && (w.afterwards || len(w.writes)%2 == 1)
	if killed && !w.afterwards {
		return errCrash
	}
	if err := do(); err != nil {
		return err
	}
	if killed {
		return errCrash
	}
	return nil
}

func (w *world) local() *v1alpha1.LocalCERT {
	w.t.Helper()
	l := &v1alpha1.LocalCERT{}
	if err := w.raw.Get(w.t.Context(), w.key, l); err != nil {
		w.t.Fatal(err)
	}
	return l
}

func (w *world) edit(change func(*v1alpha1.LocalCERT)) {
	w.t.Helper()
	l := w.local()
	change(l)
	l.Generation++
	if err := w.raw.Update(w.t.Context(), l); err != nil {
		w.t.Fatal(err)
	}
}

func (w *world) editPeer(name string, change func(*v1alpha1.PeerCERT)) {
	w.t.Helper()
	p := &v1alpha1.PeerCERT{}
	if err := w.raw.Get(w.t.Context(), types.NamespacedName{Namespace: "cert", Name: name}, p); err != nil {
		w.t.Fatal(err)
	}
	change(p)
	if err := w.raw.Update(w.t.Context(), p); err != nil {
		w.t.Fatal(err)
	}
}

// remake deletes a LocalCERT with everything that it owns, and makes it anew. The
// Secrets of cert-manager stay.
func (w *world) remake(l *v1alpha1.LocalCERT) {
	w.t.Helper()
	ctx := w.t.Context()
	if err := w.raw.Delete(ctx, l.DeepCopy()); err != nil {
		w.t.Fatal(err)
	}
	for name := range w.certificates() {
		for _, kind := range []string{"Certificate", "Issuer"} {
			o := &unstructured.Unstructured{}
			o.SetGroupVersionKind(manifest.CertificateKind.GroupVersion().WithKind(kind))
			o.SetNamespace("cert")
			o.SetName(name)
			if err := client.IgnoreNotFound(w.raw.Delete(ctx, o)); err != nil {
				w.t.Fatal(err)
			}
		}
	}
	for _, o := range []client.Object{
		&appsv1.StatefulSet{}, &corev1.Service{}, &corev1.ConfigMap{}, &networkingv1.NetworkPolicy{}, &policyv1.PodDisruptionBudget{},
	} {
		if err := w.raw.deleteAll(o); err != nil {
			w.t.Fatal(err)
		}
	}
	w.create(&v1alpha1.LocalCERT{ObjectMeta: metav1.ObjectMeta{Namespace: "cert", Name: l.Name, UID: "another", Generation: 1}, Spec: l.Spec})
	w.restart()
}

// visit is one look of the operator. When it is killed, another one starts.
func (w *world) visit() {
	w.t.Helper()
	w.clock = w.clock.Add(time.Second)
	_, err := w.op.Reconcile(w.t.Context(), ctrl.Request{NamespacedName: w.key})
	w.relay.fresh = false
	switch {
	case errors.Is(err, errCrash):
		w.kills++
		w.restart()
	case err != nil:
		w.t.Fatalf("the operator failed: %v", err)
	}
	if r := w.local().Status.Rotation; r != nil {
		w.seen[string(r.Step)] = true
	}
	if got := w.reason("CertificatesIssued"); w.calm && got != "True/CertificatesIssued" {
		w.t.Fatalf("CertificatesIssued became %s: %s", got, describeStatus(w.local()))
	}
}
