// SPDX-FileCopyrightText: The certlink authors
// SPDX-License-Identifier: Apache-2.0

package cli

import (
	"fmt"

	"github.com/spf13/cobra"
	corev1 "k8s.io/api/core/v1"

	"github.com/certlink/certlink/api/v1alpha1"
)

// ourCard is the card with what belongs to it, for programs.
type ourCard struct {
	Name        string   `json:"name"`
	TrustDomain string   `json:"trustDomain"`
	Fingerprint string   `json:"fingerprint"`
	Addresses   []string `json:"addresses,omitempty"`
	Card        string   `json:"card"`
}

func cardCommand(o *options) *cobra.Command {
	var output format
	cmd := &cobra.Command{
		Use:   "card",
		Short: "Print our card, which peers need to link with us",
		Long: `Print our card: a PeerCERT manifest that holds our name, addresses and CA
certificates, and nothing secret. Give it to a peer in any way, and read the
fingerprint, which goes to standard error, to them over the telephone.`,
		Example: `  kubectl certlink card > alfa.card.yaml`,
		Args:    cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			ctx, cancel := o.within(cmd, defaultTimeout)
			defer cancel()
			s, err := o.session()
			if err != nil {
				return err
			}
			cert, err := s.ours(ctx)
			if err != nil {
				return err
			}
			return o.printCard(cert, &output)
		},
	}
	output.addTo(cmd)
	return cmd
}

func (o *options) printCard(cert *v1alpha1.LocalCERT, output *format) error {
	status := cert.Status
	if status.Card == "" {
		return fmt.Errorf("LocalCERT %q has no card yet: its CA is not ready; see kubectl -n %s describe lcert %s", cert.Name, cert.Namespace, cert.Name)
	}
	if *output != asTable {
		return output.document(o.Out, ourCard{
			Name: cert.Name, TrustDomain: cert.Spec.Identity.TrustDomain,
			Fingerprint: status.Fingerprint, Addresses: status.Addresses, Card: status.Card,
		})
	}
	if len(status.Addresses) == 0 {
		fmt.Fprintln(o.ErrOut, noAddress(cert))
	}
	fmt.Fprintf(o.ErrOut, "Fingerprint: %s\n", status.Fingerprint)
	_, err := fmt.Fprint(o.Out, status.Card)
	return err
}

// noAddress says why our card has no address, and whether it may get one.
func noAddress(cert *v1alpha1.LocalCERT) string {
	switch cert.Spec.Relay.Service.Type {
	case "", v1alpha1.RelayServiceType(corev1.ServiceTypeLoadBalancer):
		return fmt.Sprintf("The card has no address yet: Service %s-relay of type LoadBalancer has none. Print it again when it has one, or declare spec.addresses; "+
			"with this card peers cannot dial us, we dial them.", cert.Name)
	default:
		return "The card has no address: peers cannot dial us, we dial them. Where they should, declare spec.addresses."
	}
}
