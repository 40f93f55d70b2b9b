// SPDX-FileCopyrightText: The certlink authors
// SPDX-License-Identifier: Apache-2.0

package cli

import (
	"context"
	"errors"
	"fmt"
	"strconv"

	"github.com/spf13/cobra"

	"github.com/certlink/certlink/internal/relayclient"
	"github.com/certlink/certlink/relay/desk"
)

func journalDoubtsCommand(o *options) *cobra.Command {
	var output format
	cmd := &cobra.Command{
		Use:   "doubts HOTLINE",
		Short: "Show what speaks against the peer's journal: two histories, or one that was set back",
		Long: `Show what speaks against the peer's journal of a hotline. Each is kept with both
checkpoints, as the peer signed them, and the certificates of the signer (-o json), until
journal settle, over restarts of our relay.`,
		Example:           `  kubectl certlink journal doubts to-bravo -o json > evidence.json`,
		Args:              cobra.ExactArgs(1),
		ValidArgsFunction: o.completeHotlines,
		RunE: o.atRelay(defaultTimeout, func(ctx context.Context, relay *relayclient.Client, args []string) error {
			return o.journalDoubts(ctx, relay, args[0], &output)
		}),
	}
	output.addTo(cmd)
	return cmd
}

func (o *options) journalDoubts(ctx context.Context, relay *relayclient.Client, hotline string, output *format) error {
	list, err := relay.JournalDoubts(ctx, hotline)
	if err != nil {
		return noHotline(err, hotline)
	}
	if *output != asTable {
		return output.document(o.Out, list)
	}
	return o.printDoubts(list.Doubts)
}

func (o *options) printDoubts(list []desk.JournalDoubt) error {
	if len(list) == 0 {
		fmt.Fprintln(o.ErrOut, "Nothing speaks against the peer's journal.")
		return nil
	}
	rows := [][]string{{"SINCE", "WHAT", "HELD", "SHOWN", "SETTLED", "BY"}}
	for _, d := range list {
		settled := "no"
		if !d.SettledAt.IsZero() {
			settled = clock(d.SettledAt)
		}
		rows = append(rows, []string{clock(d.At), d.Kind, decimal(d.Held.Size), decimal(d.Shown.Size), settled, d.SettledBy})
	}
	return table(o.Out, rows)
}

func journalSettleCommand(o *options) *cobra.Command {
	var reason string
	cmd := &cobra.Command{
		Use:   "settle HOTLINE",
		Short: "End the doubts about the peer's journal, once they were cleared with the peer",
		Long: `End what journal doubts shows as open. Save the evidence before (journal doubts -o json),
and compare with the peer over another channel. Who settled it and why becomes an act in
our journal. What is doubted again later is kept again.`,
		Example:           `  kubectl certlink journal settle to-bravo --reason "telephone with bravo's chief: their test relay had the key"`,
		Args:              cobra.ExactArgs(1),
		ValidArgsFunction: o.completeHotlines,
		RunE: o.atRelay(defaultTimeout, func(ctx context.Context, relay *relayclient.Client, args []string) error {
			return o.journalSettle(ctx, relay, args[0], reason)
		}),
	}
	cmd.Flags().StringVar(&reason, "reason", "", "what was found out, and with whom: one line")
	_ = cmd.MarkFlagRequired("reason")
	return cmd
}

func (o *options) journalSettle(ctx context.Context, relay *relayclient.Client, hotline, reason string) error {
	list, err := relay.SettleDoubts(ctx, hotline, desk.SettleDoubtsRequest{Reason: reason})
	if relayclient.IsStatus(err, 404) {
		return errors.New("our relay has no hotline " + strconv.Quote(hotline) + ", or nothing is doubted there: see journal doubts")
	}
	if err != nil {
		return err
	}
	return o.printDoubts(list.Doubts)
}
