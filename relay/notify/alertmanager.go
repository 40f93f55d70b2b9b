// SPDX-FileCopyrightText: The certlink authors
// SPDX-License-Identifier: Apache-2.0

package notify

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"time"

	"github.com/certlink/certlink/relay/config"
	"github.com/certlink/certlink/relay/remote"
)

// The names of our alerts.
const (
	AlertSilence = "CertlinkHotlineSilence"
	AlertMessage = "CertlinkHotlineMessage"
	// AlertExercise stands for both where the message is one of an exercise.
	AlertExercise = "CertlinkHotlineExercise"
	AlertTest     = "CertlinkNotifierTest"
)

const (
	// alertsPath is that of Alertmanager's API (api/v2/openapi.yaml, postAlerts).
	alertsPath = "api/v2/alerts"
	// AlertLasts is how long an alert fires that is not told again: Alertmanager forgets
	// alerts when it is started anew, so they are told again while they last.
	AlertLasts = 5 * time.Minute
	// messageLasts is how long an alert about a new message fires, testLasts that of a test.
	messageLasts = 15 * time.Minute
	testLasts    = time.Minute

	maxAlertAnswer = 64 << 10
	serverTimeout  = 15 * time.Second
)

// alert is the schema postableAlert of Alertmanager's API v2.
type alert struct {
	Labels       map[string]string `json:"labels"`
	Annotations  map[string]string `json:"annotations"`
	StartsAt     time.Time         `json:"startsAt"`
	EndsAt       time.Time         `json:"endsAt"`
	GeneratorURL string            `json:"generatorURL,omitempty"`
}

type alertmanager struct {
	servers []*remote.Client
	labels  []config.Label
	log     *slog.Logger
}

func newAlertmanager(c config.Alertmanager, log *slog.Logger) (*alertmanager, error) {
	a := &alertmanager{labels: c.Labels, log: log}
	for _, s := range c.Servers {
		client, err := remote.New(s, remote.Options{Stall: serverTimeout, Log: log})
		if err != nil {
			return nil, err
		}
		a.servers = append(a.servers, client)
	}
	if len(a.servers) == 0 {
		return nil, errors.New("building a notifier: no Alertmanager is named")
	}
	return a, nil
}

func (a *alertmanager) Close() {
	for _, s := range a.servers {
		s.Close()
	}
}

// Notify implements Notifier. All members of a cluster are told, at the same time, as
// Prometheus does: they do not tell each other of alerts.
func (a *alertmanager) Notify(ctx context.Context, n Notification) error {
	body, err := json.Marshal(a.alerts(n))
	if err != nil {
		return fmt.Errorf("encoding alerts: %w", err)
	}
	ctx, cancel := context.WithTimeout(ctx, serverTimeout)
	defer cancel()
	failed := make(chan error, len(a.servers))
	for _, s := range a.servers {
		go func() { failed <- post(ctx, s, body) }()
	}
	var errs []error
	for range a.servers {
		if err := <-failed; err != nil {
			errs = append(errs, err)
			a.log.WarnContext(ctx, "an Alertmanager did not take alerts", "hotline", n.Hotline, "error", Explain(err))
		}
	}
	if len(errs) == len(a.servers) {
		return errs[0]
	}
	return nil
}

func post(ctx context.Context, s *remote.Client, body []byte) error {
	header := http.Header{}
	header.Set("Content-Type", "application/json")
	resp, err := s.Do(ctx, remote.Request{Method: http.MethodPost, Path: alertsPath, Header: header, Body: body, Idempotent: true, MaxBytes: maxAlertAnswer})
	if err != nil {
		return err
	}
	return resp.Body.Close()
}

// alerts are one for each item. Their labels are the key: told again, or in a later
// occurrence of the step, it is the same alert.
func (a *alertmanager) alerts(n Notification) []alert {
	if n.Event == Test {
		labels := map[string]string{"alertname": AlertTest, "certlink_test": n.ID, "severity": "info"}
		return []alert{a.alert(n, labels, map[string]string{"summary": summary(n)}, n.At, testLasts)}
	}
	out := make([]alert, 0, len(n.Items))
	for _, i := range n.Items {
		labels := map[string]string{
			"alertname": AlertSilence, "severity": severity(i.Precedence), "certlink_message": i.Message, "certlink_direction": i.Direction,
			"certlink_precedence": oneLine(i.Precedence, 64), "certlink_stage": i.Stage, "certlink_step": i.Step,
		}
		lasts := AlertLasts
		switch n.Event {
		case Settled:
			lasts = 0
		case Delivered:
			labels["alertname"], lasts = AlertMessage, messageLasts
		}
		if i.Exercise != "" { // it must not page as if it were real
			labels["alertname"], labels["severity"], labels["certlink_exercise"] = AlertExercise, severity(""), i.Exercise
		}
		notes := map[string]string{"summary": line(n, i), "description": describe(n, i)}
		out = append(out, a.alert(n, labels, notes, i.At, lasts))
	}
	return out
}

func (a *alertmanager) alert(n Notification, labels, notes map[string]string, starts time.Time, lasts time.Duration) alert {
	labels["certlink_hotline"], labels["certlink_peer"], labels["certlink_from"] = n.Hotline, n.Peer, n.From
	for _, l := range a.labels {
		labels[l.Name] = l.Value
	}
	for name, value := range labels {
		if value == "" {
			delete(labels, name) // to Alertmanager that is the same
		}
	}
	if starts.After(n.At) {
		starts = n.At // our clock was set back; Alertmanager refuses an end before the start
	}
	return alert{Labels: labels, Annotations: notes, StartsAt: starts.UTC(), EndsAt: n.At.Add(lasts).UTC()}
}

// severity by which alerts are routed, as people use the word with Prometheus.
func severity(precedence string) string {
	switch precedence {
	case "FLASH", "IMMEDIATE":
		return "critical"
	case "PRIORITY":
		return "warning"
	}
	return "info"
}
