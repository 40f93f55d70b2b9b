// SPDX-FileCopyrightText: The certlink authors
// SPDX-License-Identifier: Apache-2.0

// Package manifest builds the objects that a LocalCERT becomes. The builders are
// pure: equal input gives equal objects, and testdata shows what they look like.
//
// None of the objects changes the template of the relay's pod when the relay's
// configuration changes: the relay reloads by itself and is not restarted. The one
// exception is a Secret or ConfigMap that no resource had named before.
package manifest

import (
	"encoding/json"
	"fmt"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	metav1ac "k8s.io/client-go/applyconfigurations/meta/v1"

	"github.com/certlink/certlink/api/v1alpha1"
)

// Labels of what the operator makes.
const (
	LabelName      = "app.kubernetes.io/name"
	LabelComponent = "app.kubernetes.io/component"
	LabelInstance  = "app.kubernetes.io/instance"
	LabelManagedBy = "app.kubernetes.io/managed-by"

	Name      = "certlink"
	Relay     = "relay"
	ManagedBy = "certlink-operator"
)

// Names of the objects of a LocalCERT.
type Names struct {
	// Relay is the StatefulSet, the Service before the link port, the ConfigMap,
	// the PodDisruptionBudget and the NetworkPolicy.
	Relay string
	// Local is the Service before the local port.
	Local string
	// Link, LocalPort, Signing, Operator and Desk are the Certificates and the
	// Secrets with the same names.
	Link, LocalPort, Signing, Operator, Desk string
	// Canary is the Certificate, and its Secret, that nobody uses.
	Canary string
	// SelfSigned is the Issuer of every CA of our own.
	SelfSigned string
}

// NamesOf returns the names of the objects of a LocalCERT.
func NamesOf(localCERT string) Names {
	return Names{
		Relay:      localCERT + "-relay",
		Local:      localCERT + "-relay-local",
		Link:       localCERT + "-link",
		LocalPort:  localCERT + "-local",
		Signing:    localCERT + "-signing",
		Operator:   localCERT + "-operator",
		Desk:       localCERT + "-desk",
		Canary:     localCERT + "-canary",
		SelfSigned: localCERT + "-selfsigned",
	}
}

// Officer is the name of an officer's Certificate and Secret.
func (n Names) Officer(name string) string { return n.Desk + "-" + name }

// Labels of every object of a LocalCERT.
func Labels(localCERT string) map[string]string {
	return map[string]string{
		LabelName:      Name,
		LabelComponent: Relay,
		LabelInstance:  localCERT,
		LabelManagedBy: ManagedBy,
	}
}

// Selector selects the relay's pods.
func Selector(localCERT string) map[string]string {
	return map[string]string{
		LabelName:      Name,
		LabelComponent: Relay,
		LabelInstance:  localCERT,
	}
}

// owner returns the owner reference to a LocalCERT.
func owner(l *v1alpha1.LocalCERT) *metav1ac.OwnerReferenceApplyConfiguration {
	return metav1ac.OwnerReference().
		WithAPIVersion(v1alpha1.GroupVersion.String()).
		WithKind("LocalCERT").
		WithName(l.Name).
		WithUID(l.UID).
		WithController(true).
		WithBlockOwnerDeletion(true)
}

// render turns an apply configuration into the form in which objects are
// compared and written.
func render(applyConfiguration any) (*unstructured.Unstructured, error) {
	data, err := json.Marshal(applyConfiguration)
	if err != nil {
		return nil, fmt.Errorf("encoding object: %w", err)
	}
	u := &unstructured.Unstructured{}
	if err := u.UnmarshalJSON(data); err != nil {
		return nil, fmt.Errorf("encoding object: %w", err)
	}
	return u, nil
}

// custom makes an object of cert-manager, whose kinds we know by their fields only.
func custom(l *v1alpha1.LocalCERT, kind, name string, spec map[string]any) *unstructured.Unstructured {
	u := &unstructured.Unstructured{Object: map[string]any{"spec": spec}}
	u.SetAPIVersion(CertManager)
	u.SetKind(kind)
	u.SetNamespace(l.Namespace)
	u.SetName(name)
	u.SetLabels(Labels(l.Name))
	u.SetOwnerReferences([]metav1.OwnerReference{*metav1.NewControllerRef(l, v1alpha1.GroupVersion.WithKind("LocalCERT"))})
	return u
}
