// SPDX-FileCopyrightText: The certlink authors
// SPDX-License-Identifier: Apache-2.0

package cli

import (
	"context"
	"errors"
	"fmt"
	"net"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	"k8s.io/apimachinery/pkg/runtime"
	clientgoscheme "k8s.io/client-go/kubernetes/scheme"
	"k8s.io/client-go/rest"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/certlink/certlink/api/v1alpha1"
	"github.com/certlink/certlink/internal/podforward"
	"github.com/certlink/certlink/internal/relayclient"
)

// localPort is that of the relay for our own tools.
const localPort = 9443

// session is the user's view of one namespace.
type session struct {
	client    client.Client
	rest      *rest.Config
	namespace string
	// name of the LocalCERT that the user asked for, or "".
	name string
	// flags say with which certificate the relay is asked; named is the officer of the
	// certificate that was chosen, as messages name them, or "".
	flags deskFlags
	named string
	// unknown says, when a name was given that is no officer's, who the officers are.
	unknown string
}

func (o *options) session() (*session, error) {
	namespace, _, err := o.kube.ToRawKubeConfigLoader().Namespace()
	if err != nil {
		return nil, fmt.Errorf("reading the kubeconfig: %w", err)
	}
	config, err := o.kube.ToRESTConfig()
	if err != nil {
		return nil, fmt.Errorf("reading the kubeconfig: %w", err)
	}
	config.UserAgent = "kubectl-certlink"
	scheme := runtime.NewScheme()
	if err := errors.Join(clientgoscheme.AddToScheme(scheme), v1alpha1.AddToScheme(scheme)); err != nil {
		return nil, fmt.Errorf("registering the API types: %w", err)
	}
	c, err := client.New(config, client.Options{Scheme: scheme})
	if err != nil {
		return nil, fmt.Errorf("connecting to the API server: %w", err)
	}
	return &session{client: c, rest: config, namespace: namespace, name: o.localCERT, flags: o.desk}, nil
}

// ours returns our LocalCERT: the one that was named, or the oldest of the
// namespace, which is the one that counts.
func (s *session) ours(ctx context.Context) (*v1alpha1.LocalCERT, error) {
	if s.name != "" {
		cert := &v1alpha1.LocalCERT{}
		if err := s.client.Get(ctx, client.ObjectKey{Namespace: s.namespace, Name: s.name}, cert); err != nil {
			return nil, s.plain(err, "get", "localcerts", s.name)
		}
		return cert, nil
	}
	var list v1alpha1.LocalCERTList
	if err := s.client.List(ctx, &list, client.InNamespace(s.namespace)); err != nil {
		return nil, s.plain(err, "list", "localcerts", "")
	}
	if len(list.Items) == 0 {
		return nil, fmt.Errorf("namespace %q has no LocalCERT: name the namespace of our CERT with -n, or apply a LocalCERT", s.namespace)
	}
	oldest := slices.MinFunc(list.Items, func(a, b v1alpha1.LocalCERT) int {
		if order := a.CreationTimestamp.Compare(b.CreationTimestamp.Time); order != 0 {
			return order
		}
		return strings.Compare(a.Name, b.Name)
	})
	return &oldest, nil
}

// relay returns a client of our relay's local port, as the desk. The caller
// calls the returned function when done.
func (s *session) relay(ctx context.Context) (*relayclient.Client, func(), error) {
	cert, err := s.ours(ctx)
	if err != nil {
		return nil, nil, err
	}
	credentials, err := s.credentials(ctx, cert)
	if err != nil {
		return nil, nil, err
	}
	pod, err := s.relayPod(ctx, cert.Name)
	if err != nil {
		return nil, nil, err
	}
	dialer, err := podforward.New(s.rest, s.namespace, pod)
	if err != nil {
		return nil, nil, err
	}
	c := relayclient.New(credentials, func(ctx context.Context) (net.Conn, error) {
		conn, err := dialer.Dial(ctx, localPort)
		if err != nil {
			return nil, fmt.Errorf("%w (this takes the verbs get and create on pods/portforward in namespace %q)", err, s.namespace)
		}
		return conn, nil
	})
	return c, func() { c.Close(); dialer.Close() }, nil
}

