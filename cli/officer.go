// SPDX-FileCopyrightText: The certlink authors
// SPDX-License-Identifier: Apache-2.0

package cli

import (
	"context"
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"

	"github.com/spf13/cobra"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/certlink/certlink/api/v1alpha1"
	"github.com/certlink/certlink/internal/relayclient"
	"github.com/certlink/certlink/relay/desk"
)

// maxCertificate is the largest file with a certificate or key.
const maxCertificate = 256 << 10

// deskFlags say with which certificate the relay is asked.
type deskFlags struct {
	// officer by name, or whoever is to be named in messages.
	officer string
	// certificate and key are files, such as a smart card's export.
	certificate, key string
}

func (f *deskFlags) addTo(cmd *cobra.Command) {
	flags := cmd.PersistentFlags()
	flags.StringVar(&f.officer, "officer", "", "officer of LocalCERT.spec.desk whose certificate is used (default: the only one that you may read)")
	flags.StringVar(&f.certificate, "desk-certificate", "", "file with an officer's certificate in PEM, instead of a Secret")
	flags.StringVar(&f.key, "desk-key", "", "file with its private key in PEM")
	cmd.MarkFlagsRequiredTogether("desk-certificate", "desk-key")
}

// take notes the officer that a command was given, by its own flag or that of all.
func (f *deskFlags) take(cmd *cobra.Command) {
	if flag := cmd.Flags().Lookup("officer"); flag != nil {
		f.officer = flag.Value.String()
	}
}

// credentials are those of the officer who was named or whose Secret the user may read,
// else those that the desk shares.
func (s *session) credentials(ctx context.Context, cert *v1alpha1.LocalCERT) (c relayclient.Credentials, err error) {
	switch {
	case s.flags.certificate != "":
		c, err = s.fromFiles(cert)
	case secretOf(cert, s.flags.officer) != "":
		c, err = s.fromSecret(ctx, cert, secretOf(cert, s.flags.officer))
	case s.flags.officer != "" && cert.Spec.Desk.SharedCertificate == v1alpha1.Denied:
		err = fmt.Errorf("LocalCERT %q has no officer %q: it has %s", cert.Name, s.flags.officer, officersOf(cert))
	case s.flags.officer != "":
		c, err = s.desk(ctx, cert)
	default:
		c, err = s.mine(ctx, cert)
	}
	if err != nil {
		return relayclient.Credentials{}, err
	}
	s.named = displayName(cert, desk.OfficerOf(c.Identity()))
	if s.named == "" && s.flags.officer != "" && len(cert.Status.Officers) > 0 {
		s.unknown = fmt.Sprintf("LocalCERT %q has no officer %q: it has %s", cert.Name, s.flags.officer, officersOf(cert))
	}
	return c, nil
}

// mine finds the only officer's Secret that the user may read. Who may read several says
// which one, or is the shared desk.
func (s *session) mine(ctx context.Context, cert *v1alpha1.LocalCERT) (relayclient.Credentials, error) {
	var readable []string
	for _, o := range cert.Status.Officers {
		err := s.client.Get(ctx, client.ObjectKey{Namespace: s.namespace, Name: o.SecretName}, &corev1.Secret{})
		switch {
		case err == nil:
			readable = append(readable, o.SecretName)
		case !apierrors.IsForbidden(err) && !apierrors.IsNotFound(err):
			return relayclient.Credentials{}, s.plain(err, "get", "secrets", o.SecretName)
		}
	}
	switch {
	case len(readable) == 1:
		return s.fromSecret(ctx, cert, readable[0])
	case cert.Spec.Desk.SharedCertificate != v1alpha1.Denied:
		return s.desk(ctx, cert)
	case len(readable) == 0:
		return relayclient.Credentials{}, fmt.Errorf("you may not use the desk: RBAC lets you read the Secret of no officer of LocalCERT %q; they are %s", cert.Name, officersOf(cert))
	}
	return relayclient.Credentials{}, fmt.Errorf("you may read the certificates of several officers: say who you are with --officer, one of %s", officersOf(cert))
}

func secretOf(cert *v1alpha1.LocalCERT, officer string) string {
	for _, o := range cert.Status.Officers {
		if o.Name == officer {
			return o.SecretName
		}
	}
	return ""
}

func officersOf(cert *v1alpha1.LocalCERT) string {
	var names []string
	for _, o := range cert.Status.Officers {
		names = append(names, o.Name)
	}
	if len(names) == 0 {
		return "none"
	}
	return strings.Join(names, ", ")
}

// displayName of an officer in messages; empty for no officer.
func displayName(cert *v1alpha1.LocalCERT, name string) string {
	i := slices.IndexFunc(cert.Spec.Desk.Officers, func(o v1alpha1.Officer) bool { return o.Name == name })
	if i >= 0 && cert.Spec.Desk.Officers[i].DisplayName != "" {
		return cert.Spec.Desk.Officers[i].DisplayName
	}
	return name
}

// fromFiles reads a certificate and its key; the relay is known by the CA in the
// LocalCERT's status.
func (s *session) fromFiles(cert *v1alpha1.LocalCERT) (relayclient.Credentials, error) {
	data := map[string][]byte{relayclient.KeyCA: []byte(cert.Status.Authority.Bundle)}
	for key, path := range map[string]string{relayclient.KeyCertificate: s.flags.certificate, relayclient.KeyPrivateKey: s.flags.key} {
		info, err := os.Stat(path)
		if err == nil && info.Size() > maxCertificate {
			err = errors.New("it is too large for a certificate or key")
		}
		if err == nil {
			data[key], err = os.ReadFile(path)
		}
		if err != nil {
			return relayclient.Credentials{}, fmt.Errorf("reading the officer's certificate from %s: %w", path, err)
		}
	}
	c, err := relayclient.ParseCredentials(cert.Spec.Identity.TrustDomain, data)
	if err != nil {
		return relayclient.Credentials{}, fmt.Errorf("reading the officer's certificate from %s: %w", s.flags.certificate, err)
	}
	return c, nil
}

// fromSecret reads the Secret that decides who may act as an officer, or as the desk.
func (s *session) fromSecret(ctx context.Context, cert *v1alpha1.LocalCERT, name string) (relayclient.Credentials, error) {
	var secret corev1.Secret
	if err := s.client.Get(ctx, client.ObjectKey{Namespace: s.namespace, Name: name}, &secret); err != nil {
		return relayclient.Credentials{}, s.plain(err, "get", "secrets", name)
	}
	credentials, err := relayclient.ParseCredentials(cert.Spec.Identity.TrustDomain, secret.Data)
	if err != nil {
		return relayclient.Credentials{}, fmt.Errorf("reading Secret %q in namespace %q: %w", name, s.namespace, err)
	}
	return credentials, nil
}
