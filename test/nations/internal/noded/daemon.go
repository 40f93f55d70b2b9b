// SPDX-FileCopyrightText: The certlink authors
// SPDX-License-Identifier: Apache-2.0

//go:build linux

// Package noded is a nation's node daemon: the three things that a bare cluster lacks.
//
//   - Services of type LoadBalancer get an address of the nation's pool, which every nation can reach.
//   - NetworkPolicies are enforced between pods and against everything outside, but not for the node itself
//     (as with most network plugins). Connections that are open when a policy arrives stay open.
//   - Claims of the storage classes get a volume on the node: "standard" a directory, "bounded" a file system in
//     memory that is really as large as the claim asks and no larger. What a bounded volume holds outlives its pods,
//     but not the node.
//
// It is for tests: one node, IPv4, every table written anew at each change.
package noded

import (
	"context"
	"fmt"
	"log/slog"
	"os/exec"
	"slices"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/client-go/informers"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/cache"
	"k8s.io/client-go/tools/clientcmd"

	"github.com/certlink/certlink/test/nations/internal/layout"
)

const (
	// gather is how long changes are collected before they are acted on.
	gather = 20 * time.Millisecond
	// again is when everything is looked at once more, whatever happened: it repairs what a failed step left.
	again = 5 * time.Second
)

// Config is what the daemon needs to know.
type Config struct {
	Nation     layout.Nation
	Kubeconfig string
	// Volumes is the directory below which volumes are made.
	Volumes string
	Log     *slog.Logger
}

type daemon struct {
	Config
	client  kubernetes.Interface
	factory informers.SharedInformerFactory

	lastTable string
	addresses map[string]bool
}

// Run is the daemon. It returns when ctx ends.
func Run(ctx context.Context, cfg Config) error {
	access, err := clientcmd.BuildConfigFromFlags("", cfg.Kubeconfig)
	if err != nil {
		return fmt.Errorf("reading kubeconfig %q: %w", cfg.Kubeconfig, err)
	}
	return run(ctx, cfg, access)
}

func run(ctx context.Context, cfg Config, access *rest.Config) error {
	access.QPS, access.Burst = 100, 200
	access.UserAgent = "nations-node-daemon"
	client, err := kubernetes.NewForConfig(access)
	if err != nil {
		return fmt.Errorf("preparing the client: %w", err)
	}
	d := &daemon{Config: cfg, client: client, factory: informers.NewSharedInformerFactory(client, 0), addresses: map[string]bool{}}
	changed := make(chan struct{}, 1)
	if err := d.watch(changed); err != nil {
		return err
	}
	d.factory.Start(ctx.Done())
	defer d.factory.Shutdown()
	d.factory.WaitForCacheSync(ctx.Done())
	tick := time.NewTicker(again)
	defer tick.Stop()
	for {
		d.sync(ctx)
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
		case <-changed:
			<-time.After(gather)
		}
	}
}

func (d *daemon) watch(changed chan<- struct{}) error {
	wake := func() {
		select {
		case changed <- struct{}{}:
		default:
		}
	}
	handler := cache.ResourceEventHandlerFuncs{
		AddFunc:    func(any) { wake() },
		UpdateFunc: func(_, _ any) { wake() },
		DeleteFunc: func(any) { wake() },
	}
	core := d.factory.Core().V1()
	for _, informer := range []cache.SharedIndexInformer{
		core.Pods().Informer(), core.Namespaces().Informer(), core.Services().Informer(),
		core.PersistentVolumeClaims().Informer(), core.PersistentVolumes().Informer(),
		d.factory.Networking().V1().NetworkPolicies().Informer(),
	} {
		if _, err := informer.AddEventHandler(handler); err != nil {
			return fmt.Errorf("watching the cluster: %w", err)
		}
	}
	return nil
}

// sync does each duty once. A duty that fails is tried again soon; the others go on.
func (d *daemon) sync(ctx context.Context) {
	for duty, do := range map[string]func(context.Context) error{
		"policies": d.policies, "addresses": d.balance, "volumes": d.volumes,
	} {
		if err := do(ctx); err != nil && ctx.Err() == nil {
			d.Log.Error("doing a duty", "duty", duty, "error", err)
		}
	}
}

// policies writes the firewall's table if it has changed.
func (d *daemon) policies(ctx context.Context) error {
	pods, err := d.factory.Core().V1().Pods().Lister().List(labels.Everything())
	if err != nil {
		return fmt.Errorf("listing pods: %w", err)
	}
	policies, err := d.factory.Networking().V1().NetworkPolicies().Lister().List(labels.Everything())
	if err != nil {
		return fmt.Errorf("listing policies: %w", err)
	}
	namespaces, err := d.factory.Core().V1().Namespaces().Lister().List(labels.Everything())
	if err != nil {
		return fmt.Errorf("listing namespaces: %w", err)
	}
	table := Table(pods, namespaces, policies)
	if table == d.lastTable {
		return nil
	}
	if err := command(ctx, table, "nft", "-f", "-"); err != nil {
		return err
	}
	d.lastTable = table
	return nil
}

// command runs a program of the node with that input.
func command(ctx context.Context, input, name string, args ...string) error {
	c := exec.CommandContext(ctx, name, args...)
	c.Stdin = strings.NewReader(input)
	if out, err := c.CombinedOutput(); err != nil {
		return fmt.Errorf("running %s %s: %w: %s", name, strings.Join(args, " "), err, out)
	}
	return nil
}

// live tells whether a pod has an address of its own that is in use.
func live(p *corev1.Pod) bool {
	return p.Status.PodIP != "" && !p.Spec.HostNetwork && p.Status.Phase != corev1.PodSucceeded && p.Status.Phase != corev1.PodFailed
}

// affects tells whether the policy speaks about that direction.
func affects(p *networkingv1.NetworkPolicy, direction networkingv1.PolicyType) bool {
	return slices.Contains(p.Spec.PolicyTypes, direction)
}
