// SPDX-FileCopyrightText: The certlink authors
// SPDX-License-Identifier: Apache-2.0

// Command demo joins two nations: each on a Kubernetes cluster of its own, with
// its own CA. A real threat feed crosses the link, what must stay stays, a hotline
// message is delivered, receipted and acknowledged, and a web application of one
// nation (Prometheus's Alertmanager) is opened from a pod of the other. At the end
// it prints what there is to see and leaves everything running.
//
// Without arguments the clusters are raised on this machine (Linux, root). With
// --kubeconfigs, or KUBECONFIGS in the environment, they are the user's own; the
// web application is then left out.
package main

import (
	"context"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"syscall"
	"time"

	"github.com/certlink/certlink/test/scenario"
)

// patience bounds each step once the clusters are up.
const patience = 3 * time.Minute

type arguments struct {
	kubeconfigs, image string
	nodePorts          bool
}

func main() {
	var a arguments
	flag.StringVar(&a.kubeconfigs, "kubeconfigs", os.Getenv("KUBECONFIGS"), "two clusters of your own, as A.kubeconfig,B.kubeconfig (or KUBECONFIGS)")
	flag.StringVar(&a.image, "image", os.Getenv("IMAGE"), "certlink's image, REPOSITORY:TAG, that your clusters can pull (or IMAGE)")
	flag.BoolVar(&a.nodePorts, "node-ports", false, "your clusters give Services of type LoadBalancer no address: use ports of their nodes, which must reach each other")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := run(ctx, a); err != nil {
		fmt.Fprintln(os.Stderr, "demo:", err)
		stop()
		os.Exit(1)
	}
}

func run(ctx context.Context, a arguments) error {
	if a.kubeconfigs == "" {
		if err := scenario.Preflight(); err != nil {
			return err
		}
	}
	d := &demo{out: os.Stdout, began: time.Now()}
	if err := d.clusters(ctx, a); err != nil {
		return err
	}
	for _, step := range []struct {
		name string
		run  func(context.Context) error
	}{
		{"certlink installed by its Helm chart", d.install},
		{"each nation has its CA, relay and card", d.found},
		{"linked: cards exchanged, probes answered both ways", d.link},
		{"feed shared and imported", d.feed},
		{"hotline: sent, receipted, acknowledged", d.hotline},
		{"service: alfa's web application opened in bravo", d.service},
	} {
		bounded := func(ctx context.Context) error {
			ctx, cancel := context.WithTimeout(ctx, patience)
			defer cancel()
			return step.run(ctx)
		}
		if err := d.phase(ctx, step.name, bounded); err != nil {
			return err
		}
	}
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	return d.summary(ctx, a)
}
