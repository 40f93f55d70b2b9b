// SPDX-FileCopyrightText: The certlink authors
// SPDX-License-Identifier: Apache-2.0

package cli

import (
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"strconv"

	"github.com/spf13/cobra"

	"github.com/certlink/certlink/internal/relayclient"
	"github.com/certlink/certlink/relay/desk"
)

func journalCommand(o *options) *cobra.Command {
	return group(&cobra.Command{
		Use:   "journal",
		Short: "Verify our journal of a hotline, and prove messages of ours to others",
	}, journalVerifyCommand(o), journalHeadCommand(o), journalProveCommand(o), journalActsCommand(o), journalDoubtsCommand(o), journalSettleCommand(o))
}

func journalVerifyCommand(o *options) *cobra.Command {
	var output format
	cmd := &cobra.Command{
		Use:   "verify [HOTLINE]",
		Short: "Compare a journal with all that was signed and stored, and name the first damage",
		Long: `Compare our journal of a hotline, or of each, from its first entry with every checkpoint
that our relay signed, with the hashes of its tree, and with the messages that are stored.
An entry or message that was edited, removed or inserted is named. The peer is asked for the
newest checkpoint of ours that it holds, and that is compared, too. The command fails if a
journal is not whole, or not what the peer holds; not if the peer cannot be asked.`,
		Example: `  kubectl certlink journal verify
  kubectl certlink journal verify to-bravo -o json`,
		Args:              cobra.MaximumNArgs(1),
		ValidArgsFunction: o.completeHotlines,
		RunE: o.atRelay(longTimeout, func(ctx context.Context, relay *relayclient.Client, args []string) error {
			return o.journalVerify(ctx, relay, args, &output)
		}),
	}
	output.addTo(cmd)
	return cmd
}

func (o *options) journalVerify(ctx context.Context, relay *relayclient.Client, hotlines []string, output *format) error {
	if len(hotlines) == 0 {
		now, err := relay.Report(ctx)
		if err != nil {
			return err
		}
		for _, h := range now.Hotlines {
			hotlines = append(hotlines, h.Name)
		}
	}
	checks, bad := []desk.JournalCheck{}, 0
	for _, name := range hotlines {
		check, err := relay.VerifyJournal(ctx, name)
		if err != nil {
			return noHotline(err, name)
		}
		if check.State != desk.JournalWhole {
			bad++
		}
		checks = append(checks, check)
	}
	if err := o.printChecks(checks, output); err != nil {
		return err
	}
	if bad > 0 {
		return fmt.Errorf("%d of %d journals are not whole: see docs/journal.md for what to do", bad, len(checks))
	}
	return nil
}

func (o *options) printChecks(checks []desk.JournalCheck, output *format) error {
	if *output != asTable {
		return output.document(o.Out, checks)
	}
	rows := [][]string{{"HOTLINE", "STATE", "ENTRIES", "PROVEN", "MESSAGES", "RECEIPTS", "CHECKPOINTS", "NEWEST"}}
	for _, c := range checks {
		rows = append(rows, []string{c.Hotline, c.State, decimal(c.Size), decimal(c.Proven), decimal(c.Messages), decimal(c.Receipts), decimal(c.Checkpoints), stamp(c.At)})
	}
	if err := table(o.Out, rows); err != nil {
		return err
	}
	for _, c := range checks {
		name := oneLine(c.Hotline)
		if c.Damage != nil {
			fmt.Fprintf(o.Out, "\n%s is damaged, first at %s\n", name, oneLine(c.Damage.String()))
		}
		if c.State == desk.JournalUnproven {
			fmt.Fprintf(o.Out, "\n%s: entries from %d on are signed by a certificate that our CA does not vouch for\n", name, c.Proven)
		}
		if c.ExpiredSigners > 0 || c.UnknownSigners > 0 {
			fmt.Fprintf(o.Out, "\n%s: of the checkpoints, %d are by a signer that has expired since, and %d by one that our CA does not vouch for now\n", name, c.ExpiredSigners, c.UnknownSigners)
		}
		if w := c.Witness; w != nil && w.State == desk.PeerAgrees {
			fmt.Fprintf(o.Out, "\n%s: the peer holds a checkpoint over %d entries, which is a state of this journal\n", name, w.Size)
		} else if w != nil {
			fmt.Fprintf(o.Out, "\n%s: compared with the peer: %s: %s\n", name, oneLine(w.State), oneLine(w.Reason))
		}
		if c.Before > 0 {
			fmt.Fprintf(o.Out, "\n%s: %d messages are from before the journal began and not covered\n", name, c.Before)
		}
	}
	return nil
}

func journalHeadCommand(o *options) *cobra.Command {
	var output format
	cmd := &cobra.Command{
		Use:   "head HOTLINE",
		Short: "Show the newest checkpoint of our journal of a hotline",
		Long: `Show the newest checkpoint of our journal of a hotline. With -o json also as it was
signed (C2SP tlog-checkpoint). Keep it elsewhere: what it covers cannot be changed any more
without notice.`,
		Example:           `  kubectl certlink journal head to-bravo -o json`,
		Args:              cobra.ExactArgs(1),
		ValidArgsFunction: o.completeHotlines,
		RunE: o.atRelay(defaultTimeout, func(ctx context.Context, relay *relayclient.Client, args []string) error {
			return o.journalHead(ctx, relay, args[0], &output)
		}),
	}
	output.addTo(cmd)
	return cmd
}

func (o *options) journalHead(ctx context.Context, relay *relayclient.Client, hotline string, output *format) error {
	head, err := relay.JournalHead(ctx, hotline)
	if err != nil {
		return noHotline(err, hotline)
	}
	if *output != asTable {
		return output.document(o.Out, head)
	}
	return table(o.Out, [][]string{
		{"Hotline:", head.Hotline},
		{"Peer:", head.Peer},
		{"Origin:", head.Origin},
		{"Entries:", decimal(head.Size)},
		{"Root:", base64.StdEncoding.EncodeToString(head.Root)},
		{"Stored:", clock(head.At)},
	})
}

func noHotline(err error, name string) error {
	switch {
	case relayclient.IsStatus(err, 404):
		return errors.New("our relay has no hotline " + strconv.Quote(name) + ": see kubectl get hotline")
	case relayclient.IsStatus(err, 429):
		return errors.New("the journal of " + strconv.Quote(name) + " is being verified: try again in a while")
	}
	return err
}

func decimal(n int64) string { return strconv.FormatInt(n, 10) }
