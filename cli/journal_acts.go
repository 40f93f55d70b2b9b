// SPDX-FileCopyrightText: The certlink authors
// SPDX-License-Identifier: Apache-2.0

package cli

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/certlink/certlink/internal/relayclient"
	"github.com/certlink/certlink/relay/desk"
)

func journalActsCommand(o *options) *cobra.Command {
	var message string
	var output format
	cmd := &cobra.Command{
		Use:   "acts HOTLINE",
		Short: "List who drafted, released, sent and read what, as our journal has it",
		Long: `List the acts in our journal of a hotline, oldest first. Whether the journal is whole
says journal verify.`,
		Example: `  kubectl certlink journal acts bravo
  kubectl certlink journal acts bravo --message 01J... -o json`,
		Args:              cobra.ExactArgs(1),
		ValidArgsFunction: o.completeHotlines,
		RunE: o.atRelay(defaultTimeout, func(ctx context.Context, relay *relayclient.Client, args []string) error {
			acts, err := allActs(ctx, relay, args[0], message)
			if err != nil {
				return noHotline(err, args[0])
			}
			if output != asTable {
				return output.document(o.Out, desk.ActList{Acts: acts})
			}
			return o.printActs(acts)
		}),
	}
	cmd.Flags().StringVar(&message, "message", "", "only acts about the message, or draft, with this id")
	output.addTo(cmd)
	return cmd
}

func allActs(ctx context.Context, relay *relayclient.Client, hotline, message string) ([]desk.JournalAct, error) {
	acts := []desk.JournalAct{}
	for from := int64(0); ; {
		page, err := relay.Acts(ctx, hotline, message, from)
		if err != nil {
			return nil, err
		}
		acts = append(acts, page.Acts...)
		if page.Next <= from {
			return acts, nil
		}
		from = page.Next
	}
}

func (o *options) printActs(acts []desk.JournalAct) error {
	if len(acts) == 0 {
		fmt.Fprintln(o.ErrOut, "No acts.")
		return nil
	}
	rows := [][]string{{"ENTRY", "AT", "ACT", "MESSAGE", "BY", "DETAILS"}}
	for _, a := range acts {
		var details []string
		for _, name := range slices.Sorted(maps.Keys(a.Details)) {
			details = append(details, name+"="+a.Details[name])
		}
		rows = append(rows, []string{
			fmt.Sprint(a.Index), clock(a.At), a.Act, strings.TrimSpace(a.Direction + " " + a.Message), or(a.By, "relay"), strings.Join(details, " "),
		})
	}
	return table(o.Out, rows)
}
