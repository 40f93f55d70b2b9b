// SPDX-FileCopyrightText: The certlink authors
// SPDX-License-Identifier: Apache-2.0

package cli

import (
	"context"
	"errors"
	"fmt"

	"github.com/spf13/cobra"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/certlink/certlink/api/v1alpha1"
)

// ErrUnwell is what check and status --check return when a condition is not as it should
// be.
var ErrUnwell = errors.New("not everything is well")

// state is everything that status shows.
type state struct {
	locals   []v1alpha1.LocalCERT
	peers    []v1alpha1.PeerCERT
	feeds    []v1alpha1.SharedFeed
	services []v1alpha1.SharedService
	hotlines []v1alpha1.Hotline
}

// line of the status: one object.
type line struct {
	Kind  string      `json:"kind"`
	Name  string      `json:"name"`
	Well  well        `json:"well"`
	Since metav1.Time `json:"since,omitzero"`
	What  string      `json:"what,omitempty"`
	Why   string      `json:"why,omitempty"`
}

func statusCommand(o *options) *cobra.Command {
	var output format
	var check bool
	cmd := &cobra.Command{
		Use:   "status",
		Short: "Show our side, peers, feeds, services and hotlines in one table",
		Long: `Show our side, peers, feeds, services and hotlines in one table, from their
conditions. WHY is the first condition that is not as it should be, in the operator's words.

With --check the exit code is 1 unless everything is well; a peer that we have
suspended or revoked is well if that is in force.`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			ctx, cancel := o.within(cmd, defaultTimeout)
			defer cancel()
			s, err := o.session()
			if err != nil {
				return err
			}
			seen, err := s.look(ctx)
			if err != nil {
				return err
			}
			lines := summarize(seen)
			if err := o.printStatus(s.namespace, lines, &output); err != nil {
				return err
			}
			if check {
				return verdict(lines)
			}
			return nil
		},
	}
	cmd.Flags().BoolVar(&check, "check", false, "exit with 1 when something is not well")
	output.addTo(cmd)
	return cmd
}

func (s *session) look(ctx context.Context) (state, error) {
	var locals v1alpha1.LocalCERTList
	var peers v1alpha1.PeerCERTList
	var feeds v1alpha1.SharedFeedList
	var services v1alpha1.SharedServiceList
	var hotlines v1alpha1.HotlineList
	for _, kind := range []struct {
		resource string
		list     client.ObjectList
	}{{"localcerts", &locals}, {"peercerts", &peers}, {"sharedfeeds", &feeds}, {"sharedservices", &services}, {"hotlines", &hotlines}} {
		if err := s.client.List(ctx, kind.list, client.InNamespace(s.namespace)); err != nil {
			return state{}, s.plain(err, "list", kind.resource, "")
		}
	}
	return state{locals.Items, peers.Items, feeds.Items, services.Items, hotlines.Items}, nil
}

func (o *options) printStatus(namespace string, lines []line, output *format) error {
	if *output != asTable {
		return output.document(o.Out, lines)
	}
	if len(lines) == 0 {
		fmt.Fprintf(o.ErrOut, "Nothing of certlink is in namespace %q: name another with -n.\n", namespace)
		return nil
	}
	rows := [][]string{{"KIND", "NAME", "WELL", "SINCE", "WHAT", "WHY"}}
	for _, l := range lines {
		rows = append(rows, []string{l.Kind, l.Name, string(l.Well), since(o.now(), l.Since.Time), l.What, l.Why})
	}
	return table(o.Out, rows)
}

func verdict(lines []line) error {
	if len(lines) == 0 {
		return fmt.Errorf("%w: there is nothing", ErrUnwell)
	}
	for _, l := range lines {
		if l.Well != wellYes {
			return fmt.Errorf("%w: %s %q: %s", ErrUnwell, l.Kind, l.Name, l.Why)
		}
	}
	return nil
}
