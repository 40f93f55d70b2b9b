// SPDX-FileCopyrightText: The certlink authors
// SPDX-License-Identifier: Apache-2.0

package scenario

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"strings"

	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/runtime"
	clientgoscheme "k8s.io/client-go/kubernetes/scheme"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/certlink/certlink/api/v1alpha1"
)

// Harness is what only a nation of the harness can do to a cluster.
type Harness interface {
	StopAPIServer(ctx context.Context) error
	StartAPIServer(ctx context.Context) error
	// KillPod sends SIGKILL to the process of a container.
	KillPod(ctx context.Context, namespace, pod, container string) error
	// Exec runs a command on the node.
	Exec(ctx context.Context, argv ...string) ([]byte, error)
	// DialContext connects as a process of the node would.
	DialContext(ctx context.Context, network, address string) (net.Conn, error)
	// AuditLog is the path of the API server's audit log.
	AuditLog() string
}

// Cluster is a Kubernetes cluster in which a CERT lives.
type Cluster struct {
	// Name for people: alfa, bravo, charlie.
	Name string
	// Kubeconfig is the path of an administrator's kubeconfig.
	Kubeconfig string
	// Image that the cluster can run, REPOSITORY:TAG.
	Image string
	// Tools is the image of a nation's workstation, "" on a cluster that is not ours.
	Tools string
	// Client and REST reach its API server.
	Client client.WithWatch
	REST   *rest.Config
	// Harness is nil on a cluster that is not ours.
	Harness Harness
	// NodePorts: Services of type LoadBalancer get no address here, so relays are
	// reached on ports of the nodes.
	NodePorts bool
}

// connect fills in the clients.
func (c *Cluster) connect() error {
	config, err := clientcmd.BuildConfigFromFlags("", c.Kubeconfig)
	if err != nil {
		return fmt.Errorf("reading kubeconfig %q: %w", c.Kubeconfig, err)
	}
	config.QPS, config.Burst = 100, 200
	config.UserAgent = "certlink-scenario"
	scheme := runtime.NewScheme()
	if err := errors.Join(clientgoscheme.AddToScheme(scheme), v1alpha1.AddToScheme(scheme), apiextensionsv1.AddToScheme(scheme)); err != nil {
		return fmt.Errorf("registering the API types: %w", err)
	}
	c.REST = config
	if c.Client, err = client.NewWithWatch(config, client.Options{Scheme: scheme}); err != nil {
		return fmt.Errorf("connecting to the cluster of %q: %w", c.Kubeconfig, err)
	}
	return nil
}

// Named returns the clusters that a user names by kubeconfigs, in the order of
// Names. They are checked at once: an answer, and cert-manager.
func Named(ctx context.Context, kubeconfigs []string, image string, nodePorts bool) ([]*Cluster, error) {
	if image == "" {
		return nil, errors.New("clusters of your own need an image that they can pull: build it with make image, push it, and name it")
	}
	if len(kubeconfigs) > len(Names) {
		return nil, fmt.Errorf("%d kubeconfigs are given, at most %d can be used", len(kubeconfigs), len(Names))
	}
	var clusters []*Cluster
	for i, path := range kubeconfigs {
		c := &Cluster{Name: Names[i], Kubeconfig: path, Image: image, NodePorts: nodePorts}
		if _, err := os.Stat(path); err != nil {
			return nil, fmt.Errorf("reading kubeconfig %q: %w", path, err)
		}
		if err := c.connect(); err != nil {
			return nil, err
		}
		var crd apiextensionsv1.CustomResourceDefinition
		err := c.Client.Get(ctx, client.ObjectKey{Name: "certificates.cert-manager.io"}, &crd)
		if apierrors.IsNotFound(err) {
			return nil, fmt.Errorf("the cluster of %q has no cert-manager: install it first, see https://cert-manager.io/docs/installation/", path)
		}
		if err != nil {
			return nil, fmt.Errorf("asking the cluster of %q: %w", path, err)
		}
		clusters = append(clusters, c)
	}
	return clusters, nil
}

// Split reads a list of kubeconfigs, A,B.
func Split(list string) []string {
	return strings.FieldsFunc(list, func(r rune) bool { return r == ',' || r == ' ' })
}
