// SPDX-FileCopyrightText: The certlink authors
// SPDX-License-Identifier: Apache-2.0

//go:build e2e

package e2e

import (
	"context"
	"errors"
	"fmt"
	"os"
	"testing"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/certlink/certlink/api/v1alpha1"
	"github.com/certlink/certlink/test/scenario"
)

// The two CERTs, linked before the first test, and what runs in them.
var (
	alfa, bravo *scenario.Party
	programs    scenario.Programs
)

// volume is small and really bounded on nations, so that it can be filled.
var volume = scenario.Volume{Class: "bounded", Size: "192Mi"}

const (
	setUpTime = 30 * time.Minute // building the clusters' programs included
	linkTime  = 90 * time.Second
	// patience bounds a wait for something that should take seconds.
	patience = 45 * time.Second
)

func TestMain(m *testing.M) {
	ctx, cancel := context.WithTimeout(context.Background(), setUpTime)
	start := time.Now()
	err := setUp(ctx)
	cancel()
	code := 1
	if err == nil {
		fmt.Printf("two CERTs linked after %.1fs\n", time.Since(start).Seconds())
		code = m.Run()
	} else {
		fmt.Println("setting up:", err)
	}
	if code != 0 {
		diagnose()
	}
	if os.Getenv("CERTLINK_E2E_KEEP") == "" {
		tearDown()
	}
	os.Exit(code)
}

func setUp(ctx context.Context) error {
	var err error
	if programs, err = scenario.Build(ctx); err != nil {
		return err
	}
	clusters, err := clusters(ctx, programs)
	if err != nil {
		return err
	}
	alfa = scenario.NewParty(clusters[0], "e2e-"+clusters[0].Name, programs)
	bravo = scenario.NewParty(clusters[1], "e2e-"+clusters[1].Name, programs)
	if alfa.Harness == nil {
		volume = scenario.Volume{}
	}
	if err := scenario.Tools(ctx, alfa.Harness != nil); err != nil {
		return err
	}
	err = both(ctx, func(ctx context.Context, p, _ *scenario.Party) error {
		ctx, cancel := context.WithTimeout(ctx, 5*time.Minute)
		defer cancel()
		if err := errors.Join(scenario.Install(ctx, p.Cluster), p.Remove(ctx)); err != nil {
			return err
		}
		if err := p.Found(ctx, volume); err != nil {
			return err
		}
		if p.Harness != nil {
			if err := p.RunWorkstation(ctx); err != nil {
				return err
			}
		}
		_, err := p.Founded(ctx, volume)
		return err
	})
	if err != nil {
		return err
	}
	linking, cancel := context.WithTimeout(ctx, linkTime)
	defer cancel()
	return both(linking, func(ctx context.Context, p, other *scenario.Party) error {
		if err := scenario.Introduce(ctx, p, other); err != nil {
			return err
		}
		if err := p.Hotline(ctx, other.Name); err != nil {
			return err
		}
		if p.Harness != nil {
			err := errors.Join(p.ExportService(ctx, "echo", scenario.Echo, scenario.EchoPort, other.Name),
				p.ImportService(ctx, echoOf(other), other.Name, "echo", scenario.EchoPort))
			if err != nil {
				return err
			}
		}
		_, err := p.AwaitPeer(ctx, other.Name, scenario.True(v1alpha1.ConditionReady, v1alpha1.ConditionConnected,
			v1alpha1.ConditionPeerAccepted, v1alpha1.ConditionTrustInSync)...)
		return err
	})
}

func clusters(ctx context.Context, programs scenario.Programs) ([]*scenario.Cluster, error) {
	given := os.Getenv("CERTLINK_E2E_KUBECONFIGS")
	if given == "" {
		given = os.Getenv("KUBECONFIGS")
	}
	if given == "" {
		return scenario.Nations(ctx, 2, programs, os.Stdout)
	}
	image := os.Getenv("CERTLINK_E2E_IMAGE")
	if image == "" {
		image = os.Getenv("IMAGE")
	}
	all, err := scenario.Named(ctx, scenario.Split(given), image, os.Getenv("CERTLINK_E2E_NODE_PORTS") != "")
	if err == nil && len(all) != 2 {
		err = fmt.Errorf("the tests need two clusters, not %d", len(all))
	}
	return all, err
}

// both runs a step for each CERT at the same time.
func both(ctx context.Context, step func(ctx context.Context, p, other *scenario.Party) error) error {
	return each(ctx, alfa, bravo, step)
}

// each runs a step for each of two CERTs at the same time.
func each(ctx context.Context, a, b *scenario.Party, step func(ctx context.Context, p, other *scenario.Party) error) error {
	group, ctx := errgroup.WithContext(ctx)
	group.Go(func() error { return step(ctx, a, b) })
	group.Go(func() error { return step(ctx, b, a) })
	return group.Wait()
}

func tearDown() {
	if alfa == nil || bravo == nil {
		return
	}
	ctx, cancel := context.WithTimeout(context.Background(), 2*time.Minute)
	defer cancel()
	if alfa.Harness != nil {
		if err := errors.Join(scenario.Restore(ctx), alfa.Harness.StartAPIServer(ctx), bravo.Harness.StartAPIServer(ctx)); err != nil {
			fmt.Println("healing:", err)
		}
	}
	err := errors.Join(dissolve(ctx), both(ctx, func(ctx context.Context, p, _ *scenario.Party) error { return p.Remove(ctx) }))
	if err != nil {
		fmt.Println("tearing down:", err)
	}
}

// diagnose prints what a person would look at after a failure.
func diagnose() {
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	for _, p := range []*scenario.Party{alfa, bravo, sectors.delta, sectors.golf} {
		if p == nil {
			continue
		}
		fmt.Printf("\n===== %s\n", p.Name)
		for _, args := range [][]string{
			{"get", "lcert,pcert,sfeed,ssvc,hl,pods,svc,pvc", "-o", "wide"},
			{"get", "lcert,pcert", "-o", "yaml"},
			{"get", "events", "--sort-by=.lastTimestamp"},
			{"logs", p.Relay(), "--tail=60"},
			{"logs", p.Relay(), "--tail=20", "--previous"},
			{"--namespace", scenario.OperatorNamespace, "logs", "deploy/certlink-operator", "--tail=60"},
		} {
			said, err := p.Kubectl(ctx, args...)
			fmt.Printf("--- kubectl %v\n%s", args, said)
			if err != nil {
				fmt.Println(err)
			}
		}
	}
	if sectors.database != nil {
		said, err := sectors.database.Log(ctx)
		fmt.Println("--- PostgreSQL\n"+said, err)
	}
}
