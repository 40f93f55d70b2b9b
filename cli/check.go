// SPDX-FileCopyrightText: The certlink authors
// SPDX-License-Identifier: Apache-2.0

package cli

import (
	"context"
	"errors"
	"fmt"
	"net/http"

	"github.com/spf13/cobra"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/certlink/certlink/api/v1alpha1"
	"github.com/certlink/certlink/internal/relayclient"
	"github.com/certlink/certlink/relay/desk"
)

func checkCommand(o *options) *cobra.Command {
	var output format
	cmd := &cobra.Command{
		Use:   "check PEER",
		Short: "Let our relay look at a peer's addresses, and name the layer that fails",
		Long: `Let our relay look at each address of a peer now, with the code and the trust of
its real connections, and name the layer that fails: name, port, tls, trustDomain,
chain, clock or protocol. What is behind a layer that failed is not reached.

The exit code is 1 when a layer fails.`,
		Example: `  kubectl certlink check bravo
  kubectl certlink check bravo -o json`,
		Args:              cobra.ExactArgs(1),
		ValidArgsFunction: o.completePeers,
		RunE: o.atRelay(defaultTimeout, func(ctx context.Context, relay *relayclient.Client, args []string) error {
			return o.checkPeer(ctx, relay, args[0], &output)
		}),
	}
	output.addTo(cmd)
	return cmd
}

func (o *options) checkPeer(ctx context.Context, relay *relayclient.Client, peer string, output *format) error {
	seen, err := relay.Check(ctx, peer)
	if relayclient.IsStatus(err, http.StatusNotFound) {
		return fmt.Errorf("our relay has no peer %q: see kubectl get pcert", peer)
	}
	if err != nil {
		return err
	}
	if *output != asTable {
		err = output.document(o.Out, seen)
	} else {
		err = o.printCheck(seen)
	}
	return errors.Join(err, checked(seen))
}

// checked returns ErrUnwell with the layers that fail.
func checked(seen desk.Check) error {
	var errs []error
	for _, e := range seen.Endpoints {
		if e.Fails != "" {
			errs = append(errs, fmt.Errorf("%w: peer %q at %s fails at the layer %s", ErrUnwell, seen.Peer, e.Address, e.Fails))
		}
	}
	return errors.Join(errs...)
}

var layerWords = map[desk.LayerState]string{desk.LayerOK: "ok", desk.LayerFailed: "FAILED", desk.LayerNotReached: "not reached"}

// printCheck prints one table with all addresses, then what to do.
func (o *options) printCheck(seen desk.Check) error {
	fmt.Fprintf(o.Out, "Peer %s (%s, %s), seen by our relay on %s\n", oneLine(seen.Peer), oneLine(seen.TrustDomain), oneLine(seen.State), clock(seen.CheckedAt))
	for _, hash := range seen.Trusts {
		fmt.Fprintf(o.Out, "We trust its CA certificate with SHA-256 %s\n", oneLine(hash))
	}
	for _, e := range seen.Endpoints {
		title := oneLine(e.Address)
		if e.Label != "" {
			title += " (" + oneLine(e.Label) + ")"
		}
		fmt.Fprintf(o.Out, "\n%s\n", title)
		rows := [][]string{{"LAYER", "STATE", "SAW"}}
		for _, l := range e.Layers {
			rows = append(rows, []string{string(l.Layer), layerWords[l.State], l.Saw})
		}
		if err := table(o.Out, rows); err != nil {
			return err
		}
		for _, l := range e.Layers {
			if l.Fault != "" {
				fmt.Fprintf(o.Out, "%s: %s\n", l.Layer, oneLine(l.Fault))
			}
		}
	}
	return nil
}

func (o *options) completePeers(cmd *cobra.Command, args []string, prefix string) ([]string, cobra.ShellCompDirective) {
	return o.complete(cmd, args, prefix, func(ctx context.Context, s *session) []string {
		var list v1alpha1.PeerCERTList
		_ = s.client.List(ctx, &list, client.InNamespace(s.namespace))
		names := make([]string, 0, len(list.Items))
		for _, item := range list.Items {
			names = append(names, item.Name+"\t"+item.Spec.Identity.TrustDomain)
		}
		return names
	})
}
