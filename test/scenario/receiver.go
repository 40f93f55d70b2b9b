// SPDX-FileCopyrightText: The certlink authors
// SPDX-License-Identifier: Apache-2.0

package scenario

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/util/intstr"

	"github.com/certlink/certlink/internal/testca"
)

// The receiver of a nation takes what its relay tells notifiers: a pager's webhook at Hook,
// and mail at Mail, both over TLS.
const (
	// Receiver is the pod, the Service, and the Secret with which the relay reaches it.
	Receiver     = "receiver"
	receiverKeys = "receiver-keys"
	receiverPort = 8080
	hookPort     = 8443
	mailPort     = 8465
)

// Heard is one request of a webhook, or one mail, that the receiver got.
type Heard struct {
	// Via is webhook or mail. Signed: the HMAC is right, or the sender has logged in.
	Via    string `json:"via"`
	Signed bool   `json:"signed"`
	// Key is the Idempotency-Key of a webhook, To the receivers of a mail.
	Key  string   `json:"key"`
	To   []string `json:"to"`
	Text string   `json:"text"`
}

// Hook and Mail are where the receiver takes webhooks and mail.
func (p *Party) Hook() string {
	return fmt.Sprintf("https://%s.%s.svc:%d/", Receiver, p.Namespace, hookPort)
}

// Mail is its mail server, HOST:PORT.
func (p *Party) Mail() string { return fmt.Sprintf("%s.%s.svc:%d", Receiver, p.Namespace, mailPort) }

// RunReceiver starts the receiver and waits until it answers.
func (p *Party) RunReceiver(ctx context.Context) error {
	if p.Tools == "" {
		return errors.New("only a nation of the harness has a receiver")
	}
	ca, err := testca.Make("receiver.example", testca.Options{})
	if err != nil {
		return err
	}
	pair, err := ca.Issue(testca.Leaf{DNSNames: []string{fmt.Sprintf("%s.%s.svc", Receiver, p.Namespace)}})
	if err != nil {
		return err
	}
	theirs := &corev1.Secret{ObjectMeta: p.Meta(receiverKeys), Data: map[string][]byte{
		"tls.crt": pair.CertPEM, "tls.key": pair.KeyPEM, "hmac": []byte("a key of the test"), "password": []byte("a password of the test"),
	}}
	ours := &corev1.Secret{ObjectMeta: p.Meta(Receiver), Data: map[string][]byte{
		"ca.crt": pair.CAPEM, "hmac": theirs.Data["hmac"], "username": []byte("duty"), "password": theirs.Data["password"],
	}}
	labels := map[string]string{"app": Receiver}
	pod := &corev1.Pod{ObjectMeta: p.Meta(Receiver)}
	pod.Labels = labels
	pod.Spec = podOf(corev1.Container{
		Name: Receiver, Image: p.Tools, Args: []string{"hear", "/keys"},
		ReadinessProbe: &corev1.Probe{
			ProbeHandler:  corev1.ProbeHandler{TCPSocket: &corev1.TCPSocketAction{Port: intstr.FromInt32(mailPort)}},
			PeriodSeconds: 1,
		},
		VolumeMounts: []corev1.VolumeMount{{Name: "keys", MountPath: "/keys", ReadOnly: true}},
	})
	pod.Spec.Volumes = []corev1.Volume{{Name: "keys", VolumeSource: corev1.VolumeSource{Secret: &corev1.SecretVolumeSource{SecretName: receiverKeys}}}}
	service := p.serviceOf(Receiver, receiverPort, labels)
	service.Spec.Ports[0].Name = "heard"
	for name, port := range map[string]int32{"hook": hookPort, "mail": mailPort} {
		service.Spec.Ports = append(service.Spec.Ports, corev1.ServicePort{Name: name, Port: port, TargetPort: intstr.FromInt32(port), Protocol: corev1.ProtocolTCP})
	}
	if err := errors.Join(p.Apply(ctx, theirs), p.Apply(ctx, ours), p.Apply(ctx, pod), p.Apply(ctx, service)); err != nil {
		return err
	}
	return Poll(ctx, fmt.Sprintf("the receiver of %s runs", p.Name), func(ctx context.Context) error {
		_, err := p.Heard(ctx)
		return err
	})
}

// Heard returns what the receiver got, oldest first. It is asked from the workstation.
func (p *Party) Heard(ctx context.Context) (all []Heard, err error) {
	page, err := p.Browse(ctx, fmt.Sprintf("http://%s.%s.svc:%d/", Receiver, p.Namespace, receiverPort))
	if err != nil {
		return nil, err
	}
	// After the answer stands how long it took.
	err = json.NewDecoder(strings.NewReader(page)).Decode(&all)
	return all, err
}
