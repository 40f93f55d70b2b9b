// SPDX-FileCopyrightText: The certlink authors
// SPDX-License-Identifier: Apache-2.0

package relayconfig

import (
	"fmt"
	"net"
	"slices"

	"github.com/certlink/certlink/api/v1alpha1"
	"github.com/certlink/certlink/relay/config"
)

// escalation is the part of the configuration about whom our relay tells.
func escalation(h *v1alpha1.Hotline, out *config.Hotline) {
	for _, n := range h.Spec.Notifiers {
		out.Notifiers = append(out.Notifiers, notifier(n))
	}
	for _, s := range h.Spec.Escalation {
		out.Escalation = append(out.Escalation, config.Step{
			Name: s.Name, Stage: config.Stage(s.Stage), Precedences: precedences(s.Precedences), AfterSeconds: deref(s.AfterSeconds),
			Notify: slices.Clone(s.Notify), RepeatSeconds: deref(s.RepeatSeconds), MaxRepeats: deref(s.MaxRepeats),
		})
	}
	for _, d := range h.Spec.Delivery {
		out.Delivery = append(out.Delivery, config.Notice{Precedences: precedences(d.Precedences), Notify: slices.Clone(d.Notify)})
	}
}

func notifier(n v1alpha1.HotlineNotifier) config.Notifier {
	out := config.Notifier{Name: n.Name, Include: config.Include(n.Include)}
	switch {
	case n.Webhook != nil:
		// The key of the signature is a file of the receiver's directory.
		out.Webhook = &config.NotifyWebhook{Remote: Remote(n.Webhook.Receiver)}
	case n.Alertmanager != nil:
		out.Alertmanager = &config.Alertmanager{}
		for _, s := range n.Alertmanager.Servers {
			out.Alertmanager.Servers = append(out.Alertmanager.Servers, Remote(s))
		}
		for _, l := range n.Alertmanager.Labels {
			out.Alertmanager.Labels = append(out.Alertmanager.Labels, config.Label{Name: l.Name, Value: l.Value})
		}
	case n.SMTP != nil:
		out.SMTP = &config.SMTP{Server: n.SMTP.Server, TLS: config.MailTLS(n.SMTP.TLS), From: n.SMTP.From, To: slices.Clone(n.SMTP.To)}
		if ref := n.SMTP.AuthSecretRef; ref != nil {
			out.SMTP.Directory = SecretsPath + ref.Name
		}
	}
	return out
}

func precedences(list []v1alpha1.Precedence) []string {
	var out []string
	for _, p := range list {
		out = append(out, string(p))
	}
	return out
}

// HotlineReferences are the Secrets that a Hotline names.
func HotlineReferences(h *v1alpha1.Hotline) []Reference {
	var refs references
	for _, n := range h.Spec.Notifiers {
		at := fmt.Sprintf("spec.notifiers[%s]", n.Name)
		if n.Webhook != nil {
			refs.endpoint(at+".webhook.receiver", &n.Webhook.Receiver)
		}
		if n.Alertmanager != nil {
			for i := range n.Alertmanager.Servers {
				refs.endpoint(fmt.Sprintf("%s.alertmanager.servers[%d]", at, i), &n.Alertmanager.Servers[i])
			}
		}
		if n.SMTP != nil && n.SMTP.AuthSecretRef != nil {
			refs = append(refs, Reference{Object: Object{Secret, n.SMTP.AuthSecretRef.Name}, Field: at + ".smtp.authSecretRef"})
		}
	}
	return refs
}

// notified are the servers that notifiers call, and the ports of mail servers.
func notified(c *config.Config) (servers []config.Remote, mail []string) {
	for _, h := range c.Hotlines {
		for _, n := range h.Notifiers {
			switch {
			case n.Webhook != nil:
				servers = append(servers, n.Webhook.Remote)
			case n.Alertmanager != nil:
				servers = append(servers, n.Alertmanager.Servers...)
			case n.SMTP != nil:
				if _, port, err := net.SplitHostPort(n.SMTP.Server); err == nil {
					mail = append(mail, port)
				}
			}
		}
	}
	return servers, mail
}
