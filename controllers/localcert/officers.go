// SPDX-FileCopyrightText: The certlink authors
// SPDX-License-Identifier: Apache-2.0

package localcert

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"github.com/certlink/certlink/api/v1alpha1"
	"github.com/certlink/certlink/controllers/internal/manifest"
	"github.com/certlink/certlink/controllers/internal/status"
)

// officerPath begins the path of an officer's SPIFFE ID.
const officerPath = "/desk/"

// officers are the certificates of the officers that are declared.
func officers(l *v1alpha1.LocalCERT) []issued {
	var out []issued
	for _, o := range l.Spec.Desk.Officers {
		out = append(out, issued{name: namesOf(l).Officer(o.Name), path: officerPath + o.Name})
	}
	return out
}

// ofOfficer tells whether a certificate is an officer's. Without one our relay runs.
func (c issued) ofOfficer() bool { return strings.HasPrefix(c.path, officerPath) }

// former are the Certificates of officers that are not declared any more.
func former(l *v1alpha1.LocalCERT, certificates []unstructured.Unstructured) []string {
	var out []string
	for i := range certificates {
		c := &certificates[i]
		name, officer := strings.CutPrefix(c.GetName(), namesOf(l).Officer(""))
		declared := slices.ContainsFunc(l.Spec.Desk.Officers, func(o v1alpha1.Officer) bool { return o.Name == name })
		if officer && !declared && metav1.IsControlledBy(c, l) {
			out = append(out, name)
		}
	}
	return out
}

// dismiss deletes the certificates and keys of officers that are not declared any more.
// The relay has refused them since its configuration left them out.
func (r *Reconciler) dismiss(ctx context.Context, l *v1alpha1.LocalCERT, names []string) error {
	var errs []error
	for _, name := range names {
		gone := l.DeepCopy()
		gone.Spec.Desk.Officers = []v1alpha1.Officer{{Name: name}}
		all := manifest.Certificates(gone, nil, v1alpha1.IssuerInUse{}, 0)
		certificate := all[len(all)-1]
		secret := &metav1.PartialObjectMetadata{}
		secret.SetGroupVersionKind(corev1.SchemeGroupVersion.WithKind("Secret"))
		secret.Namespace, secret.Name = l.Namespace, certificate.GetName()
		written := func(o *metav1.PartialObjectMetadata) bool { return o.Annotations[annotationCertificate] == secret.Name }
		err := r.apply.Remove(ctx, certificate)
		if err == nil {
			err = r.apply.RemoveIf(ctx, secret, written)
		}
		if err != nil {
			errs = append(errs, fmt.Errorf("removing the certificate of officer %q: %w", name, err))
		}
	}
	return errors.Join(errs...)
}

// describeOfficers says where the officers' certificates are.
func describeOfficers(l *v1alpha1.LocalCERT, all []issued) {
	l.Status.Officers = nil
	for _, c := range all {
		if !c.ofOfficer() {
			continue
		}
		o := v1alpha1.OfficerStatus{Name: strings.TrimPrefix(c.path, officerPath), SecretName: c.name}
		if c.secret != nil {
			if chain := parse(c.secret.Data[corev1.TLSCertKey]); len(chain) > 0 {
				o.NotAfter = status.Time(chain[0].NotAfter)
			}
		}
		l.Status.Officers = append(l.Status.Officers, o)
	}
}
