// SPDX-FileCopyrightText: The certlink authors
// SPDX-License-Identifier: Apache-2.0

package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"time"

	"github.com/spf13/cobra"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/yaml"

	"github.com/certlink/certlink/api/v1alpha1"
	"github.com/certlink/certlink/internal/card"
)

// fieldManager owns what peer add --apply writes.
const fieldManager = "kubectl-certlink"

// addFlags are those of peer add.
type addFlags struct {
	name   string
	expect string
	apply  bool
	output format
}

func peerCommand(o *options) *cobra.Command {
	return group(&cobra.Command{
		Use:   "peer",
		Short: "Take up peers",
	}, addCommand(o))
}

func addCommand(o *options) *cobra.Command {
	f := &addFlags{}
	cmd := &cobra.Command{
		Use:   "add CARD",
		Short: "Check a peer's card and write the PeerCERT manifest",
		Long: `Check the card that a peer gave us and write the PeerCERT manifest for it to
standard output, to be committed or applied; - reads the card from standard input.

A card is not signed. Compare its fingerprint, which goes to standard error, with
the peer over another channel, such as the telephone, before the manifest is in
force. With --expect-fingerprint any other card is refused.`,
		Example: `  kubectl certlink peer add bravo.card.yaml > peers/bravo.yaml
  kubectl certlink peer add bravo.card.yaml --expect-fingerprint "3f2a 90bc ..." --apply`,
		Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			ctx, cancel := o.within(cmd, defaultTimeout)
			defer cancel()
			return o.addPeer(ctx, args[0], f)
		},
	}
	flags := cmd.Flags()
	flags.StringVar(&f.name, "name", "", "our name for the peer (default: the one on the card)")
	flags.StringVar(&f.expect, "expect-fingerprint", "", "refuse a card with another fingerprint")
	flags.BoolVar(&f.apply, "apply", false, "apply the manifest instead of writing it")
	f.output.addTo(cmd)
	return cmd
}

func (o *options) addPeer(ctx context.Context, file string, f *addFlags) error {
	read, err := o.readCard(file)
	if err != nil {
		return err
	}
	fingerprint, err := read.Fingerprint()
	if err != nil {
		return fmt.Errorf("reading card %q: %w", file, err)
	}
	if f.expect != "" && !card.SameFingerprint(f.expect, fingerprint) {
		return fmt.Errorf("card %q has fingerprint %s, not the expected one: it is not the peer's card, or it was changed on its way; ask the peer", file, fingerprint)
	}
	peer := read.PeerCERT()
	if f.name != "" {
		peer.Name = f.name
	}
	fmt.Fprintf(o.ErrOut, "Card of %s (%s)\nFingerprint: %s\n", oneLine(read.Identity.DisplayName), oneLine(read.Identity.TrustDomain), fingerprint)
	if f.expect == "" {
		fmt.Fprintln(o.ErrOut, "Compare it with the peer over the telephone before you rely on it.")
	}
	if err := o.warn(read); err != nil {
		return err
	}
	if f.apply {
		return o.applyPeer(ctx, peer, f)
	}
	if *o.kube.Namespace != "" {
		peer.Namespace = *o.kube.Namespace
	}
	if f.output == asJSON {
		return f.output.document(o.Out, peer)
	}
	manifest, err := yaml.Marshal(peer)
	if err != nil {
		return fmt.Errorf("writing the manifest: %w", err)
	}
	_, err = o.Out.Write(manifest)
	return err
}

func (o *options) readCard(file string) (card.Card, error) {
	in := o.In
	if file != "-" {
		opened, err := os.Open(file)
		if err != nil {
			return card.Card{}, fmt.Errorf("reading the card: %w", err)
		}
		defer opened.Close()
		in = opened
	}
	content, err := io.ReadAll(io.LimitReader(in, card.MaxBytes+1))
	if err != nil {
		return card.Card{}, fmt.Errorf("reading card %q: %w", file, err)
	}
	read, err := card.Parse(content)
	if err != nil {
		return card.Card{}, fmt.Errorf("reading card %q: %w", file, err)
	}
	return read, nil
}

// warn says what about a card deserves a look; a card of which no CA certificate
// is valid now is refused.
func (o *options) warn(read card.Card) error {
	if len(read.Endpoints) == 0 {
		fmt.Fprintln(o.ErrOut, "The card has no address: the peer dials us.")
	}
	certificates, err := card.Certificates(read.Bundle)
	if err != nil {
		return fmt.Errorf("reading the card's CA certificates: %w", err)
	}
	valid, now := 0, o.now()
	for _, certificate := range certificates {
		switch {
		case now.Before(certificate.NotBefore):
			fmt.Fprintf(o.ErrOut, "Warning: its CA certificate %q is not valid before %s.\n", oneLine(certificate.Subject.String()), certificate.NotBefore.Format(time.RFC3339))
		case now.After(certificate.NotAfter):
			fmt.Fprintf(o.ErrOut, "Warning: its CA certificate %q expired on %s.\n", oneLine(certificate.Subject.String()), certificate.NotAfter.Format(time.RFC3339))
		default:
			valid++
		}
	}
	if valid == 0 {
		return errors.New("no CA certificate of the card is valid now: ask the peer for a newer card, or check this machine's clock")
	}
	return nil
}

// applyPeer writes the PeerCERT. It never replaces the trust in a peer that we
// hold already, unless the user says which fingerprint is right.
func (o *options) applyPeer(ctx context.Context, peer *v1alpha1.PeerCERT, f *addFlags) error {
	s, err := o.session()
	if err != nil {
		return err
	}
	peer.Namespace = s.namespace
	var held v1alpha1.PeerCERT
	err = s.client.Get(ctx, client.ObjectKeyFromObject(peer), &held)
	switch {
	case err == nil:
		if f.expect == "" && held.Spec.Trust.Bundle != peer.Spec.Trust.Bundle {
			return fmt.Errorf("PeerCERT %q in namespace %q trusts another CA: to replace it, compare the card's fingerprint with the peer and give it with --expect-fingerprint", peer.Name, s.namespace)
		}
	case !apierrors.IsNotFound(err):
		return s.plain(err, "get", "peercerts", peer.Name)
	}
	content, err := runtime.DefaultUnstructuredConverter.ToUnstructured(peer)
	if err != nil {
		return fmt.Errorf("writing the manifest: %w", err)
	}
	applied := client.ApplyConfigurationFromUnstructured(&unstructured.Unstructured{Object: content})
	if err := s.client.Apply(ctx, applied, client.FieldOwner(fieldManager)); err != nil {
		return s.plain(err, "patch", "peercerts", peer.Name)
	}
	fmt.Fprintf(o.Out, "PeerCERT %q in namespace %q applied\n", peer.Name, s.namespace)
	return nil
}
