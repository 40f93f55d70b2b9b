// SPDX-FileCopyrightText: The certlink authors
// SPDX-License-Identifier: Apache-2.0

// Package localcert makes a LocalCERT true: certificates by cert-manager, the
// relay with its volume, Services, policies and configuration, and the card
// that peers need.
//
// Everything it makes has an owner reference and goes with the LocalCERT, but
// for the volume of the relay and the Secrets that cert-manager wrote: messages
// and keys must survive a deletion by mistake. A change of configuration never
// restarts the relay, unless it names a Secret or ConfigMap that none had named before.
package localcert

import (
	"context"
	"errors"
	"fmt"
	"net"
	"strconv"
	"time"

	"k8s.io/apimachinery/pkg/types"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/certlink/certlink/api/v1alpha1"
	"github.com/certlink/certlink/controllers/internal/apply"
	"github.com/certlink/certlink/controllers/internal/lookup"
	"github.com/certlink/certlink/controllers/internal/loop"
	"github.com/certlink/certlink/controllers/internal/manifest"
	"github.com/certlink/certlink/controllers/internal/relayconfig"
	"github.com/certlink/certlink/controllers/internal/reports"
	"github.com/certlink/certlink/controllers/internal/status"
	"github.com/certlink/certlink/relay/config"
)

// fieldOwner is the field manager of this controller.
const fieldOwner client.FieldOwner = "certlink-localcert"

// slow is how often we look again for what no watch tells: an issuer that has
// become ready, cert-manager's CRDs.
const slow = 10 * time.Second

// Options of the controller.
type Options struct {
	// RelayImage is the image of the relay's container. Required.
	RelayImage string
	// OperatorNamespace may reach the relays' local ports. Empty: only pods of
	// the relay's own namespace may.
	OperatorNamespace string
	// Address gives HOST:PORT of a relay's local port. Nil means its Service's
	// name in the cluster.
	Address func(*v1alpha1.LocalCERT) string
}

// Reconciler keeps a LocalCERT true: our certificates, our relay, our card.
type Reconciler struct {
	loop.Base
	Options
	Hub     *reports.Hub
	Metrics *Metrics

	apply     apply.Applier
	relays    relays
	watches   watches
	refreshes refreshes
}

// relays are what is known of the relays of all namespaces. All methods are safe
// concurrently and none of them waits; Hub is the one of production.
type relays interface {
	View(namespace string) reports.View
	Written(namespace, checksum string, cfg *config.Config)
	Follow(namespace string, target reports.Target)
	Undeployed(namespace string)
	Drop(namespace, localCERT string)
}

// watches on the kinds of cert-manager, which may come after the operator.
type watches interface {
	// ensure tells whether the cluster has them; it may be called again and again.
	ensure() (bool, error)
}

// +kubebuilder:rbac:groups=certlink.dev,resources=localcerts;peercerts;sharedfeeds;sharedservices;hotlines,verbs=get;list;watch
// +kubebuilder:rbac:groups=certlink.dev,resources=localcerts/status,verbs=patch
// +kubebuilder:rbac:groups=certlink.dev,resources=localcerts/finalizers,verbs=update
// +kubebuilder:rbac:groups=cert-manager.io,resources=certificates;issuers,verbs=get;list;watch;create;patch;delete
// +kubebuilder:rbac:groups=cert-manager.io,resources=clusterissuers,verbs=get
// +kubebuilder:rbac:groups=apps,resources=statefulsets,verbs=get;list;watch;create;patch
// +kubebuilder:rbac:groups="",resources=services;configmaps,verbs=get;list;watch;create;patch
// +kubebuilder:rbac:groups="",resources=pods,verbs=get;list;watch;patch
// +kubebuilder:rbac:groups="",resources=secrets,verbs=get;delete
// +kubebuilder:rbac:groups=policy,resources=poddisruptionbudgets,verbs=get;list;watch;create;patch
// +kubebuilder:rbac:groups=networking.k8s.io,resources=networkpolicies,verbs=get;list;watch;create;patch
// +kubebuilder:rbac:groups=events.k8s.io,resources=events,verbs=create

// Reconcile implements reconcile.Reconciler.
func (r *Reconciler) Reconcile(ctx context.Context, req ctrl.Request) (ctrl.Result, error) {
	return loop.Run(ctx, r.Base, req, loop.For[*v1alpha1.LocalCERT]{
		Owner: fieldOwner,
		New:   func() *v1alpha1.LocalCERT { return &v1alpha1.LocalCERT{} },
		Status: func(l *v1alpha1.LocalCERT) loop.Status {
			return loop.Status{Conditions: &l.Status.Conditions, ObservedGeneration: &l.Status.ObservedGeneration}
		},
		Sync: r.sync,
		Gone: r.gone,
	})
}

