// SPDX-FileCopyrightText: The certlink authors
// SPDX-License-Identifier: Apache-2.0

package scenario

import (
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/client/apiutil"

	"github.com/certlink/certlink/api/v1alpha1"
)

// Names of the parties, in order.
var Names = []string{"alfa", "bravo", "charlie"}

// manager owns what the scenario applies.
const manager = "certlink-scenario"

// Party is a CERT: its cluster, its namespace, and the programs of its people.
type Party struct {
	*Cluster
	// Name of the CERT and of its LocalCERT.
	Name string
	// TrustDomain is NAME.example.
	TrustDomain string
	// Namespace of its resources.
	Namespace string

	cli string
}

// NewParty returns the CERT of a cluster in a namespace; nothing is made yet.
func NewParty(c *Cluster, namespace string, programs Programs) *Party {
	return &Party{Cluster: c, Name: c.Name, TrustDomain: c.Name + ".example", Namespace: namespace, cli: programs.CLI}
}

// CLI runs kubectl certlink as the administrator of the cluster and returns what
// it wrote to standard output.
func (p *Party) CLI(ctx context.Context, in io.Reader, args ...string) (string, error) {
	return p.CLIAs(ctx, p.Kubeconfig, in, args...)
}

// CLIAs runs kubectl certlink with another kubeconfig.
func (p *Party) CLIAs(ctx context.Context, kubeconfig string, in io.Reader, args ...string) (string, error) {
	argv := append([]string{p.cli, "--kubeconfig", kubeconfig, "--namespace", p.Namespace}, args...)
	return run(ctx, in, nil, argv...)
}

// Kubectl runs kubectl as the administrator of the cluster.
func (p *Party) Kubectl(ctx context.Context, args ...string) (string, error) {
	kubectl, err := Tool(ctx, "kubectl")
	if err != nil {
		return "", err
	}
	return run(ctx, nil, nil, append([]string{kubectl, "--kubeconfig", p.Kubeconfig, "--namespace", p.Namespace}, args...)...)
}

// Key names an object of the party's namespace.
func (p *Party) Key(name string) client.ObjectKey {
	return client.ObjectKey{Namespace: p.Namespace, Name: name}
}

// Meta is the metadata of an object of the party's namespace.
func (p *Party) Meta(name string) metav1.ObjectMeta {
	return metav1.ObjectMeta{Namespace: p.Namespace, Name: name}
}

// Apply brings an object to what it is here, by server-side apply.
func (p *Party) Apply(ctx context.Context, object client.Object) error {
	kind, err := apiutil.GVKForObject(object, p.Client.Scheme())
	if err != nil {
		return fmt.Errorf("applying %q: %w", object.GetName(), err)
	}
	content, err := runtime.DefaultUnstructuredConverter.ToUnstructured(object)
	if err != nil {
		return fmt.Errorf("applying %s %q: %w", kind.Kind, object.GetName(), err)
	}
	delete(content, "status")
	u := &unstructured.Unstructured{Object: content}
	u.SetGroupVersionKind(kind)
	u.SetManagedFields(nil)
	u.SetResourceVersion("")
	err = p.Client.Apply(ctx, client.ApplyConfigurationFromUnstructured(u), client.FieldOwner(manager), client.ForceOwnership)
	if err != nil {
		return fmt.Errorf("applying %s %q in %s: %w", kind.Kind, object.GetName(), p.Name, err)
	}
	return nil
}

// Change reads an object, changes it and writes it, again when somebody else was quicker.
func Change[T client.Object](ctx context.Context, p *Party, name string, object T, change func(T)) error {
	for {
		if err := p.Client.Get(ctx, p.Key(name), object); err != nil {
			return fmt.Errorf("reading %q in %s: %w", name, p.Name, err)
		}
		change(object)
		err := p.Client.Update(ctx, object)
		if apierrors.IsConflict(err) && ctx.Err() == nil {
			continue
		}
		if err != nil {
			return fmt.Errorf("changing %q in %s: %w", name, p.Name, err)
		}
		return nil
	}
}

// Namespaced makes the party's namespace, in which only restricted pods may run.
func (p *Party) Namespaced(ctx context.Context) error {
	return p.Apply(ctx, &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{
		Name:   p.Namespace,
		Labels: map[string]string{"pod-security.kubernetes.io/enforce": "restricted"},
	}})
}

// Remove deletes the party's namespace with everything in it, and waits.
func (p *Party) Remove(ctx context.Context) error {
	namespace := &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: p.Namespace}}
	if err := p.Client.Delete(ctx, namespace); client.IgnoreNotFound(err) != nil {
		return fmt.Errorf("deleting namespace %q in %s: %w", p.Namespace, p.Name, err)
	}
	return Poll(ctx, fmt.Sprintf("namespace %q in %s is gone", p.Namespace, p.Name), func(ctx context.Context) error {
		err := p.Client.Get(ctx, client.ObjectKeyFromObject(namespace), namespace)
		if apierrors.IsNotFound(err) {
			return nil
		}
		return errors.Join(errors.New("it is there"), err)
	})
}

// Relay is the pod of the party's relay.
func (p *Party) Relay() string { return p.Name + "-relay-0" }

// Local returns our LocalCERT as it is now.
func (p *Party) Local(ctx context.Context) (*v1alpha1.LocalCERT, error) {
	var cert v1alpha1.LocalCERT
	if err := p.Client.Get(ctx, p.Key(p.Name), &cert); err != nil {
		return nil, fmt.Errorf("reading LocalCERT %q: %w", p.Name, err)
	}
	return &cert, nil
}

// secret returns the data of a Secret.
func (p *Party) secret(ctx context.Context, name string) (map[string][]byte, error) {
	var secret corev1.Secret
	if err := p.Client.Get(ctx, p.Key(name), &secret); err != nil {
		return nil, fmt.Errorf("reading Secret %q in %s: %w", name, p.Name, err)
	}
	for _, key := range []string{"tls.crt", "tls.key", "ca.crt"} {
		if len(secret.Data[key]) == 0 {
			return nil, fmt.Errorf("Secret %q in %s has keys %v and no %q", name, p.Name, slices.Sorted(maps.Keys(secret.Data)), key)
		}
	}
	return secret.Data, nil
}
