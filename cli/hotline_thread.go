// SPDX-FileCopyrightText: The certlink authors
// SPDX-License-Identifier: Apache-2.0

package cli

import (
	"context"
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/certlink/certlink/internal/relayclient"
	"github.com/certlink/certlink/relay/desk"
	"github.com/certlink/certlink/relay/message"
)

// threadFlags are those of hotline thread.
type threadFlags struct {
	peer   string
	brief  bool
	limit  int
	output format
}

func threadCommand(o *options) *cobra.Command {
	f := &threadFlags{}
	cmd := &cobra.Command{
		Use:   "thread ID",
		Short: "Show a conversation in order, with receipts, acknowledgements and deadlines",
		Long: `Show a conversation, given by its id or by that of any message in it, in the order in which
our relay stored its messages: who said what, when the other side had it, who read it, which
deadlines passed, who released it, and what was corrected or cancelled since.`,
		Args:              cobra.ExactArgs(1),
		ValidArgsFunction: o.completeMessages,
		RunE: o.atRelay(defaultTimeout, func(ctx context.Context, relay *relayclient.Client, args []string) error {
			return o.thread(ctx, relay, args[0], f)
		}),
	}
	flags := cmd.Flags()
	flags.StringVar(&f.peer, "peer", "", "the peer, where ID is a conversation that no message gave its id")
	flags.BoolVar(&f.brief, "brief", false, "leave the texts out")
	flags.IntVar(&f.limit, "limit", 200, "largest number of messages, the newest")
	f.output.addTo(cmd)
	return cmd
}

func (o *options) thread(ctx context.Context, relay *relayclient.Client, id string, f *threadFlags) error {
	if f.limit < 1 {
		return fmt.Errorf("--limit %d is less than 1", f.limit)
	}
	selection := inboxFlags{peer: f.peer, conversation: id, limit: f.limit}
	if f.peer == "" {
		of, err := conversationOf(ctx, relay, id)
		if err != nil {
			return err
		}
		selection.peer, selection.conversation = of.Peer, of.Conversation
	}
	messages, err := selection.collect(func(s relayclient.Selection) (desk.MessageList, error) { return relay.List(ctx, s) })
	if err != nil {
		return err
	}
	slices.Reverse(messages)
	if f.output != asTable {
		return f.output.document(o.Out, desk.MessageList{Messages: messages})
	}
	if len(messages) == 0 {
		return fmt.Errorf("no conversation %q with %q is here", id, f.peer)
	}
	return o.printThread(messages, f.brief)
}

func (o *options) printThread(messages []desk.Message, brief bool) error {
	first := messages[0]
	fmt.Fprintf(o.Out, "Conversation %s with %s (%s), %s\n", oneLine(first.Conversation), oneLine(peerName(first)), oneLine(first.Peer),
		plural(len(messages), "message", "messages"))
	newest := slices.Clone(messages)
	slices.Reverse(newest)
	answers := answersTo(newest)
	for _, m := range messages {
		fmt.Fprintln(o.Out)
		if err := o.printTurn(o.Out, m, brief, answers); err != nil {
			return err
		}
	}
	return nil
}

// printTurn prints one message of a conversation.
func (o *options) printTurn(out io.Writer, m desk.Message, brief bool, answers map[string]string) error {
	way, who := "<-", peerName(m)
	if m.Direction == relayclient.Out {
		way, who = "->", "us"
	}
	fmt.Fprintf(out, "%s %s  %s %s of %s (%s), TLP:%s\n", way, clock(m.StoredAt), oneLine(m.Precedence), oneLine(kindOf(m)), oneLine(who), oneLine(or(m.Officer, "no officer")), oneLine(m.TLP))
	rows := append(exerciseRows(m, "   "), []string{"   Message:", fmt.Sprintf("%s, serial %d", m.ID, m.Serial)})
	add := func(name, value string) {
		if value != "" {
			rows = append(rows, []string{"   " + name + ":", value})
		}
	}
	add("In reply to", m.InReplyTo)
	for _, r := range m.References {
		add("About", r.ID)
	}
	add("Receipt", o.receiptOf(m))
	add("Acknowledgement", o.acknowledgement(m))
	if !m.AnswerBy.IsZero() {
		add("Answer hoped for", clock(m.AnswerBy))
	}
	if by := answers[m.ID]; by != "" {
		add("Answered", "by "+by)
	}
	for _, r := range m.ReleasedBy {
		add("Released", r.Officer+" on "+clock(r.At))
	}
	for _, k := range m.Marks {
		add("Mark", strings.ToUpper(k.Kind[:1])+markedBy(k)[1:])
	}
	for _, r := range m.Remarks {
		add("Remark", r)
	}
	add("Subject", m.Subject)
	if err := table(out, rows); err != nil {
		return err
	}
	if !brief && m.Text != "" && (m.Kind != string(message.ACK) || strings.TrimSpace(m.Text) != "") {
		fmt.Fprintf(out, "\n%s\n", indented(paragraph(m.Text)))
	}
	return nil
}

// indented sets a text in from the margin, so that it cannot pass for what we say.
func indented(text string) string {
	return "   | " + strings.ReplaceAll(strings.TrimRight(text, "\n"), "\n", "\n   | ")
}
