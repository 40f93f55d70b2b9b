// SPDX-FileCopyrightText: The certlink authors
// SPDX-License-Identifier: Apache-2.0

package relayconfig

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/certlink/certlink/api/v1alpha1"
	"github.com/certlink/certlink/relay/config"
)

func notifying(mods ...func(*v1alpha1.HotlineSpec)) v1alpha1.Hotline {
	h := hotline("to-bravo", "bravo", time.Minute)
	secret := func(name string) *v1alpha1.SecretReference { return &v1alpha1.SecretReference{Name: name} }
	h.Spec.Deadlines = []v1alpha1.HotlineDeadline{{Precedence: "FLASH", AnswerSeconds: new(int32(60))}}
	h.Spec.Notifiers = []v1alpha1.HotlineNotifier{
		{Name: "pager", Webhook: &v1alpha1.NotifierWebhook{Receiver: v1alpha1.RemoteEndpoint{URL: "https://pager.alfa.example:8444/x", SecretRef: secret("pager")}}},
		{Name: "alerts", Alertmanager: &v1alpha1.NotifierAlertmanager{
			Servers: []v1alpha1.RemoteEndpoint{{URL: "http://am-0.alfa.example:9093"}, {URL: "http://am-1.alfa.example:9093", SecretRef: secret("am")}},
			Labels:  []v1alpha1.AlertLabel{{Name: "team", Value: "duty"}},
		}},
		{Name: "mail", Include: v1alpha1.IncludeFull, SMTP: &v1alpha1.NotifierSMTP{
			Server: "mail.alfa.example:587", TLS: v1alpha1.MailStartTLS, AuthSecretRef: secret("mail"), From: "a@alfa.example", To: []string{"b@alfa.example"},
		}},
	}
	h.Spec.Escalation = []v1alpha1.HotlineEscalationStep{{
		Name: "wake", Stage: v1alpha1.StageInbox, Precedences: []v1alpha1.Precedence{"FLASH"}, AfterSeconds: new(int32(5)), Notify: []string{"pager", "mail"},
		RepeatSeconds: new(int32(60)), MaxRepeats: new(int32(3)),
	}}
	h.Spec.Delivery = []v1alpha1.HotlineNotice{{Notify: []string{"alerts"}}}
	for _, mod := range mods {
		mod(&h.Spec)
	}
	return h
}

func TestAHotlineCarriesItsEscalation(t *testing.T) {
	h := notifying()
	want := config.Hotline{
		Name: "to-bravo", Peer: "bravo", Deadlines: []config.Deadline{{Precedence: "FLASH", AnswerSeconds: 60}},
		Notifiers: []config.Notifier{
			{Name: "pager", Webhook: &config.NotifyWebhook{Remote: config.Remote{URL: "https://pager.alfa.example:8444/x", Directory: SecretsPath + "pager"}}},
			{Name: "alerts", Alertmanager: &config.Alertmanager{
				Servers: []config.Remote{{URL: "http://am-0.alfa.example:9093"}, {URL: "http://am-1.alfa.example:9093", Directory: SecretsPath + "am"}},
				Labels:  []config.Label{{Name: "team", Value: "duty"}},
			}},
			{Name: "mail", Include: config.IncludeFull, SMTP: &config.SMTP{
				Server: "mail.alfa.example:587", TLS: config.MailStartTLS, Directory: SecretsPath + "mail", From: "a@alfa.example", To: []string{"b@alfa.example"},
			}},
		},
		Escalation: []config.Step{{
			Name: "wake", Stage: config.StageInbox, Precedences: []string{"FLASH"}, AfterSeconds: 5, Notify: []string{"pager", "mail"}, RepeatSeconds: 60, MaxRepeats: 3,
		}},
		Delivery: []config.Notice{{Notify: []string{"alerts"}}},
	}
	got := Hotline(&h)
	got.LineChecks = want.LineChecks // another test's matter
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
	all := func(string) bool { return true }
	if fault := HotlineFault(&h, nil, all, all); fault != nil {
		t.Errorf("fault %+v", fault)
	}
	for name, mod := range map[string]func(*v1alpha1.HotlineSpec){
		"a step for a stranger":       func(s *v1alpha1.HotlineSpec) { s.Escalation[0].Notify = []string{"nobody"} },
		"plain mail to another host":  func(s *v1alpha1.HotlineSpec) { s.Notifiers[2].SMTP.TLS = v1alpha1.MailPlainLoopback },
		"a label that is ours to set": func(s *v1alpha1.HotlineSpec) { s.Notifiers[1].Alertmanager.Labels[0].Name = "certlink_step" },
	} {
		bad := notifying(mod)
		if fault := HotlineFault(&bad, nil, all, all); fault == nil || fault.Reason != v1alpha1.ReasonSpecInvalid {
			t.Errorf("%s: %+v", name, fault)
		}
	}
}

func TestTheRelayReachesNotifiersAndHasTheirSecrets(t *testing.T) {
	in := Input{
		Local: local(), Peers: []v1alpha1.PeerCERT{peer("bravo", "bravo.example", time.Hour)},
		Bundles: map[string]Bundle{"bravo": bundle(t, "bravo.example")}, Hotlines: []v1alpha1.Hotline{notifying()},
	}
	if diff := cmp.Diff([]int32{587, 8444, 9093}, RemotePorts(Assemble(in))); diff != "" {
		t.Error(diff)
	}
	if diff := cmp.Diff([]Object{{Secret, "am"}, {Secret, "mail"}, {Secret, "pager"}}, in.Mounted()); diff != "" {
		t.Error(diff)
	}
	refs := HotlineReferences(&in.Hotlines[0])
	if len(refs) != 3 || refs[2].Field != "spec.notifiers[mail].smtp.authSecretRef" {
		t.Errorf("%+v", refs)
	}
	stolen := notifying(func(s *v1alpha1.HotlineSpec) { s.Notifiers[2].SMTP.AuthSecretRef.Name = "alfa-desk" })
	if fault := ReservedFault(HotlineReferences(&stolen), "alfa"); fault == nil {
		t.Error("a notifier is shown the Secret of the desk")
	}
}
