// SPDX-FileCopyrightText: The certlink authors
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"strings"
	"time"

	"k8s.io/apimachinery/pkg/api/validation"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/healthz"
	"sigs.k8s.io/controller-runtime/pkg/log/zap"
	"sigs.k8s.io/controller-runtime/pkg/metrics"
	metricsserver "sigs.k8s.io/controller-runtime/pkg/metrics/server"

	"github.com/certlink/certlink/controllers"
)

// version is set by the linker.
var version = "unknown"

// namespaceFile tells a pod its namespace.
const namespaceFile = "/var/run/secrets/kubernetes.io/serviceaccount/namespace"

// settings are the operator's flags.
type settings struct {
	relayImage        string
	leaderElect       bool
	metricsAddress    string
	probeAddress      string
	watchNamespaces   []string
	operatorNamespace string
	log               zap.Options
	showVersion       bool
}

func run(ctx context.Context, args []string, stdout io.Writer) error {
	s, err := parse(args, stdout)
	if errors.Is(err, flag.ErrHelp) {
		return nil
	}
	if err != nil {
		return err
	}
	if s.showVersion {
		fmt.Fprintln(stdout, version)
		return nil
	}
	ctrl.SetLogger(zap.New(zap.UseFlagOptions(&s.log)))
	cfg, err := ctrl.GetConfig()
	if err != nil {
		return fmt.Errorf("finding the cluster: %w", err)
	}
	cfg.UserAgent = "certlink-operator/" + version
	mgr, err := ctrl.NewManager(cfg, s.manager())
	if err != nil {
		return fmt.Errorf("making the manager: %w", err)
	}
	for _, add := range []func(string, healthz.Checker) error{mgr.AddHealthzCheck, mgr.AddReadyzCheck} {
		if err := add("ping", healthz.Ping); err != nil {
			return fmt.Errorf("adding health checks: %w", err)
		}
	}
	host, err := os.Hostname()
	if err != nil {
		return fmt.Errorf("finding our own name: %w", err)
	}
	if err := controllers.Register(ctx, mgr, controllers.Options{
		RelayImage:        s.relayImage,
		OperatorNamespace: s.operatorNamespace,
		Instance:          host,
		Metrics:           metrics.Registry,
	}); err != nil {
		return err
	}
	if err := mgr.Start(ctx); err != nil {
		return fmt.Errorf("running: %w", err)
	}
	return nil
}

// manager turns the settings into those of the manager.
func (s *settings) manager() ctrl.Options {
	// The Lease is the only thing that is written while nothing changes, so not
	// often: links do not wait for an operator.
	grace, lease, renew, retry := 8*time.Second, 30*time.Second, 20*time.Second, 5*time.Second
	return ctrl.Options{
		Scheme:                  controllers.Scheme(),
		Cache:                   controllers.CacheOptions(s.watchNamespaces),
		Client:                  controllers.ClientOptions(),
		Metrics:                 metricsserver.Options{BindAddress: s.metricsAddress},
		HealthProbeBindAddress:  s.probeAddress,
		LeaderElection:          s.leaderElect,
		LeaderElectionID:        "operator.certlink.dev",
		LeaderElectionNamespace: s.operatorNamespace,
		// The next operator takes over at once when this one ends in good order.
		LeaderElectionReleaseOnCancel: true,
		LeaseDuration:                 &lease,
		RenewDeadline:                 &renew,
		RetryPeriod:                   &retry,
		GracefulShutdownTimeout:       &grace,
	}
}

func parse(args []string, stdout io.Writer) (*settings, error) {
	s := &settings{}
	var namespaces string
	flags := flag.NewFlagSet("certlink-operator", flag.ContinueOnError)
	flags.SetOutput(stdout)
	flags.StringVar(&s.relayImage, "relay-image", "", "image of the relays (required)")
	flags.BoolVar(&s.leaderElect, "leader-elect", false, "act only while holding a Lease, so that several operators can run")
	flags.StringVar(&s.metricsAddress, "metrics-bind-address", ":8080", "address of the metrics; 0 turns them off")
	flags.StringVar(&s.probeAddress, "health-probe-bind-address", ":8081", "address of /healthz and /readyz")
	flags.StringVar(&namespaces, "watch-namespaces", "", "namespaces to look after, separated by commas; empty means all")
	flags.StringVar(&s.operatorNamespace, "operator-namespace", "", "namespace of this operator, for the Lease and the relays' NetworkPolicies (default: that of its pod)")
	flags.BoolVar(&s.showVersion, "version", false, "print the version and stop")
	// controller-runtime registers it on the global flag set, which we do not use.
	if kubeconfig := flag.Lookup("kubeconfig"); kubeconfig != nil {
		flags.Var(kubeconfig.Value, kubeconfig.Name, kubeconfig.Usage)
	}
	s.log.BindFlags(flags)
	if err := flags.Parse(args); err != nil {
		return nil, err
	}
	if flags.NArg() > 0 {
		return nil, fmt.Errorf("unexpected argument %q", flags.Arg(0))
	}
	if s.showVersion {
		return s, nil
	}
	if s.operatorNamespace == "" {
		s.operatorNamespace = ownNamespace()
	}
	return s, s.check(namespaces)
}

// check collects what is wrong with the flags.
func (s *settings) check(namespaces string) error {
	var faults []error
	if s.relayImage == "" {
		faults = append(faults, errors.New("--relay-image is required"))
	}
	for name := range strings.SplitSeq(namespaces, ",") {
		name = strings.TrimSpace(name)
		if name == "" {
			continue
		}
		if wrong := validation.ValidateNamespaceName(name, false); len(wrong) > 0 {
			faults = append(faults, fmt.Errorf("--watch-namespaces: %q: %s", name, strings.Join(wrong, "; ")))
			continue
		}
		s.watchNamespaces = append(s.watchNamespaces, name)
	}
	if s.leaderElect && s.operatorNamespace == "" {
		faults = append(faults, errors.New("--leader-elect needs --operator-namespace outside of a cluster"))
	}
	return errors.Join(faults...)
}

// ownNamespace of the operator's pod; empty outside of a cluster.
func ownNamespace() string {
	if name := os.Getenv("POD_NAMESPACE"); name != "" {
		return name
	}
	data, err := os.ReadFile(namespaceFile)
	if err != nil {
		return ""
	}
	return strings.TrimSpace(string(data))
}