func (r *Reconciler) sync(ctx context.Context, l *v1alpha1.LocalCERT, edit *status.Editor) (loop.Outcome, error) {
	there, err := r.watches.ensure()
	if err != nil {
		return loop.Outcome{}, err
	}
	if !there {
		r.relays.Undeployed(l.Namespace)
		return noCertManager(edit), nil
	}
	s, err := r.observe(ctx, l)
	if err != nil {
		return loop.Outcome{}, err
	}
	if s.oldest != nil && s.oldest.UID != l.UID {
		return notUnique(s.oldest, edit), nil
	}
	p, err := r.decide(l, s, r.Now())
	if errors.Is(err, relayconfig.ErrUnfit) {
		return unfit(edit, err), nil
	}
	if err != nil {
		return loop.Outcome{}, err
	}
	if err := r.apply.All(ctx, p.objects); err != nil {
		return r.refused(l, s, p, edit, err)
	}
	if err := errors.Join(r.discard(ctx, l, p.spare), r.dismiss(ctx, l, s.former)); err != nil {
		return loop.Outcome{}, err
	}
	again, err := r.refresh(ctx, client.ObjectKeyFromObject(l), p, s)
	if err != nil {
		return loop.Outcome{}, err
	}
	r.publish(l, p)
	s.view = r.relays.View(l.Namespace)
	s.gaveUp = len(s.pods) > 0 && r.refreshes.gaveUp(client.ObjectKeyFromObject(l))
	verdict, later := report(l, s, p, edit, r.Now())
	r.Metrics.observe(l)
	again = lookup.Soonest(lookup.Soonest(again, later), p.lookAgain(r.Now()))
	if lookup.HasSecret(s.input.Watched()) {
		again = lookup.Soonest(again, lookup.SecretsAgain)
	}
	if end := p.material.notAfter; end.After(r.Now()) {
		// Nobody tells when a certificate runs out.
		again = lookup.Soonest(again, end.Sub(r.Now())+time.Second)
	}
	return loop.Outcome{Verdict: verdict, Again: again}, nil
}

// publish tells the other controllers which configuration holds and where the
// report is.
func (r *Reconciler) publish(l *v1alpha1.LocalCERT, p *plan) {
	r.relays.Written(l.Namespace, p.checksum, p.config)
	if p.target == nil {
		r.relays.Undeployed(l.Namespace)
		return
	}
	r.relays.Follow(l.Namespace, *p.target)
}

// refused reports what can be said when objects could not be applied.
func (r *Reconciler) refused(l *v1alpha1.LocalCERT, s *seen, p *plan, edit *status.Editor, err error) (loop.Outcome, error) {
	desk, officers := l.Status.DeskSecretName, l.Status.Officers
	report(l, s, p, edit, r.Now())
	if len(s.former) > 0 { // none was dismissed, and the status is what remembers them
		l.Status.DeskSecretName, l.Status.Officers = desk, officers
	}
	switch {
	case errors.Is(err, apply.ErrForeign):
		return loop.Outcome{
			Verdict: status.Verdict{Fate: status.Stalled, Reason: v1alpha1.ReasonNameTaken, Message: err.Error()},
			Again:   slow,
		}, nil
	case errors.Is(err, apply.ErrLeaving):
		return loop.Outcome{
			Verdict: status.Verdict{Fate: status.Working, Reason: v1alpha1.ReasonProgressing, Message: err.Error()},
			Again:   slow,
		}, nil
	}
	return loop.Outcome{}, err
}

// unfit says that there is no configuration to run: whatever runs goes on as it is.
func unfit(edit *status.Editor, err error) loop.Outcome {
	for _, condition := range []string{
		v1alpha1.ConditionCertificatesIssued, v1alpha1.ConditionRelayAvailable,
		v1alpha1.ConditionTrustInSync, v1alpha1.ConditionTerritoryCurrent,
	} {
		edit.Put(condition, status.Fact{Reason: v1alpha1.ReasonConfigTooLarge, Message: "see Ready"})
	}
	return loop.Outcome{Verdict: status.Verdict{
		Fate: status.Stalled, Reason: v1alpha1.ReasonConfigTooLarge,
		Message: "our relay keeps its last configuration; delete PeerCERTs that are not needed, or make them smaller: " + err.Error(),
	}}
}

func noCertManager(edit *status.Editor) loop.Outcome {
	v := status.Verdict{
		Fate:    status.Stalled,
		Reason:  v1alpha1.ReasonCertManagerMissing,
		Message: "the cluster has no resources of cert-manager (cert-manager.io/v1); install cert-manager",
	}
	missing := status.Fact{Status: "False", Reason: v.Reason, Message: v.Message}
	edit.Put(v1alpha1.ConditionCertificatesIssued, missing)
	edit.Put(v1alpha1.ConditionRelayAvailable, status.Fact{Reason: v.Reason, Message: v.Message})
	edit.Put(v1alpha1.ConditionTrustInSync, status.Fact{Reason: v.Reason, Message: v.Message})
	edit.Put(v1alpha1.ConditionTerritoryCurrent, status.Fact{Reason: v.Reason, Message: v.Message})
	return loop.Outcome{Verdict: v, Again: slow}
}

func notUnique(oldest *v1alpha1.LocalCERT, edit *status.Editor) loop.Outcome {
	v := status.Verdict{
		Fate:    status.Stalled,
		Reason:  v1alpha1.ReasonLocalCERTNotUnique,
		Message: fmt.Sprintf("LocalCERT %q is older, and one namespace is one CERT; delete this one or put it into another namespace", oldest.Name),
	}
	none := status.Fact{Status: "False", Reason: v.Reason, Message: v.Message}
	edit.Put(v1alpha1.ConditionCertificatesIssued, none)
	edit.Put(v1alpha1.ConditionRelayAvailable, none)
	edit.Put(v1alpha1.ConditionTrustInSync, none)
	edit.Put(v1alpha1.ConditionTerritoryCurrent, none)
	return loop.Outcome{Verdict: v}
}

// gone stops reading the report of a LocalCERT that is deleted.
func (r *Reconciler) gone(key types.NamespacedName) {
	r.relays.Drop(key.Namespace, key.Name)
	r.refreshes.forget(key)
	r.Metrics.forget(key)
}

// serviceAddress is the address of a relay's local port in the cluster.
func serviceAddress(l *v1alpha1.LocalCERT) string {
	return net.JoinHostPort(manifest.LocalServerName(l), strconv.Itoa(relayconfig.LocalPort))
}
