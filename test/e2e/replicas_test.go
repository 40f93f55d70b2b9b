// SPDX-FileCopyrightText: The certlink authors
// SPDX-License-Identifier: Apache-2.0

//go:build e2e

package e2e

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	apimeta "k8s.io/apimachinery/pkg/api/meta"
	"k8s.io/apimachinery/pkg/api/resource"

	"github.com/certlink/certlink/api/v1alpha1"
	"github.com/certlink/certlink/test/scenario"
)

// lease is who delivers delta's messages to golf, as the database has it.
type lease struct {
	holder string
	token  string
}

func leaseOf(ctx context.Context, peer *scenario.Party) (lease, error) {
	row, err := sectors.database.Query(ctx, "SELECT holder, token FROM leases WHERE name = 'hotline/"+peer.TrustDomain+
		"' AND expires > extract(epoch FROM clock_timestamp()) * 1000000")
	if err != nil {
		return lease{}, err
	}
	holder, token, found := strings.Cut(row, "|")
	if !found {
		return lease{}, fmt.Errorf("nobody has the lease: %q", row)
	}
	return lease{holder: holder, token: token}, nil
}

// working is the pod that took the lease of a hotline last, as the logs tell.
func working(ctx context.Context, p, peer *scenario.Party) (string, error) {
	var newest time.Time
	pod := ""
	for i := range replicas {
		name := fmt.Sprintf("%s-relay-%d", p.Name, i)
		said, err := p.Kubectl(ctx, "logs", name)
		if err != nil {
			return "", err
		}
		for text := range strings.Lines(said) {
			var line struct {
				Time       time.Time
				Msg, Lease string
			}
			if json.Unmarshal([]byte(text), &line) == nil && line.Msg == "this replica has the lease" &&
				line.Lease == "hotline/"+peer.TrustDomain && line.Time.After(newest) {
				newest, pod = line.Time, name
			}
		}
	}
	if pod == "" {
		return "", errors.New("no log tells of the lease")
	}
	return pod, nil
}

// allReady waits until every replica of the relay is ready, in its newest form.
func allReady(t *testing.T, p *scenario.Party) {
	t.Helper()
	must(t, scenario.Poll(within(t, 2*patience), "every replica of "+p.Name+" is ready", func(ctx context.Context) error {
		var set appsv1.StatefulSet
		if err := p.Client.Get(ctx, p.Key(p.Name+"-relay"), &set); err != nil {
			return err
		}
		s := set.Status
		if s.ObservedGeneration < set.Generation || s.ReadyReplicas != replicas || s.UpdatedReplicas != replicas || s.CurrentRevision != s.UpdateRevision {
			return fmt.Errorf("its StatefulSet is %+v", s)
		}
		return nil
	}))
}

// relaySayings collects what a LocalCERT says of its relay until the returned function is called.
func relaySayings(t *testing.T, p *scenario.Party) (said func() []string) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	var all []string
	done := make(chan struct{})
	go func() {
		defer close(done)
		ticker := time.NewTicker(50 * time.Millisecond)
		defer ticker.Stop()
		for {
			if cert, err := p.Local(ctx); err == nil {
				if c := apimeta.FindStatusCondition(cert.Status.Conditions, v1alpha1.ConditionRelayAvailable); c != nil {
					if text := string(c.Status) + " " + c.Reason + ": " + c.Message; len(all) == 0 || all[len(all)-1] != text {
						all = append(all, text)
					}
				}
			}
			select {
			case <-ticker.C:
			case <-ctx.Done():
				return
			}
		}
	}()
	t.Cleanup(cancel)
	return func() []string {
		cancel()
		<-done
		return all
	}
}

