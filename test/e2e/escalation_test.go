// SPDX-FileCopyrightText: The certlink authors
// SPDX-License-Identifier: Apache-2.0

//go:build e2e

package e2e

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/certlink/certlink/api/v1alpha1"
	wire "github.com/certlink/certlink/relay/desk"
	"github.com/certlink/certlink/test/scenario"
)

// escalates declares whom alfa tells when bravo's desk is silent about a FLASH message: a
// pager at once, and a chief by mail, and the Alertmanager, ten seconds later.
func escalates(t *testing.T) {
	t.Helper()
	receipt, acknowledgement, later := int32(5), int32(10), int32(10)
	secret := &v1alpha1.SecretReference{Name: scenario.Receiver}
	hotline := &v1alpha1.Hotline{ObjectMeta: alfa.Meta(bravo.Name)}
	must(t, scenario.Change(t.Context(), alfa, bravo.Name, hotline, func(h *v1alpha1.Hotline) {
		h.Spec.Deadlines = []v1alpha1.HotlineDeadline{{Precedence: v1alpha1.PrecedenceFlash, ReceiptSeconds: &receipt, AcknowledgementSeconds: &acknowledgement}}
		h.Spec.Notifiers = []v1alpha1.HotlineNotifier{
			{Name: "pager", Webhook: &v1alpha1.NotifierWebhook{Receiver: v1alpha1.RemoteEndpoint{URL: alfa.Hook(), SecretRef: secret}}},
			{Name: "chief", SMTP: &v1alpha1.NotifierSMTP{
				Server: alfa.Mail(), AuthSecretRef: secret, From: "certlink@alfa.example", To: []string{"chief@alfa.example", "deputy@alfa.example"},
			}},
			{Name: "alerts", Alertmanager: &v1alpha1.NotifierAlertmanager{
				Servers: []v1alpha1.RemoteEndpoint{{URL: fmt.Sprintf("http://%s.%s.svc:%d", scenario.WebApp, alfa.Namespace, scenario.WebAppPort)}},
			}},
		}
		h.Spec.Escalation = []v1alpha1.HotlineEscalationStep{
			{Name: "page", Stage: v1alpha1.StageAcknowledgement, Precedences: []v1alpha1.Precedence{v1alpha1.PrecedenceFlash}, Notify: []string{"pager"}},
			{Name: "call-the-chief", Stage: v1alpha1.StageAcknowledgement, AfterSeconds: &later, Notify: []string{"chief", "alerts"}},
		}
	}))
	cleanup(t, func(ctx context.Context) error {
		return scenario.Change(ctx, alfa, bravo.Name, &v1alpha1.Hotline{}, func(h *v1alpha1.Hotline) {
			h.Spec.Deadlines, h.Spec.Notifiers, h.Spec.Escalation = nil, nil, nil
		})
	})
	_, err := alfa.AwaitHotline(within(t, patience), bravo.Name, func(h v1alpha1.Hotline) error {
		return scenario.All(h.Status.Conditions, h.Generation, scenario.True(v1alpha1.ConditionReady)...)
	})
	must(t, err)
}

// tested sends a test to each notifier until it takes it: a Secret that is mounted anew takes
// its time.
func tested(t *testing.T, notifiers ...string) {
	t.Helper()
	for _, name := range notifiers {
		must(t, scenario.Poll(within(t, 2*time.Minute), "notifier "+name+" takes a test", func(ctx context.Context) error {
			_, err := alfa.CLI(ctx, nil, "hotline", "notify-test", bravo.Name, name)
			return err
		}))
	}
}

// told waits until the receiver has heard of an event of a message, once each way.
func told(t *testing.T, via, event, id string) scenario.Heard {
	t.Helper()
	var found scenario.Heard
	must(t, scenario.Poll(within(t, patience), fmt.Sprintf("the %s says %s of %s", via, event, id), func(ctx context.Context) error {
		all, err := alfa.Heard(ctx)
		if err != nil {
			return err
		}
		n := 0
		for _, h := range all {
			says := strings.Contains(h.Text, `"event":"`+event+`"`) || strings.Contains(h.Text, "Certlink-Event: "+event)
			if h.Via == via && says && strings.Contains(h.Text, id) {
				found, n = h, n+1
			}
		}
		if n != 1 {
			return fmt.Errorf("it says so %d times, of %d", n, len(all))
		}
		return nil
	}))
	if !found.Signed {
		t.Errorf("the %s is not signed: %+v", via, found)
	}
	return found
}

// alerting counts the alerts of alfa's Alertmanager about a message that fire.
func alerting(ctx context.Context, id string) (int, error) {
	page, err := fetch(ctx, alfa, scenario.WebApp, "/api/v2/alerts?active=true&filter=certlink_message%3D%22"+id+"%22")
	if err != nil {
		return 0, err
	}
	var alerts []struct {
		Labels map[string]string `json:"labels"`
	}
	if err := json.Unmarshal(page, &alerts); err != nil {
		return 0, err
	}
	for _, a := range alerts {
		if a.Labels["alertname"] != "CertlinkHotlineSilence" || a.Labels["severity"] != "critical" || a.Labels["certlink_step"] != "call-the-chief" {
			return 0, fmt.Errorf("an alert has the labels %v", a.Labels)
		}
	}
	return len(alerts), nil
}

