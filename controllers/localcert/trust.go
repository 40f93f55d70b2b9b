// SPDX-FileCopyrightText: The certlink authors
// SPDX-License-Identifier: Apache-2.0

package localcert

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/certlink/certlink/api/v1alpha1"
	"github.com/certlink/certlink/controllers/internal/lookup"
	"github.com/certlink/certlink/controllers/internal/manifest"
	"github.com/certlink/certlink/controllers/internal/reports"
	"github.com/certlink/certlink/controllers/internal/status"
	"github.com/certlink/certlink/internal/cabundle"
)

// stalledAfter is how long one step of a rotation may wait before a person is told
// so. The rotation goes on waiting.
const stalledAfter = 24 * time.Hour

// When to look again at a rotation: soon after it moved, and now and then while
// nothing but the time of an offer changes.
const (
	soonAgain   = 300 * time.Millisecond
	retireAgain = 30 * time.Second
)

// lookAgain is when the plan should be looked at again without any news; zero when
// news will tell.
func (p *plan) lookAgain(now time.Time) time.Duration {
	if p.moved {
		return soonAgain
	}
	var again time.Duration
	if r := p.trust.rotation; r != nil {
		if left := r.StepTime.Add(stalledAfter).Sub(now); left > 0 {
			again = left + time.Second
		}
		if r.Step == v1alpha1.StepRetire {
			again = lookup.Soonest(again, retireAgain)
		}
		return again
	}
	bundle, _ := cabundle.Parse(p.trust.authority.Bundle) // what we wrote
	root := find(bundle, p.trust.authority.Root)
	for _, n := range []int64{rotateBefore, dueBefore} {
		if left := endsSoon(root, n).Sub(now); left > 0 {
			again = lookup.Soonest(again, left+time.Second)
		}
	}
	return again
}

// trustInSync is the condition about our own root and those who should accept it.
func trustInSync(s *seen, p *plan, now time.Time) status.Fact {
	if p.trust.authority.Root == "" {
		return status.Fact{Reason: v1alpha1.ReasonPending, Message: "there is no root yet: the certificates are not issued"}
	}
	if p.trust.rotation != nil {
		return rotating(p.trust.rotation, now)
	}
	switch s.view.Contact {
	case reports.Lost:
		return status.Fact{
			Status: metav1.ConditionUnknown, Reason: v1alpha1.ReasonRelayUnreachable,
			Message: "the operator cannot read the report of our relay, so it does not know what peers accept; see RelayAvailable",
		}
	case reports.Unseen, reports.Undeployed, reports.Calling:
		return status.Fact{Reason: v1alpha1.ReasonPending, Message: "waiting for the first report of our relay"}
	case reports.Reached:
	}
	if p.trust.old(now, dueBefore) && p.trust.authority.Generation > 0 {
		return status.Fact{
			Status: metav1.ConditionFalse, Reason: v1alpha1.ReasonRotationDue,
			Message: "our root " + short(p.trust.authority.Root) + " has less than a tenth of its life left; raise spec.authority.generation",
		}
	}
	return accepted(s, p)
}

// rotating says how far a rotation is.
func rotating(r *v1alpha1.RotationStatus, now time.Time) status.Fact {
	fact := status.Fact{Status: metav1.ConditionFalse}
	var doing string
	switch r.Step {
	case v1alpha1.StepDistribute:
		fact.Reason, doing = v1alpha1.ReasonDistributingRoot, "step 1 of 3, peers get the new root beside the old one"
	case v1alpha1.StepIssue:
		fact.Reason, doing = v1alpha1.ReasonIssuingFromRoot, "step 2 of 3, certificates are issued from the new root"
	case v1alpha1.StepRetire:
		fact.Reason, doing = v1alpha1.ReasonRetiringRoot, "step 3 of 3, the old root leaves the bundle"
	}
	if now.Sub(r.StepTime.Time) >= stalledAfter {
		fact.Reason = v1alpha1.ReasonRotationStalled
	}
	to := "a new one"
	if r.ToRoot != "" {
		to = short(r.ToRoot)
	}
	fact.Message = fmt.Sprintf("our root %s is replaced by %s: %s", short(r.FromRoot), to, doing)
	if r.WaitingFor != "" {
		fact.Message += "; " + r.WaitingFor
	}
	return fact
}

// accepted says whether every Active peer accepts what we use and advertise.
func accepted(s *seen, p *plan) status.Fact {
	root := p.trust.authority.Root
	said := offers(s.view.Report)
	var silent, refusing []string
	for i := range s.input.Peers {
		peer := &s.input.Peers[i]
		if peer.Spec.State != "" && peer.Spec.State != v1alpha1.PeerActive {
			continue
		}
		switch o := said[peer.Name]; {
		case o == nil:
			silent = append(silent, peer.Name)
		case !slices.Contains(o.AcceptedRoots, root):
			refusing = append(refusing, peer.Name)
		}
	}
	slices.Sort(silent)
	slices.Sort(refusing)
	switch {
	case len(refusing) > 0:
		return status.Fact{
			Status: metav1.ConditionFalse, Reason: v1alpha1.ReasonRootNotAccepted,
			Message: people(refusing) + " must accept our root " + short(root) + ": give them our card anew (status.card)",
		}
	case len(silent) > 0:
		return status.Fact{
			Status: metav1.ConditionUnknown, Reason: v1alpha1.ReasonNoOffer,
			Message: people(silent) + " sent no offer yet, so what is accepted there is not known; see Connected of the PeerCERT",
		}
	}
	message := "every Active peer accepts our root " + short(root)
	if old := p.trust.authority.ReplacedRoot; old != "" {
		message += ", which replaced " + short(old)
	}
	return status.Fact{Status: metav1.ConditionTrue, Reason: v1alpha1.ReasonInSync, Message: message}
}

// annotationCertificate is by which cert-manager says for which Certificate it
// wrote a Secret.
const annotationCertificate = "cert-manager.io/certificate-name"

// discard deletes CAs of our own that nobody needs any more, with their keys.
//
// The Issuer goes last, because it is by the Issuer that a generation is found: a
// crash on the way leaves it there, and all is done again.
//
//  1. the Certificate, else cert-manager would make the Secret anew
//  2. the Secret with the private key
//  3. the Issuer
func (r *Reconciler) discard(ctx context.Context, l *v1alpha1.LocalCERT, generations []int32) error {
	var errs []error
	for _, g := range generations {
		objects := manifest.CA(l, g)
		certificate, issuer := objects[1], objects[2]
		secret := &metav1.PartialObjectMetadata{}
		secret.SetGroupVersionKind(corev1.SchemeGroupVersion.WithKind("Secret"))
		secret.Namespace, secret.Name = l.Namespace, manifest.CAName(l.Name, g)
		written := func(o *metav1.PartialObjectMetadata) bool { return o.Annotations[annotationCertificate] == secret.Name }
		err := r.apply.Remove(ctx, certificate)
		if err == nil {
			err = r.apply.RemoveIf(ctx, secret, written)
		}
		if err == nil {
			err = r.apply.Remove(ctx, issuer)
		}
		if err != nil {
			errs = append(errs, fmt.Errorf("discarding CA %q: %w", secret.Name, err))
		}
	}
	return errors.Join(errs...)
}
