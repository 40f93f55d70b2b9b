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

// shared tells whether the desk has a certificate that names no officer.
func shared(l *v1alpha1.LocalCERT) bool { return l.Spec.Desk.SharedCertificate != v1alpha1.Denied }

// former are the names of the certificates of officers that are not declared any more, and of the
// shared desk where the spec denies it: those whose Certificate is there, and those that the status
// still names, of which only the Secret may be left. A Certificate of that name that is not ours
// keeps its Secret.
func former(l *v1alpha1.LocalCERT, certificates []unstructured.Unstructured) []string {
	out := disused(l)
	for i := range certificates {
		c := &certificates[i]
		if !metav1.IsControlledBy(c, l) {
			out = slices.DeleteFunc(out, func(name string) bool { return name == c.GetName() })
			continue
		}
		name, officer := strings.CutPrefix(c.GetName(), namesOf(l).Officer(""))
		if officer && !declared(l, name) || c.GetName() == namesOf(l).Desk && !shared(l) {
			out = append(out, c.GetName())
		}
	}
	slices.Sort(out)
	return slices.Compact(out)
}

// disused are the certificates of the desk that the status names and the spec does not ask for.
func disused(l *v1alpha1.LocalCERT) []string {
	var out []string
	for _, o := range l.Status.Officers {
		if !declared(l, o.Name) {
			out = append(out, namesOf(l).Officer(o.Name))
		}
	}
	if l.Status.DeskSecretName != "" && !shared(l) {
		out = append(out, namesOf(l).Desk)
	}
	return out
}

// declared tells whether the spec names an officer.
func declared(l *v1alpha1.LocalCERT, name string) bool {
	return slices.ContainsFunc(l.Spec.Desk.Officers, func(o v1alpha1.Officer) bool { return o.Name == name })
}

// dismiss deletes certificates of the desk and their keys that the spec does not ask for any
// more. The relay has refused them since its configuration left them out.
//
//  1. The Certificate goes, else cert-manager would write the Secret again. After a crash here the
//     status names the Secret, see former.
//  2. The Secret goes, with the key. After a crash here both steps find nothing to do.
//  3. The status names it no more (by report, once nothing of this has failed).
func (r *Reconciler) dismiss(ctx context.Context, l *v1alpha1.LocalCERT, names []string) error {
	var errs []error
	for _, name := range names {
		certificate := manifest.Canary(l, v1alpha1.IssuerInUse{}) // with our owner; its content does not count
		certificate.SetName(name)
		secret := &metav1.PartialObjectMetadata{}
		secret.SetGroupVersionKind(corev1.SchemeGroupVersion.WithKind("Secret"))
		secret.Namespace, secret.Name = l.Namespace, name
		written := func(o *metav1.PartialObjectMetadata) bool { return o.Annotations[annotationCertificate] == secret.Name }
		err := r.apply.Remove(ctx, certificate)
		if err == nil {
			err = r.apply.RemoveIf(ctx, secret, written)
		}
		if err != nil {
			errs = append(errs, fmt.Errorf("removing the certificate %q of the desk: %w", name, err))
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
