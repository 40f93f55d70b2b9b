// SPDX-FileCopyrightText: The certlink authors
// SPDX-License-Identifier: Apache-2.0

package cli

import (
	"context"
	"fmt"
	"io"
	"strings"

	"github.com/spf13/cobra"

	"github.com/certlink/certlink/internal/relayclient"
	"github.com/certlink/certlink/relay/desk"
	"github.com/certlink/certlink/relay/message"
)

func peerName(m desk.Message) string {
	if m.PeerName != "" {
		return m.PeerName
	}
	return m.Peer
}

func subject(m desk.Message) string {
	if m.Subject == "" && m.InReplyTo != "" {
		return "to " + m.InReplyTo
	}
	return m.Subject
}

func showCommand(o *options) *cobra.Command {
	var output format
	cmd := &cobra.Command{
		Use:   "show ID",
		Short: "Show one message, its receipt and its acknowledgement",
		Long: `Show one message with its receipt and acknowledgement, how its deadlines stand, who released
it, and what its sender said about it later. With -o json or -o yaml also the receipt, the
peer's proof of what it said and the certificates that signed it.`,
		Args:              cobra.ExactArgs(1),
		ValidArgsFunction: o.completeMessages,
		RunE: o.atRelay(defaultTimeout, func(ctx context.Context, relay *relayclient.Client, args []string) error {
			message, err := relay.Find(ctx, "", args[0])
			if err != nil {
				return notFound(err, args[0], "inbox or outbox")
			}
			if output != asTable {
				return output.document(o.Out, message)
			}
			return o.printMessage(o.Out, message)
		}),
	}
	output.addTo(cmd)
	return cmd
}

func (o *options) printMessage(out io.Writer, m desk.Message) error {
	from := "From"
	if m.Direction == relayclient.Out {
		from = "To"
	}
	rows := exerciseRows(m, "")
	if m.Standing != "" {
		rows = append(rows, []string{"CAUTION:", "this message was " + strings.ToUpper(m.Standing) + " by its sender: see below"})
	}
	rows = append(rows, [][]string{
		{"Message:", m.ID},
		{from + ":", peerName(m) + " (" + m.Peer + ")"},
		{"Hotline:", m.Hotline},
		{"Officer:", m.Officer},
		{"Kind:", kindOf(m)},
		{"Precedence:", m.Precedence},
		{"TLP:", m.TLP},
		{"Serial:", serialOf(m)},
		{"Conversation:", m.Conversation},
	}...)
	if m.InReplyTo != "" {
		rows = append(rows, []string{"In reply to:", m.InReplyTo})
	}
	rows = append(rows, contentRows(m)...)
	rows = append(rows, attachmentRows(m)...)
	rows = append(rows, o.timeRows(m)...)
	for _, k := range m.Marks {
		rows = append(rows, []string{"Mark:", markedBy(k)})
	}
	for _, r := range m.Remarks {
		rows = append(rows, []string{"Remark:", r})
	}
	for _, w := range m.Warnings {
		rows = append(rows, []string{"Warning:", w})
	}
	rows = append(rows, []string{"Language:", m.Language}, []string{"Subject:", m.Subject})
	if err := table(out, rows); err != nil {
		return err
	}
	if m.Text != "" {
		fmt.Fprintf(out, "\n%s\n", paragraph(m.Text))
	}
	for _, t := range m.Translations {
		printTranslation(out, t)
	}
	return nil
}

// serialOf is the number of a message in its direction; a draft has none.
func serialOf(m desk.Message) string {
	if m.Serial == 0 {
		return ""
	}
	return decimal(m.Serial)
}

func printTranslation(out io.Writer, t message.Translation) {
	by := oneLine(t.Language)
	if t.Translator != "" {
		by += ", by " + oneLine(t.Translator)
	}
	if t.Machine {
		by += ", by a machine"
	}
	fmt.Fprintf(out, "\nTranslation (%s), not authoritative:\n", by)
	if t.Subject != "" {
		fmt.Fprintf(out, "Subject: %s\n", oneLine(t.Subject))
	}
	fmt.Fprintln(out, paragraph(t.Text))
}

// timeRows are the times of a message and how its deadlines stand.
func (o *options) timeRows(m desk.Message) [][]string {
	rows := [][]string{{"Written:", clock(m.CreatedAt)}, {"Stored:", clock(m.StoredAt)}}
	for _, r := range m.ReleasedBy {
		rows = append(rows, []string{"Released:", clock(r.At) + " by " + r.Officer})
	}
	if m.Direction == relayclient.Out && m.ReceiptAt.IsZero() {
		rows = append(rows, []string{"Receipt:", o.deadline(m.ReceiptDue)})
	} else {
		rows = append(rows, []string{"Receipt:", clock(m.ReceiptAt)})
	}
	rows = append(rows, []string{"State:", m.State})
	switch {
	case !m.AcknowledgedAt.IsZero():
		rows = append(rows, []string{"Acknowledged:", clock(m.AcknowledgedAt) + " by " + m.AcknowledgedBy})
	case o.acknowledgement(m) != "":
		rows = append(rows, []string{"Acknowledge:", o.acknowledgement(m)})
	}
	return rows
}

func ackCommand(o *options) *cobra.Command {
	var request desk.AckRequest
	var output format
	cmd := &cobra.Command{
		Use:   "ack ID",
		Short: "Acknowledge a received message: a duty officer has read it",
		Long: `Acknowledge a received message. The acknowledgement is signed with our relay's
signing key, names the duty officer and travels like any other message.`,
		Args:              cobra.ExactArgs(1),
		ValidArgsFunction: o.completeReceived,
		RunE: func(cmd *cobra.Command, args []string) error {
			ctx, cancel := o.within(cmd, defaultTimeout)
			defer cancel()
			return o.withRelay(ctx, func(s *session, relay *relayclient.Client) error {
				var err error
				if request.Officer, err = s.officer(ctx, request.Officer); err != nil {
					return err
				}
				message, err := relay.Find(ctx, relayclient.In, args[0])
				if err != nil {
					return notFound(err, args[0], "the inbox")
				}
				ack, err := relay.Acknowledge(ctx, message.Peer, message.ID, request)
				if err != nil {
					return err
				}
				if output != asTable {
					return output.document(o.Out, ack)
				}
				fmt.Fprintf(o.Out, "%s acknowledged to %s as %q by message %s\n", message.ID, oneLine(peerName(message)), oneLine(request.Officer), ack.ID)
				return nil
			})
		},
	}
	cmd.Flags().StringVar(&request.Officer, "officer", "", "who read it (default: your user name at the API server)")
	cmd.Flags().StringVar(&request.Text, "text", "", "a remark for the sender")
	output.addTo(cmd)
	return cmd
}
