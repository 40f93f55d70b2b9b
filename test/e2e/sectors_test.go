// SPDX-FileCopyrightText: The certlink authors
// SPDX-License-Identifier: Apache-2.0

//go:build e2e

package e2e

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"

	"github.com/certlink/certlink/api/v1alpha1"
	"github.com/certlink/certlink/internal/relayclient"
	"github.com/certlink/certlink/test/nations"
	"github.com/certlink/certlink/test/scenario"
)

// sectors are two CERTs more, with a hotline to each other: delta in alfa's cluster,
// whose relay has two replicas on a PostgreSQL database, and golf in bravo's, whose
// relay keeps its data on a volume. What is done to their databases is told for a week,
// so that alfa and bravo are left alone.
var sectors struct {
	delta, golf *scenario.Party
	database    *nations.Postgres
}

// replicas of delta's relay.
const replicas = 2

// databaseSecret of delta.
const databaseSecret = "delta-db"

var (
	onDatabase = scenario.Volume{Database: databaseSecret, Replicas: replicas}
	onDisk     = scenario.Volume{Class: "standard", Size: "256Mi"}
)

// TestTheCERTsOfTwoSectors goes on beside TestSilenceIsEscalated, which mostly waits: the
// two have no CERT in common, and neither cuts what the other needs.
func TestTheCERTsOfTwoSectors(t *testing.T) {
	if !needsHarness(t, "a PostgreSQL server and volumes that can be copied") {
		return
	}
	t.Parallel()
	start := time.Now()
	must(t, raiseSectors(within(t, 4*time.Minute)))
	t.Logf("the CERTs of two sectors are linked after %.1fs", time.Since(start).Seconds())
	t.Run("replicas_share_a_database", func(t *testing.T) { replicasShareADatabase(t, sectors.delta, sectors.golf) })
	t.Run("a_database_that_is_set_back_recovers", func(t *testing.T) { aDatabaseThatIsSetBackRecovers(t, sectors.delta, sectors.golf) })
}

func raiseSectors(ctx context.Context) error {
	sector := func(c *scenario.Cluster, name string) *scenario.Party {
		p := scenario.NewParty(c, "e2e-"+name, programs)
		p.Name, p.TrustDomain = name, name+".example"
		return p
	}
	delta, golf := sector(alfa.Cluster, "delta"), sector(bravo.Cluster, "golf")
	sectors.delta, sectors.golf = delta, golf
	kept := map[*scenario.Party]scenario.Volume{delta: onDatabase, golf: onDisk}
	err := each(ctx, delta, golf, func(ctx context.Context, p, _ *scenario.Party) error {
		if err := errors.Join(p.Remove(ctx), p.Namespaced(ctx)); err != nil {
			return err
		}
		if p == delta {
			if err := giveDatabase(ctx, p); err != nil {
				return err
			}
		}
		if err := p.Found(ctx, kept[p]); err != nil {
			return err
		}
		_, err := p.Founded(ctx, kept[p])
		return err
	})
	if err != nil {
		return err
	}
	return each(ctx, delta, golf, func(ctx context.Context, p, other *scenario.Party) error {
		if err := errors.Join(scenario.Introduce(ctx, p, other), p.Hotline(ctx, other.Name)); err != nil {
			return err
		}
		_, err := p.AwaitPeer(ctx, other.Name, scenario.True(v1alpha1.ConditionReady, v1alpha1.ConditionConnected, v1alpha1.ConditionPeerAccepted)...)
		return err
	})
}

// giveDatabase starts a PostgreSQL server beside a CERT's cluster and hands its URI and
// its CA over, as an administrator of databases does.
func giveDatabase(ctx context.Context, p *scenario.Party) error {
	nation, ok := p.Harness.(*nations.Nation)
	if !ok {
		return fmt.Errorf("%s is no nation of the harness", p.Name)
	}
	var err error
	if sectors.database, err = nation.StartPostgres(ctx); err != nil {
		return err
	}
	ca, err := sectors.database.CA()
	if err != nil {
		return err
	}
	return p.Apply(ctx, &corev1.Secret{ObjectMeta: p.Meta(databaseSecret), Data: map[string][]byte{
		"uri":    []byte(sectors.database.URI("/etc/certlink/postgres/ca.crt")),
		"ca.crt": ca,
	}})
}

// dissolve removes what raiseSectors made.
func dissolve(ctx context.Context) error {
	var all []error
	for _, p := range []*scenario.Party{sectors.delta, sectors.golf} {
		if p != nil {
			all = append(all, p.Remove(ctx))
		}
	}
	if sectors.database != nil {
		all = append(all, sectors.database.Stop(ctx))
	}
	return errors.Join(all...)
}

// hotlinesWell waits until both sides say that their hotline to the other works.
func hotlinesWell(t *testing.T, a, b *scenario.Party) {
	t.Helper()
	must(t, each(within(t, patience), a, b, func(ctx context.Context, p, other *scenario.Party) error {
		_, err := p.AwaitHotline(ctx, other.Name, func(h v1alpha1.Hotline) error {
			return scenario.All(h.Status.Conditions, h.Generation, scenario.True(v1alpha1.ConditionReady, v1alpha1.ConditionReachable, v1alpha1.ConditionAnswered)...)
		})
		return err
	}))
}

// through sends to another CERT through one pod of p's relay.
func through(p, to *scenario.Party, pod string) *sender {
	return &sender{from: p, to: to, name: "through " + pod, door: func(context.Context) (relayclient.DialFunc, error) { return p.Replica(pod), nil }}
}
