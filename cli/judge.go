// SPDX-FileCopyrightText: The certlink authors
// SPDX-License-Identifier: Apache-2.0

package cli

import (
	"fmt"
	"strings"

	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/certlink/certlink/api/v1alpha1"
)

// well is a verdict over the conditions of one object.
type well string

const (
	wellYes     well = "yes"
	wellNo      well = "no"
	wellUnknown well = "unknown"
)

// judge compares conditions with those that must be True. It returns the worst
// verdict, the time of the change that led to it, and the first reason why.
// Conditions that are older than the spec say nothing about it.
func judge(generation int64, conditions []metav1.Condition, want ...string) (well, metav1.Time, string) {
	verdict, why := wellYes, ""
	var since metav1.Time
	worsen := func(to well, at metav1.Time, because string) {
		if verdict == wellYes || verdict == wellUnknown && to == wellNo {
			verdict, since, why = to, at, because
		}
	}
	if stalled := meta.FindStatusCondition(conditions, v1alpha1.ConditionStalled); stalled != nil && stalled.Status == metav1.ConditionTrue {
		worsen(wellNo, stalled.LastTransitionTime, words3(*stalled))
	}
	for _, name := range want {
		c := meta.FindStatusCondition(conditions, name)
		switch {
		case c == nil:
			worsen(wellUnknown, metav1.Time{}, name+" is not known: the operator has not looked yet")
		case c.Status == metav1.ConditionFalse:
			worsen(wellNo, c.LastTransitionTime, words3(*c))
		case c.Status != metav1.ConditionTrue:
			worsen(wellUnknown, c.LastTransitionTime, words3(*c))
		case c.ObservedGeneration < generation:
			worsen(wellUnknown, c.LastTransitionTime, name+" is about an older spec: the operator has not looked yet")
		case verdict == wellYes && since.Before(&c.LastTransitionTime):
			since = c.LastTransitionTime
		}
	}
	return verdict, since, why
}

// words3 are type, reason and message of a condition.
func words3(c metav1.Condition) string {
	text := fmt.Sprintf("%s is %s, %s", c.Type, c.Status, c.Reason)
	if c.Message != "" {
		text += ": " + c.Message
	}
	return text
}

// summarize judges every object, in a fixed order.
func summarize(s state) []line {
	var lines []line
	for _, cert := range s.locals {
		lines = append(lines, localLine(cert))
	}
	for _, peer := range s.peers {
		lines = append(lines, peerLine(peer))
	}
	for _, feed := range s.feeds {
		lines = append(lines, feedLine(feed))
	}
	for _, service := range s.services {
		lines = append(lines, serviceLine(service))
	}
	for _, hotline := range s.hotlines {
		lines = append(lines, hotlineLine(hotline))
	}
	return lines
}

func localLine(cert v1alpha1.LocalCERT) line {
	l := line{Kind: "LocalCERT", Name: cert.Name, What: cert.Spec.Identity.TrustDomain}
	if len(cert.Status.Addresses) > 0 {
		l.What += " at " + strings.Join(cert.Status.Addresses, ", ")
	}
	if r := cert.Status.Rotation; r != nil {
		l.What += ", replacing our root: " + string(r.Step)
	}
	l.Well, l.Since, l.Why = judge(cert.Generation, cert.Status.Conditions,
		v1alpha1.ConditionReady, v1alpha1.ConditionCertificatesIssued, v1alpha1.ConditionRelayAvailable)
	return l
}

func peerLine(peer v1alpha1.PeerCERT) line {
	l := line{Kind: "PeerCERT", Name: peer.Name, What: peer.Spec.Identity.TrustDomain}
	switch peer.Spec.State {
	case v1alpha1.PeerRevoked:
		l.What += ", revoked"
		l.Well, l.Since, l.Why = judge(peer.Generation, peer.Status.Conditions, v1alpha1.ConditionReady, v1alpha1.ConditionSuspended)
		return l
	case v1alpha1.PeerSuspended:
		l.What += ", suspended"
	case v1alpha1.PeerDrained:
		l.What += ", drained"
	}
	if tls := peer.Status.TLS; tls != nil {
		l.What += ", " + tls.Version + " " + tls.Group
	}
	want := append([]string{v1alpha1.ConditionReady, v1alpha1.ConditionConnected},
		saidNo(peer.Status.Conditions, v1alpha1.ConditionPeerAccepted, v1alpha1.ConditionTrustInSync)...)
	if c := meta.FindStatusCondition(peer.Status.Conditions, v1alpha1.ConditionRedundant); c != nil && c.Reason == v1alpha1.ReasonPathDown {
		l.What += ", on its last path"
	}
	l.Well, l.Since, l.Why = judge(peer.Generation, peer.Status.Conditions, want...)
	return l
}