// desk reads the Secret that decides who may use the desk without being an officer.
func (s *session) desk(ctx context.Context, cert *v1alpha1.LocalCERT) (relayclient.Credentials, error) {
	name := cert.Status.DeskSecretName
	if name == "" {
		return relayclient.Credentials{}, fmt.Errorf("LocalCERT %q has no desk Secret yet: see its conditions with: kubectl -n %s describe lcert %s", cert.Name, s.namespace, cert.Name)
	}
	return s.fromSecret(ctx, cert, name)
}

// relayPod finds a pod behind the Service of the relay's local port, as kubectl
// port-forward does; a ready one if there is one.
func (s *session) relayPod(ctx context.Context, local string) (string, error) {
	name := local + "-relay-local"
	var service corev1.Service
	if err := s.client.Get(ctx, client.ObjectKey{Namespace: s.namespace, Name: name}, &service); err != nil {
		return "", s.plain(err, "get", "services", name)
	}
	if len(service.Spec.Selector) == 0 {
		return "", fmt.Errorf("Service %q in namespace %q selects no pods", name, s.namespace)
	}
	var pods corev1.PodList
	if err := s.client.List(ctx, &pods, client.InNamespace(s.namespace), client.MatchingLabels(service.Spec.Selector)); err != nil {
		return "", s.plain(err, "list", "pods", "")
	}
	best := ""
	for _, pod := range pods.Items {
		switch {
		case pod.Status.Phase != corev1.PodRunning || !pod.DeletionTimestamp.IsZero():
		case isReady(pod):
			return pod.Name, nil
		case best == "":
			best = pod.Name
		}
	}
	if best == "" {
		return "", fmt.Errorf("no relay of LocalCERT %q is running: see kubectl -n %s get pods,events", local, s.namespace)
	}
	return best, nil
}

func isReady(pod corev1.Pod) bool {
	return slices.ContainsFunc(pod.Status.Conditions, func(c corev1.PodCondition) bool {
		return c.Type == corev1.PodReady && c.Status == corev1.ConditionTrue
	})
}

// missing says of an object that is not there who makes it, or how to find another.
func (s *session) missing(resource, name string) error {
	switch resource {
	case "secrets":
		return fmt.Errorf("there is no Secret %q in namespace %q: cert-manager writes it, see kubectl -n %s get certificates", name, s.namespace, s.namespace)
	case "services":
		return fmt.Errorf("there is no Service %q in namespace %q: the operator makes it, see kubectl -n %s describe lcert", name, s.namespace, s.namespace)
	}
	kind := map[string]string{"localcerts": "LocalCERT", "peercerts": "PeerCERT"}[resource]
	return fmt.Errorf("there is no %s %q in namespace %q: see kubectl -n %s get %s, or name another namespace with -n", or(kind, resource), name, s.namespace, s.namespace, resource)
}

// plain says what the API server's refusal means and what to do.
func (s *session) plain(err error, verb, resource, name string) error {
	what := resource
	if name != "" {
		what = fmt.Sprintf("%s %q", resource, name)
	}
	switch {
	case apierrors.IsForbidden(err) && resource == "secrets":
		return fmt.Errorf("you may not use the desk: RBAC refuses you the verb %q on %s in namespace %q; ask an administrator for a Role with that verb on that Secret", verb, what, s.namespace)
	case apierrors.IsForbidden(err):
		return fmt.Errorf("RBAC refuses you the verb %q on %s in namespace %q; ask an administrator for it", verb, what, s.namespace)
	case apierrors.IsUnauthorized(err):
		return errors.New("the API server does not know you: log in again, or check the user of your kubeconfig's context")
	case apierrors.IsNotFound(err):
		return s.missing(resource, name)
	case meta.IsNoMatchError(err):
		return errors.New("this cluster does not know certlink's resources: install the Helm chart certlink, or choose another cluster with --context")
	}
	return fmt.Errorf("asking the API server to %s %s in namespace %q: %w", verb, what, s.namespace, err)
}