// A relay of two replicas shares a PostgreSQL database, over TLS that is checked. With
// messages on their way in both directions, taken by both replicas, the one that delivers
// is killed, the database's connections are cut, and both are replaced, one after the
// other: nothing is lost, doubled or out of order.
func replicasShareADatabase(t *testing.T, delta, golf *scenario.Party) {
	allReady(t, delta)
	hotlinesWell(t, delta, golf)
	encrypted, err := sectors.database.Query(t.Context(), "SELECT count(*), bool_and(ssl) FROM pg_stat_activity JOIN pg_stat_ssl USING (pid) WHERE usename = 'relay'")
	must(t, err)
	if count, all, _ := strings.Cut(encrypted, "|"); count == "0" || all != "t" {
		t.Fatalf("connections to the database, and whether all are encrypted: %s", encrypted)
	}
	goes, _ := send(t, through(delta, golf, "delta-relay-0"), through(delta, golf, "delta-relay-1"), through(golf, delta, golf.Relay()))
	goes.goesOn(3)
	t.Run("the_one_that_delivers_is_killed", func(t *testing.T) {
		theWorkerIsKilled(t, delta, golf)
		goes.goesOn(3)
	})
	allReady(t, delta)
	t.Run("the_databases_connections_are_cut", func(t *testing.T) {
		cut, err := sectors.database.Query(t.Context(), "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity WHERE usename = 'relay'")
		must(t, err)
		t.Logf("%s connections are cut", cut)
		goes.goesOn(3)
	})
	t.Run("both_are_replaced_one_after_the_other", func(t *testing.T) {
		bothAreReplaced(t, delta)
		goes.goesOn(3)
	})
	goes.end()
	columns, err := delta.Kubectl(t.Context(), "get", "lcert,pcert,hl")
	must(t, err)
	t.Logf("kubectl get:\n%s", columns)
	hotlinesWell(t, delta, golf)
	journalsWhole(t, delta, golf)
}

// theWorkerIsKilled kills the replica that has the lease of a hotline, and waits until
// another process has it: the other replica, or the successor of the one that was killed,
// which is there before the lease ends. Who it is stands in the log.
func theWorkerIsKilled(t *testing.T, p, peer *scenario.Party) {
	t.Helper()
	var before lease
	var pod, to string
	must(t, scenario.Poll(within(t, patience), "one replica has the lease", func(ctx context.Context) (err error) {
		if before, err = leaseOf(ctx, peer); err != nil {
			return err
		}
		pod, err = working(ctx, p, peer)
		return err
	}))
	must(t, p.Harness.KillPod(t.Context(), p.Namespace, pod, "relay"))
	start := time.Now()
	must(t, scenario.Poll(within(t, patience), "another process has the lease", func(ctx context.Context) error {
		now, err := leaseOf(ctx, peer)
		if err == nil && (now.holder == before.holder || now.token == before.token) {
			err = fmt.Errorf("it is with %+v as before", now)
		}
		return err
	}))
	moved := time.Since(start)
	must(t, scenario.Poll(within(t, patience), "a log tells of it", func(ctx context.Context) (err error) {
		to, err = working(ctx, p, peer)
		return err
	}))
	t.Logf("the lease went from %s to %s %.1fs after the kill", pod, to, moved.Seconds())
}

// bothAreReplaced changes what the pods ask for, so that each is replaced, and looks at
// what kubectl says meanwhile.
func bothAreReplaced(t *testing.T, p *scenario.Party) {
	t.Helper()
	said := relaySayings(t, p)
	start := time.Now()
	must(t, scenario.Change(t.Context(), p, p.Name, &v1alpha1.LocalCERT{}, func(l *v1alpha1.LocalCERT) {
		l.Spec.Relay.Resources = &corev1.ResourceRequirements{Requests: corev1.ResourceList{corev1.ResourceCPU: resource.MustParse("60m")}}
	}))
	must(t, scenario.Poll(within(t, patience), "the replacement begins", func(ctx context.Context) error {
		var set appsv1.StatefulSet
		if err := p.Client.Get(ctx, p.Key(p.Name+"-relay"), &set); err != nil {
			return err
		}
		if cpu := set.Spec.Template.Spec.Containers[0].Resources.Requests.Cpu(); cpu.MilliValue() != 60 {
			return fmt.Errorf("the pods ask for %s", cpu)
		}
		return nil
	}))
	allReady(t, p)
	t.Logf("both replicas are new after %.1fs", time.Since(start).Seconds())
	all := said()
	t.Logf("kubectl has said:\n%s", strings.Join(all, "\n"))
	if !slices.ContainsFunc(all, func(s string) bool { return strings.Contains(s, "1 of 2 replicas") }) {
		t.Errorf("nothing has told that a replica is missing")
	}
	if slices.ContainsFunc(all, func(s string) bool { return strings.HasPrefix(s, "False") }) {
		t.Errorf("the relay was said to be down, and one replica was up all the time")
	}
}

// journalsWhole verifies the journals of both sides, as their people do.
func journalsWhole(t *testing.T, a, b *scenario.Party) {
	t.Helper()
	must(t, each(within(t, patience), a, b, func(ctx context.Context, p, other *scenario.Party) error {
		said, err := p.CLI(ctx, nil, "journal", "verify", other.Name)
		if err == nil && !strings.Contains(said, "Whole") {
			err = fmt.Errorf("the journal of %s is not whole:\n%s", p.Name, said)
		}
		return err
	}))
}
