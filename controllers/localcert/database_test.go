// SPDX-FileCopyrightText: The certlink authors
// SPDX-License-Identifier: Apache-2.0

package localcert

import (
	"strings"
	"testing"
	"time"

	appsv1 "k8s.io/api/apps/v1"

	"github.com/certlink/certlink/api/v1alpha1"
	"github.com/certlink/certlink/controllers/internal/lookup"
	"github.com/certlink/certlink/controllers/internal/relayconfig"
	"github.com/certlink/certlink/controllers/internal/reports"
	"github.com/certlink/certlink/controllers/internal/status"
	"github.com/certlink/certlink/internal/testca"
)

func TestTheSecretOfADatabaseIsNamedWhereTheRelayWaitsForIt(t *testing.T) {
	db := relayconfig.Object{Kind: relayconfig.Secret, Name: "alfa-db-app"}
	for name, tc := range map[string]struct {
		keys    relayconfig.Keys
		contact reports.Contact
		want    string
	}{
		"no_Secret":         {relayconfig.Keys{}, reports.Lost, "False/SecretNotFound"},
		"no_uri_in_it":      {relayconfig.Keys{db: {"username", "password"}}, reports.Calling, "False/SecretNotFound"},
		"it_is_there":       {relayconfig.Keys{db: {"uri", "username", "token", "authorization"}}, reports.Lost, "Unknown/RelayUnreachable"},
		"the_relay_answers": {relayconfig.Keys{}, reports.Reached, "True/Reconciled"},
	} {
		t.Run(name, func(t *testing.T) {
			now := time.Now()
			l, s := local(), &seen{certificates: allIssued(t, testca.New(t, "alfa.example")), contents: lookup.Contents{Keys: tc.keys}}
			l.Spec.Relay.Storage.Postgres = &v1alpha1.PostgresStorage{SecretRef: v1alpha1.SecretReference{Name: db.Name}}
			p := decided(t, l, s)
			s.view = reportedBy(p, now)
			if s.view.Contact = tc.contact; tc.contact != reports.Reached {
				s.view.Report, s.view.Live = nil, nil
			}
			edit := status.NewEditor(&l.Status.Conditions, l.Generation, now)
			verdict, _ := report(l, s, p, edit, now)
			edit.Conclude(verdict)
			if c := edit.Get("Ready"); string(c.Status)+"/"+c.Reason != tc.want {
				t.Errorf("Ready is %s/%s: %s", c.Status, c.Reason, c.Message)
			}
		})
	}
}

func TestAReplicaThatIsMissingIsTold(t *testing.T) {
	replicas := func(n int32) *int32 { return &n }
	for name, tc := range map[string]struct {
		declared    *int32
		ready       int32
		says, never string
	}{
		"both_are_ready":            {replicas(2), 2, "", "replicas"},
		"one_of_two":                {replicas(2), 1, "1 of 2 replicas is ready: see kubectl describe pods -l app.kubernetes.io/instance=alfa", ""},
		"two_of_three":              {replicas(3), 2, "2 of 3 replicas are ready", ""},
		"a_relay_that_has_only_one": {nil, 0, "", "replicas"},
	} {
		t.Run(name, func(t *testing.T) {
			now := time.Now()
			l, s := local(), &seen{certificates: allIssued(t, testca.New(t, "alfa.example")), statefulSet: &appsv1.StatefulSet{}}
			s.statefulSet.Status.ReadyReplicas = tc.ready
			l.Spec.Relay.Replicas = tc.declared
			l.Spec.Relay.Storage.Postgres = &v1alpha1.PostgresStorage{SecretRef: v1alpha1.SecretReference{Name: "alfa-db-app"}}
			p := decided(t, l, s)
			s.view = reportedBy(p, now)
			edit := status.NewEditor(&l.Status.Conditions, l.Generation, now)
			verdict, _ := report(l, s, p, edit, now)
			edit.Conclude(verdict)
			for _, condition := range []string{"Ready", "RelayAvailable"} {
				c := edit.Get(condition)
				if c.Status != "True" || !strings.Contains(c.Message, tc.says) || tc.never != "" && strings.Contains(c.Message, tc.never) {
					t.Errorf("%s is %s: %s", condition, c.Status, c.Message)
				}
			}
		})
	}
}