func acts(t *testing.T, id string) (names []string) {
	t.Helper()
	said, err := shared(t, "journal", "acts", bravo.Name, "--message", id, "-o", "json")
	must(t, err)
	var list wire.ActList
	must(t, json.Unmarshal([]byte(said), &list))
	for _, a := range list.Acts {
		names = append(names, a.Act)
	}
	return names
}

// TestSilenceIsEscalated: bravo's desk does not acknowledge, and alfa's relay tells a pager
// over a signed webhook, then a chief by mail and the Alertmanager; each stands in the journal,
// and the acknowledgement ends it everywhere.
func TestSilenceIsEscalated(t *testing.T) {
	if !needsHarness(t, "running receivers") {
		return
	}
	t.Parallel() // beside TestTheCERTsOfTwoSectors
	connected(t)
	ctx := within(t, 3*time.Minute)
	must(t, alfa.RunReceiver(ctx))
	must(t, alfa.RunWebApp(ctx))
	escalates(t)
	tested(t, "pager", "chief", "alerts")

	start := time.Now()
	said, err := alfa.CLI(within(t, patience), strings.NewReader("a text that no notifier is to see\n"), "hotline", "send", bravo.Name,
		"--subject", "a subject that no notifier is to see", "--kind", "INQUIRY", "--precedence", "FLASH", "--wait", "receipt", "-o", "json")
	must(t, err)
	var sent wire.Message
	must(t, json.Unmarshal([]byte(said), &sent))
	page := told(t, "webhook", "Escalated", sent.ID)
	t.Logf("the pager hears of it %.1fs after the message was sent", time.Since(start).Seconds())
	mail := told(t, "mail", "Escalated", sent.ID)
	t.Logf("the chief hears of it %.1fs after the message was sent", time.Since(start).Seconds())
	if page.Key == "" || !strings.Contains(page.Text, `"step":"page"`) || strings.Contains(page.Text, "no notifier is to see") {
		t.Errorf("the webhook got %+v", page)
	}
	if !slices.Equal(mail.To, []string{"chief@alfa.example", "deputy@alfa.example"}) || strings.Contains(mail.Text, "no notifier is to see") {
		t.Errorf("the mail is %+v", mail)
	}
	must(t, scenario.Poll(within(t, patience), "the Alertmanager fires", func(ctx context.Context) error {
		if n, err := alerting(ctx, sent.ID); err != nil || n != 1 {
			return fmt.Errorf("%d alerts fire: %w", n, err)
		}
		return nil
	}))
	_, err = alfa.AwaitHotline(within(t, patience), bravo.Name, func(h v1alpha1.Hotline) error {
		return scenario.All(h.Status.Conditions, h.Generation, scenario.Want{Type: v1alpha1.ConditionEscalating, Status: "True", Reason: v1alpha1.ReasonAcknowledgementEscalated})
	})
	must(t, err)

	_, err = bravo.CLI(within(t, patience), nil, "hotline", "ack", sent.ID, "--officer", "officer of bravo")
	must(t, err)
	told(t, "webhook", "Settled", sent.ID)
	told(t, "mail", "Settled", sent.ID)
	must(t, scenario.Poll(within(t, patience), "the Alertmanager resolves it", func(ctx context.Context) error {
		if n, err := alerting(ctx, sent.ID); err != nil || n != 0 {
			return fmt.Errorf("%d alerts fire: %w", n, err)
		}
		return nil
	}))
	must(t, scenario.Poll(within(t, patience), "Escalating is gone", func(ctx context.Context) error {
		var h v1alpha1.Hotline
		if err := alfa.Client.Get(ctx, client.ObjectKey{Namespace: alfa.Namespace, Name: bravo.Name}, &h); err != nil {
			return err
		}
		for _, c := range h.Status.Conditions {
			if c.Type == v1alpha1.ConditionEscalating && c.Status == "True" {
				return fmt.Errorf("it says %s", c.Message)
			}
		}
		return nil
	}))
	journalled(t, sent.ID)
	settled(t)
}

// journalled checks what the journal and the list of escalations say in the end.
func journalled(t *testing.T, id string) {
	t.Helper()
	var list wire.EscalationList
	must(t, scenario.Poll(within(t, patience), "every notifier was told", func(ctx context.Context) error {
		said, err := alfa.CLI(ctx, nil, "hotline", "escalations", bravo.Name, "--message", id, "-o", "json")
		if err != nil {
			return err
		}
		must(t, json.Unmarshal([]byte(said), &list))
		if len(list.Notices) != 6 {
			return fmt.Errorf("%d notices: %s", len(list.Notices), said)
		}
		for _, n := range list.Notices {
			if n.State != wire.NoticeTold || n.Attempts != 1 || n.Error != "" {
				return fmt.Errorf("%s of %s is %s: %s", n.Event, n.Notifier, n.State, n.Error)
			}
		}
		return nil
	}))
	names := acts(t, id)
	counts := map[string]int{}
	for _, name := range names {
		counts[name]++
	}
	if counts["ESCALATED"] != 2 || counts["ESCALATION_SETTLED"] != 1 || counts["NOTIFIED"] != 6 {
		t.Errorf("the journal has %v", names)
	}
	_, err := shared(t, "journal", "verify", bravo.Name)
	must(t, err)
}
