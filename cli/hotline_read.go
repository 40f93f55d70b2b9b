// SPDX-FileCopyrightText: The certlink authors
// SPDX-License-Identifier: Apache-2.0

package cli

import (
	"fmt"
	"io"

	"github.com/spf13/cobra"

	"github.com/certlink/certlink/internal/relayclient"
	"github.com/certlink/certlink/relay/desk"
)

// inboxFlags are those of hotline inbox.
type inboxFlags struct {
	sent, all, unread bool
	peer              string
	limit             int
	output            format
}

func inboxCommand(o *options) *cobra.Command {
	f := &inboxFlags{}
	cmd := &cobra.Command{
		Use:     "inbox",
		Aliases: []string{"list"},
		Short:   "List messages, the newest first",
		Example: `  kubectl certlink hotline inbox --unread
  kubectl certlink hotline inbox --sent --peer bravo.example -o json`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			ctx, cancel := o.within(cmd, defaultTimeout)
			defer cancel()
			if f.limit < 1 {
				return fmt.Errorf("--limit %d is less than 1", f.limit)
			}
			return o.withRelay(ctx, func(_ *session, relay *relayclient.Client) error {
				messages, err := f.collect(func(s relayclient.Selection) (desk.MessageList, error) { return relay.List(ctx, s) })
				if err != nil {
					return err
				}
				if f.output != asTable {
					return f.output.document(o.Out, desk.MessageList{Messages: messages})
				}
				return o.printMessages(messages)
			})
		},
	}
	flags := cmd.Flags()
	flags.BoolVar(&f.sent, "sent", false, "messages of ours instead of received ones")
	flags.BoolVar(&f.all, "all", false, "messages of both directions")
	flags.BoolVar(&f.unread, "unread", false, "only messages that nobody acknowledged")
	flags.StringVar(&f.peer, "peer", "", "only messages with this trust domain")
	flags.IntVar(&f.limit, "limit", 50, "largest number of messages")
	cmd.MarkFlagsMutuallyExclusive("sent", "all")
	f.output.addTo(cmd)
	return cmd
}

// collect reads pages until it has as many messages as the user wants.
func (f *inboxFlags) collect(list func(relayclient.Selection) (desk.MessageList, error)) ([]desk.Message, error) {
	selection := relayclient.Selection{Direction: relayclient.In, Peer: f.peer, Limit: min(f.limit, 200)}
	switch {
	case f.sent:
		selection.Direction = relayclient.Out
	case f.all:
		selection.Direction = ""
	}
	messages := []desk.Message{}
	for {
		page, err := list(selection)
		if err != nil {
			return nil, err
		}
		for _, m := range page.Messages {
			if f.unread && !waitsForReader(m) {
				continue
			}
			if messages = append(messages, m); len(messages) == f.limit {
				return messages, nil
			}
		}
		if page.Next == 0 || page.Next == selection.Before {
			return messages, nil
		}
		selection.Before = page.Next
	}
}

// waitsForReader: an acknowledgement is never acknowledged itself.
func waitsForReader(m desk.Message) bool {
	return m.Kind != "ACK" && m.State != stateAcknowledged
}

func (o *options) printMessages(messages []desk.Message) error {
	if len(messages) == 0 {
		fmt.Fprintln(o.ErrOut, "No messages.")
		return nil
	}
	rows := [][]string{{"ID", "DIRECTION", "PEER", "PRECEDENCE", "KIND", "TLP", "STATE", "AGE", "SUBJECT"}}
	for _, m := range messages {
		rows = append(rows, []string{m.ID, m.Direction, peerName(m), m.Precedence, m.Kind, m.TLP, m.State, since(o.now(), m.StoredAt), subject(m)})
	}
	return table(o.Out, rows)
}

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
		Long: `Show one message with the times of its receipt and acknowledgement. With -o json
or -o yaml also the signed forms (JWS, RFC 7515), for proof.`,
		Args:              cobra.ExactArgs(1),
		ValidArgsFunction: o.completeMessages,
		RunE: func(cmd *cobra.Command, args []string) error {
			ctx, cancel := o.within(cmd, defaultTimeout)
			defer cancel()
			return o.withRelay(ctx, func(_ *session, relay *relayclient.Client) error {
				message, err := relay.Find(ctx, "", args[0])
				if err != nil {
					return notFound(err, args[0], "inbox or outbox")
				}
				if output != asTable {
					return output.document(o.Out, message)
				}
				return printMessage(o.Out, message)
			})
		},
	}
	output.addTo(cmd)
	return cmd
}

func printMessage(out io.Writer, m desk.Message) error {
	from := "From"
	if m.Direction == relayclient.Out {
		from = "To"
	}
	rows := [][]string{
		{"Message:", m.ID},
		{from + ":", peerName(m) + " (" + m.Peer + ")"},
		{"Hotline:", m.Hotline},
		{"Officer:", m.Officer},
		{"Kind:", m.Kind},
		{"Precedence:", m.Precedence},
		{"TLP:", m.TLP},
		{"Serial:", fmt.Sprint(m.Serial)},
		{"Conversation:", m.Conversation},
	}
	if m.InReplyTo != "" {
		rows = append(rows, []string{"In reply to:", m.InReplyTo})
	}
	rows = append(rows, contentRows(m)...)
	rows = append(rows,
		[]string{"Written:", clock(m.CreatedAt)},
		[]string{"Stored:", clock(m.StoredAt)},
		[]string{"Receipt:", clock(m.ReceiptAt)},
		[]string{"State:", m.State},
	)
	if !m.AcknowledgedAt.IsZero() {
		rows = append(rows, []string{"Acknowledged:", clock(m.AcknowledgedAt) + " by " + m.AcknowledgedBy})
	}
	rows = append(rows, []string{"Language:", m.Language}, []string{"Subject:", m.Subject})
	if err := table(out, rows); err != nil {
		return err
	}
	if m.Text != "" {
		fmt.Fprintf(out, "\n%s\n", paragraph(m.Text))
	}
	for _, t := range m.Translations {
		fmt.Fprintf(out, "\nTranslation (%s), not authoritative:\n%s\n", oneLine(t.Language), paragraph(t.Text))
	}
	return nil
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
