// SPDX-FileCopyrightText: The certlink authors
// SPDX-License-Identifier: Apache-2.0

package cli

import (
	"context"
	"fmt"

	"github.com/spf13/cobra"

	"github.com/certlink/certlink/internal/relayclient"
	"github.com/certlink/certlink/relay/desk"
)

func deadCommand(o *options) *cobra.Command {
	var output format
	cmd := &cobra.Command{
		Use:   "dead FEED DELIVERY",
		Short: "List the objects that a delivery of an import could not hand on",
		Long: `List the dead letters of a delivery: the objects of an import that a system of ours did
not take, with the reason. They are kept until they are delivered: see feed redeliver.`,
		Example:           `  kubectl certlink feed dead from-bravo siem`,
		Args:              cobra.ExactArgs(2),
		ValidArgsFunction: o.completeDeliveries(),
		RunE: o.atRelay(defaultTimeout, func(ctx context.Context, relay *relayclient.Client, args []string) error {
			return o.dead(ctx, relay, args[0], args[1], &output)
		}),
	}
	output.addTo(cmd)
	return cmd
}

func (o *options) dead(ctx context.Context, relay *relayclient.Client, feed, delivery string, output *format) error {
	all, err := relay.DeadLetters(ctx, feed, delivery, 0)
	for err == nil && all.Next > 0 {
		var more desk.DeadLetters
		if more, err = relay.DeadLetters(ctx, feed, delivery, all.Next); err == nil {
			all.Letters, all.Next = append(all.Letters, more.Letters...), more.Next
		}
	}
	if err != nil {
		return noDelivery(err, feed, delivery)
	}
	if *output != asTable {
		return output.document(o.Out, all)
	}
	if len(all.Letters) == 0 {
		fmt.Fprintf(o.ErrOut, "Delivery %s of %s has no dead letters.\n", oneLine(delivery), oneLine(feed))
		return nil
	}
	rows := [][]string{{"OBJECT", "VERSION", "SINCE", "AGAIN", "REASON"}}
	for _, l := range all.Letters {
		again := ""
		if l.Queued {
			again = "queued"
		}
		rows = append(rows, []string{l.Object, stamp(l.Version), stamp(l.At), again, l.Reason})
	}
	return table(o.Out, rows)
}

func redeliverCommand(o *options) *cobra.Command {
	return &cobra.Command{
		Use:   "redeliver FEED DELIVERY",
		Short: "Deliver again what a delivery of an import could not hand on",
		Long: `Have our relay try all dead letters of a delivery again, soon and in their order. What is
still not taken is a dead letter again, with the new reason.`,
		Example:           `  kubectl certlink feed redeliver from-bravo siem`,
		Args:              cobra.ExactArgs(2),
		ValidArgsFunction: o.completeDeliveries(),
		RunE: o.atRelay(defaultTimeout, func(ctx context.Context, relay *relayclient.Client, args []string) error {
			said, err := relay.Redeliver(ctx, args[0], args[1])
			if err != nil {
				return noDelivery(err, args[0], args[1])
			}
			_, err = fmt.Fprintf(o.Out, "%d objects are delivered again: see kubectl certlink feed dead %s %s\n", said.Queued, oneLine(args[0]), oneLine(args[1]))
			return err
		}),
	}
}

func noDelivery(err error, feed, delivery string) error {
	if relayclient.IsStatus(err, 404) {
		return fmt.Errorf("our relay has no import %q with a delivery %q to a webhook or a TAXII collection: see spec.import.deliveries of the SharedFeed", feed, delivery)
	}
	return err
}
