// SPDX-FileCopyrightText: The certlink authors
// SPDX-License-Identifier: Apache-2.0

package notify

import (
	"encoding/json"
	"net/mail"
	"strings"
	"testing"

	"github.com/certlink/certlink/relay/config"
)

// TestAnExerciseIsToldAsOneByEachNotifier: whoever is woken by a pager, a mail or an alert sees at once that nothing is real; and
// where something is, nothing says that it is not.
func TestAnExerciseIsToldAsOneByEachNotifier(t *testing.T) {
	drill := func(i Item) Item {
		i.Exercise = "spring-drill"
		return i
	}
	for name, tt := range map[string]struct {
		items       func(one Item) []Item
		all         bool // nothing of it is real
		says, urges string
	}{
		"a_drill":                 {func(one Item) []Item { return []Item{drill(one)} }, true, "EXERCISE FLASH INQUIRY", ""},
		"two_of_a_drill":          {func(one Item) []Item { return []Item{drill(one), drill(one)} }, true, "EXERCISE Escalated: 2 messages", ""},
		"a_drill_beside_the_real": {func(one Item) []Item { return []Item{one, drill(one)} }, false, "Escalated: 2 messages of hotline to-bravo, 1 of them of an EXERCISE; the first: FLASH", "high"},
		"the_real":                {func(one Item) []Item { return []Item{one} }, false, "FLASH INQUIRY", "high"},
	} {
		t.Run(name, func(t *testing.T) {
			n := silent(func(n *Notification) { n.Items = tt.items(n.Items[0]) })
			hook, p := newReceiver(t), newPostOffice(t, plain)
			secret := directory(t, map[string]string{"ca.crt": hook.ca})
			for _, c := range []config.Notifier{
				{Webhook: &config.NotifyWebhook{Remote: config.Remote{URL: hook.URL, Directory: secret}}},
				mailTo(t, p, config.MailPlainLoopback, nil),
				{Alertmanager: &config.Alertmanager{Servers: []config.Remote{{URL: hook.URL, Directory: secret}}}},
			} {
				if err := mustNotifier(t, c).Notify(t.Context(), n); err != nil {
					t.Fatal(err)
				}
			}
			var body Body
			if err := json.Unmarshal(hook.bodies[0], &body); err != nil || body.Exercise != tt.all || !strings.HasPrefix(body.Summary, tt.says) || len(body.Items) != len(n.Items) {
				t.Errorf("the webhook got %s, %v", hook.bodies[0], err)
			}
			text, _, _, err := p.one()
			if err != nil {
				t.Fatal(err)
			}
			msg, err := mail.ReadMessage(strings.NewReader(text))
			if err != nil {
				t.Fatal(err)
			}
			subject := strings.Join(strings.Fields(msg.Header.Get("Subject")), " ")
			if !strings.HasPrefix(subject, "[certlink] "+tt.says) || msg.Header.Get("Importance") != tt.urges {
				t.Errorf("the mail is %q, of importance %q", subject, msg.Header.Get("Importance"))
			}
			wantAlerts(t, n, hook.bodies[1])
		})
	}
}

// wantAlerts fails unless the alerts of what is exercised, and they alone, say so and page nobody.
func wantAlerts(t *testing.T, n Notification, body []byte) {
	t.Helper()
	var alerts []alert
	if err := json.Unmarshal(body, &alerts); err != nil || len(alerts) != len(n.Items) {
		t.Fatalf("the alerts are %s, %v", body, err)
	}
	for i, a := range alerts {
		want, severity := AlertSilence, "critical"
		if n.Items[i].Exercise != "" {
			want, severity = AlertExercise, "info"
		}
		if a.Labels["alertname"] != want || a.Labels["severity"] != severity || a.Labels["certlink_exercise"] != n.Items[i].Exercise {
			t.Errorf("alert %d is %v", i, a.Labels)
		}
	}
}
