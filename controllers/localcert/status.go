// SPDX-FileCopyrightText: The certlink authors
// SPDX-License-Identifier: Apache-2.0

package localcert

import (
	"fmt"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/certlink/certlink/api/v1alpha1"
	"github.com/certlink/certlink/controllers/internal/manifest"
	"github.com/certlink/certlink/controllers/internal/relayconfig"
	"github.com/certlink/certlink/controllers/internal/reports"
	"github.com/certlink/certlink/controllers/internal/status"
	"github.com/certlink/certlink/internal/cabundle"
	"github.com/certlink/certlink/internal/card"
	"github.com/certlink/certlink/relay/config"
)

// report writes what was seen and planned into the status, and returns the
// verdict about our side and when to look again.
func report(l *v1alpha1.LocalCERT, s *seen, p *plan, edit *status.Editor, now time.Time) (status.Verdict, time.Duration) {
	certificates := certificatesIssued(s, p)
	edit.Put(v1alpha1.ConditionCertificatesIssued, certificates)
	standing, again := reports.Standing(s.view, p.config, whole, edit.Holds(v1alpha1.ConditionReady, metav1.ConditionTrue), now)
	standing = withDatabase(l, s, mounted(s, p, standing))
	edit.Put(v1alpha1.ConditionRelayAvailable, relayAvailable(l, s, p, standing))
	edit.Put(v1alpha1.ConditionTrustInSync, trustInSync(s, p, now))
	edit.Put(v1alpha1.ConditionTerritoryCurrent, territoryCurrent(l, s))
	describe(l, p)
	describeOfficers(l, s.certificates)
	if certificates.Status != metav1.ConditionTrue {
		return status.Verdict{Fate: status.Working, Reason: certificates.Reason, Message: certificates.Message}, max(again, slow)
	}
	if p.leftOut != nil {
		return *p.leftOut, again
	}
	if standing.Fate == status.Done {
		standing.Message = "certificates are issued and our relay runs the newest configuration" + missing(l, s)
	}
	return standing, again
}

// withDatabase names the Secret of the database where the relay does not run for want
// of it. A relay that runs is not judged by it: it has its connections.
func withDatabase(l *v1alpha1.LocalCERT, s *seen, standing status.Verdict) status.Verdict {
	refs := relayconfig.DatabaseReference(l)
	if len(refs) == 0 || s.view.Contact == reports.Reached || s.contents.Keys == nil {
		return standing
	}
	if fault := relayconfig.ReferenceFault(refs, s.contents.Keys); fault != nil {
		return *fault
	}
	return standing
}

// whole is a configuration as a part of itself.
func whole(c *config.Config) (*config.Config, bool) { return c, true }

// certificatesIssued is about cert-manager's part, and about what the relay
// makes of it.
func certificatesIssued(s *seen, p *plan) status.Fact {
	if f := p.material.fact; f.Status != metav1.ConditionTrue || s.view.Report == nil || s.view.Report.Identity.Error == "" {
		return f
	}
	return status.Fact{
		Status:  metav1.ConditionFalse,
		Reason:  v1alpha1.ReasonCertificateInvalid,
		Message: "our relay refused the newest certificate files and keeps the last good ones: " + s.view.Report.Identity.Error,
	}
}

// mounted looks whether the relay shows the certificates that were issued. One that
// arrives late is no news; one that does not arrive is.
func mounted(s *seen, p *plan, standing status.Verdict) status.Verdict {
	if standing.Fate != status.Done || s.view.Report == nil || !s.gaveUp || s.view.Report.Identity.Error != "" {
		return standing
	}
	what := unmounted(s.view.Report.Identity, p.leaves)
	if what == "" {
		return standing
	}
	return status.Verdict{
		Fate:    status.Working,
		Reason:  v1alpha1.ReasonRelayOutdated,
		Message: fmt.Sprintf("our relay has not taken up its new %s certificate; is the node's kubelet alive? See the relay's log", what),
	}
}

func relayAvailable(l *v1alpha1.LocalCERT, s *seen, p *plan, standing status.Verdict) status.Fact {
	if p.target == nil && s.view.Contact != reports.Reached {
		return status.Fact{
			Status:  metav1.ConditionFalse,
			Reason:  v1alpha1.ReasonCertificateNotReady,
			Message: "the relay starts when its certificates are issued",
		}
	}
	fact := status.Fact{Reason: standing.Reason, Message: standing.Message}
	switch standing.Fate {
	case status.Done:
		fact = status.Fact{
			Status:  metav1.ConditionTrue,
			Reason:  v1alpha1.ReasonRelayReporting,
			Message: "the relay answers and runs the newest configuration" + missing(l, s),
		}
	case status.Working, status.Stalled:
		fact.Status = metav1.ConditionFalse
	case status.Blind:
		fact.Status = metav1.ConditionUnknown
		fact.Message = "the operator cannot read the relay's report: " + s.view.Error + podHint(s)
	case status.Same:
	}
	return fact
}

// missing says how many of several replicas are ready, if not all of them: the others do
// the work meanwhile, and nothing else would tell.
func missing(l *v1alpha1.LocalCERT, s *seen) string {
	if l.Spec.Relay.Replicas == nil || *l.Spec.Relay.Replicas < 2 || s.statefulSet == nil {
		return ""
	}
	ready, wanted := s.statefulSet.Status.ReadyReplicas, *l.Spec.Relay.Replicas
	if ready >= wanted {
		return ""
	}
	verb := "are"
	if ready == 1 {
		verb = "is"
	}
	return fmt.Sprintf("; %d of %d replicas %s ready: see kubectl describe pods -l %s=%s", ready, wanted, verb, manifest.LabelInstance, l.Name)
}

// podHint says where to look when the relay does not answer.
func podHint(s *seen) string {
	if s.statefulSet == nil {
		return ""
	}
	name := s.statefulSet.Name
	if s.statefulSet.Status.ReadyReplicas == 0 {
		return fmt.Sprintf("; pod %q is not ready: see kubectl describe pod %s-0", name+"-0", name)
	}
	return fmt.Sprintf("; the pod is ready: check the NetworkPolicy %q and the way from the operator to port 9443", name)
}

// describe fills the part of the status that is no condition.
func describe(l *v1alpha1.LocalCERT, p *plan) {
	st := &l.Status
	st.Addresses = nil
	for _, e := range p.endpoints {
		st.Addresses = append(st.Addresses, e.Address)
	}
	st.NotAfter = status.Time(p.material.notAfter)
	st.DeskSecretName = ""
	if shared(l) {
		st.DeskSecretName = manifest.NamesOf(l.Name).Desk
	}
	st.Authority, st.Rotation = p.trust.authority, p.trust.rotation
	bundle, err := cabundle.Parse(p.card.Bundle)
	if err != nil {
		return // there is no certificate yet; the card of before, if any, stays
	}
	// A card that cannot be built for want of form leaves the one of before: the
	// CRD has checked all of its parts.
	if data, err := card.Build(p.card); err == nil {
		st.Card = string(data)
		st.Fingerprint = card.Fingerprint(p.card.Identity.TrustDomain, bundle)
	}
}
