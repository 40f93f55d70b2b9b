// SPDX-FileCopyrightText: The certlink authors
// SPDX-License-Identifier: Apache-2.0

//go:build envtest

package envtest

import (
	"testing"

	"github.com/certlink/certlink/api/v1alpha1"
	"github.com/certlink/certlink/relay/report"
)

// TestWhatNeedsAttentionStandsFirst: kubectl get shows the reason and the message of the first
// condition, in the order in which the API server keeps them.
func TestWhatNeedsAttentionStandsFirst(t *testing.T) {
	n := alfa(t)
	said := func(f func(*report.Hotline)) {
		n.relay.change(func(r *report.Report) {
			linkUp(r)
			r.Hotlines[0].LineChecks = []report.LineCheck{{Address: "relay.bravo.example:8443", Sent: report.LineAnswered, Received: report.LineAnswered}}
			f(&r.Hotlines[0])
		})
	}
	pager := v1alpha1.HotlineNotifier{Name: "pager", Webhook: &v1alpha1.NotifierWebhook{Receiver: v1alpha1.RemoteEndpoint{
		URL: "https://pager.alfa.example/", SecretRef: &v1alpha1.SecretReference{Name: "nowhere"},
	}}}
	for _, step := range []struct {
		name      string
		notifiers []v1alpha1.HotlineNotifier
		said      func(*report.Hotline)
		has       []string
		first     string
	}{
		{"all_is_well", nil, func(*report.Hotline) {}, []string{"Ready=True", "Reachable=True"}, "Reachable"},
		{"nobody_reads", nil, func(h *report.Hotline) { h.OverdueAcknowledgements = 1 }, []string{"Answered=False"}, "Answered"},
		{"a_Secret_is_missing", []v1alpha1.HotlineNotifier{pager}, func(*report.Hotline) {}, []string{"Ready=False/SecretNotFound", "Answered=True"}, "Ready"},
		{"the_line_is_worse", []v1alpha1.HotlineNotifier{pager}, func(h *report.Hotline) { h.OverdueReceipts = 1 }, []string{"Ready=False", "Reachable=False/ReceiptOverdue"}, "Reachable"},
		{"all_is_well_again", nil, func(*report.Hotline) {}, []string{"Ready=True", "Reachable=True", "!Stalled"}, "Reachable"},
	} {
		n.edit(t, n.hotline, func() { n.hotline.Spec.Notifiers = step.notifiers })
		said(step.said)
		n.expect(t, n.hotline, append(step.has, "LineChecked=True")...)
		if got := n.hotline.Status.Conditions[0].Type; got != step.first {
			t.Errorf("%s: the first condition is %s, want %s: %+v", step.name, got, step.first, n.hotline.Status.Conditions)
		}
	}
}