// saidNo are those of some conditions about what a peer says that count: when it says no. A
// partner without certlink says nothing.
func saidNo(conditions []metav1.Condition, names ...string) (no []string) {
	for _, name := range names {
		if meta.IsStatusConditionFalse(conditions, name) {
			no = append(no, name)
		}
	}
	return no
}

func feedLine(feed v1alpha1.SharedFeed) line {
	l := line{Kind: "SharedFeed", Name: feed.Name, What: count(feed.Status.Stored, "stored")}
	if feed.Spec.Direction == v1alpha1.FeedExport {
		l.What = "export, " + l.What + ", " + count(feed.Status.Shared, "shared") + ", " + count(feed.Status.Held, "held")
		for _, held := range feed.Status.HeldReasons {
			l.What += "; " + held.Reason + ": " + number(held.Objects)
		}
	} else {
		l.What = "import, " + l.What
		if n := feed.Status.Quarantined; n != nil && *n > 0 {
			l.What += ", " + count(n, "quarantined")
		}
	}
	want := append([]string{v1alpha1.ConditionReady, v1alpha1.ConditionDelivering, v1alpha1.ConditionFresh},
		saidNo(feed.Status.Conditions, v1alpha1.ConditionPeerAccepted)...)
	l.Well, l.Since, l.Why = judge(feed.Generation, feed.Status.Conditions, want...)
	return l
}

func serviceLine(service v1alpha1.SharedService) line {
	l := line{Kind: "SharedService", Name: service.Name, What: strings.ToLower(string(service.Spec.Direction))}
	if peers := service.Status.Peers; peers != "" {
		between := " from "
		if service.Spec.Direction == v1alpha1.ServiceExport {
			between = " to "
		}
		l.What += between + peers
	}
	if service.Status.Address != "" {
		l.What += " at " + service.Status.Address
	}
	if n := service.Status.Refused; n != nil && *n > 0 {
		l.What += ", refused: " + number(n)
	}
	l.Well, l.Since, l.Why = judge(service.Generation, service.Status.Conditions,
		v1alpha1.ConditionReady, v1alpha1.ConditionAvailable, v1alpha1.ConditionPeerAccepted)
	return l
}

func hotlineLine(hotline v1alpha1.Hotline) line {
	l := line{Kind: "Hotline", Name: hotline.Name, What: "to " + hotline.Spec.PeerRef.Name + ", " + count(hotline.Status.Unacknowledged, "to read")}
	if n := hotline.Status.Drafts; n != nil && *n > 0 {
		l.What += ", " + count(n, "to release")
	}
	// A journal in doubt is told for as long as people should compare what each side holds, also when the line works again.
	for _, told := range []struct {
		condition string
		while     metav1.ConditionStatus
		as        string
	}{
		{v1alpha1.ConditionEscalating, metav1.ConditionTrue, "escalating: "},
		{v1alpha1.ConditionLineChecked, metav1.ConditionFalse, "line checks: "},
		{v1alpha1.ConditionJournalDoubtful, metav1.ConditionTrue, "journal in doubt: "},
	} {
		if c := meta.FindStatusCondition(hotline.Status.Conditions, told.condition); c != nil && c.Status == told.while {
			l.What += ", " + told.as + c.Reason
		}
	}
	l.Well, l.Since, l.Why = judge(hotline.Generation, hotline.Status.Conditions,
		v1alpha1.ConditionReady, v1alpha1.ConditionReachable, v1alpha1.ConditionAnswered)
	return l
}

func count(n *int64, of string) string { return number(n) + " " + of }

func number(n *int64) string {
	if n == nil {
		return "?"
	}
	return fmt.Sprint(*n)
}
