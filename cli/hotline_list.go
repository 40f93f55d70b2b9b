// SPDX-FileCopyrightText: The certlink authors
// SPDX-License-Identifier: Apache-2.0

package cli

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/spf13/cobra"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/certlink/certlink/api/v1alpha1"
	"github.com/certlink/certlink/internal/relayclient"
	"github.com/certlink/certlink/relay/desk"
	"github.com/certlink/certlink/relay/message"
)

// inboxFlags select messages of hotlines.
type inboxFlags struct {
	sent, received, all, unread bool
	peer, conversation, kind    string
	limit                       int
	output                      format
}

func (f *inboxFlags) addTo(cmd *cobra.Command) {
	flags := cmd.Flags()
	flags.BoolVar(&f.unread, "unread", false, "only received messages that nobody here acknowledged")
	flags.StringVar(&f.peer, "peer", "", "only messages with this peer: our name for it, or its trust domain")
	flags.IntVar(&f.limit, "limit", 50, "largest number of messages")
	f.output.addTo(cmd)
}

func inboxCommand(o *options) *cobra.Command {
	f := &inboxFlags{}
	cmd := &cobra.Command{
		Use:   "inbox",
		Short: "What waits for an officer here first, by precedence; then what was read",
		Long: `List received messages: first those that nobody here acknowledged, the most urgent first and
of these the oldest, then those that were read, the newest first. ACKNOWLEDGE says who read
a message, or when somebody should have, by the deadlines of our own Hotline; ANSWER whether
one of our last 200 answers is to it. NOTE says what is an EXERCISE, and what is SUSPICIOUS.`,
		Example: `  kubectl certlink hotline inbox
  kubectl certlink hotline inbox --unread --peer bravo`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			ctx, cancel := o.within(cmd, defaultTimeout)
			defer cancel()
			if f.limit < 1 {
				return fmt.Errorf("--limit %d is less than 1", f.limit)
			}
			return o.withRelay(ctx, func(s *session, relay *relayclient.Client) error {
				if err := f.knowsPeer(ctx, s, relay); err != nil {
					return err
				}
				return o.inbox(ctx, relay, f)
			})
		},
	}
	f.addTo(cmd)
	cmd.Flags().BoolVar(&f.sent, "sent", false, "messages of ours instead, as hotline list --sent")
	cmd.Flags().BoolVar(&f.all, "all", false, "messages of both directions instead, as hotline list")
	cmd.MarkFlagsMutuallyExclusive("sent", "all")
	cmd.MarkFlagsMutuallyExclusive("sent", "unread")
	return cmd
}

func (o *options) inbox(ctx context.Context, relay *relayclient.Client, f *inboxFlags) error {
	list := func(s relayclient.Selection) (desk.MessageList, error) { return relay.List(ctx, s) }
	if f.sent || f.all {
		return o.list(f, list)
	}
	waiting := *f
	waiting.received, waiting.unread = true, true
	messages, err := waiting.collect(list)
	if err != nil {
		return err
	}
	urgentFirst(messages)
	unread := len(messages)
	if room := f.limit - unread; room > 0 && !f.unread {
		read := *f
		read.received = true
		older, err := read.collect(list)
		if err != nil {
			return err
		}
		older = slices.DeleteFunc(older, func(m desk.Message) bool { return waitsForReader(m) || forRelays(m) })
		messages = append(messages, older[:min(room, len(older))]...)
	}
	if f.output != asTable {
		return f.output.document(o.Out, desk.MessageList{Messages: messages})
	}
	answers, err := list(relayclient.Selection{Peer: f.peer, Direction: relayclient.Out, Kind: string(message.Answer), Limit: 200})
	if err != nil {
		return err
	}
	return o.printInbox(messages, unread, answersTo(answers.Messages))
}

// knowsPeer keeps a name that is misspelt from being taken for a peer without messages. One that
// is gone has left its own behind. Who may not list PeerCERTs is shown what the relay has.
func (f *inboxFlags) knowsPeer(ctx context.Context, s *session, relay *relayclient.Client) error {
	if f.peer == "" {
		return nil
	}
	var peers v1alpha1.PeerCERTList
	listed := s.client.List(ctx, &peers, client.InNamespace(s.namespace)) == nil
	if !listed || slices.ContainsFunc(peers.Items, func(p v1alpha1.PeerCERT) bool { return p.Name == f.peer || p.Spec.Identity.TrustDomain == f.peer }) {
		return nil
	}
	left, err := relay.List(ctx, relayclient.Selection{Peer: f.peer, Limit: 1})
	if err != nil || len(left.Messages) > 0 {
		return err
	}
	return fmt.Errorf("our relay has no peer %q, and no messages of one: see kubectl get pcert", f.peer)
}

// urgentFirst sorts by precedence, and then by age, the oldest first.
func urgentFirst(messages []desk.Message) {
	rank := func(m desk.Message) int {
		if i := slices.Index(precedences, m.Precedence); i >= 0 {
			return i
		}
		return len(precedences)
	}
	slices.SortStableFunc(messages, func(a, b desk.Message) int {
		return cmp.Or(cmp.Compare(rank(a), rank(b)), a.StoredAt.Compare(b.StoredAt))
	})
}

// collect reads pages until it has as many messages as the user wants.
func (f *inboxFlags) collect(list func(relayclient.Selection) (desk.MessageList, error)) ([]desk.Message, error) {
	selection := relayclient.Selection{
		Peer: f.peer, Conversation: f.conversation, Kind: f.kind, Unread: f.unread, Limit: min(f.limit, 200),
	}
	switch {
	case f.sent:
		selection.Direction = relayclient.Out
	case f.received, f.unread:
		selection.Direction = relayclient.In
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

// waitsForReader: acknowledgements and line checks are for relays, not for officers.
func waitsForReader(m desk.Message) bool {
	return m.Direction != relayclient.Out && !forRelays(m) && m.State != stateAcknowledged
}

func forRelays(m desk.Message) bool {
	return m.Kind == string(message.ACK) || m.Kind == string(message.LineCheckKind)
}

func messagesCommand(o *options) *cobra.Command {
	f := &inboxFlags{}
	cmd := &cobra.Command{
		Use:   "list",
		Short: "List messages of both directions, the newest first",
		Example: `  kubectl certlink hotline list --sent --peer bravo
  kubectl certlink hotline list --conversation 01J... -o json
  kubectl certlink hotline list --kind PRESERVE`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			ctx, cancel := o.within(cmd, defaultTimeout)
			defer cancel()
			if f.limit < 1 {
				return fmt.Errorf("--limit %d is less than 1", f.limit)
			}
			return o.withRelay(ctx, func(s *session, relay *relayclient.Client) error {
				if err := f.knowsPeer(ctx, s, relay); err != nil {
					return err
				}
				if f.conversation != "" && f.peer == "" {
					of, err := conversationOf(ctx, relay, f.conversation)
					if err != nil {
						return err
					}
					f.peer, f.conversation = of.Peer, of.Conversation
				}
				return o.list(f, func(s relayclient.Selection) (desk.MessageList, error) { return relay.List(ctx, s) })
			})
		},
	}
	f.addTo(cmd)
	flags := cmd.Flags()
	flags.BoolVar(&f.sent, "sent", false, "only messages of ours")
	flags.BoolVar(&f.received, "received", false, "only messages of the peers")
	flags.StringVar(&f.conversation, "conversation", "", "only those of a conversation: its id, or that of a message in it")
	flags.StringVar(&f.kind, "kind", "", "only messages of this kind")
	cmd.MarkFlagsMutuallyExclusive("sent", "received")
	cmd.MarkFlagsMutuallyExclusive("sent", "unread")
	words(cmd, "kind", kinds()...)
	return cmd
}

func kinds() []string {
	names := make([]string, len(message.Kinds))
	for i, k := range message.Kinds {
		names[i] = string(k)
	}
	return names
}

func (o *options) list(f *inboxFlags, list func(relayclient.Selection) (desk.MessageList, error)) error {
	messages, err := f.collect(list)
	if err != nil {
		return err
	}
	if f.output != asTable {
		return f.output.document(o.Out, desk.MessageList{Messages: messages})
	}
	return o.printMessages(messages)
}

// conversationOf finds a message of a conversation by the id of either.
func conversationOf(ctx context.Context, relay *relayclient.Client, id string) (desk.Message, error) {
	found, err := relay.Find(ctx, "", id)
	if errors.Is(err, relayclient.ErrNotFound) {
		return desk.Message{}, fmt.Errorf("no message %q is here: give the id of a message of the conversation, or name the peer with --peer", id)
	}
	return found, err
}

func (o *options) printMessages(messages []desk.Message) error {
	if len(messages) == 0 {
		fmt.Fprintln(o.ErrOut, "No messages.")
		return nil
	}
	rows := [][]string{{"ID", "DIRECTION", "PEER", "SERIAL", "PRECEDENCE", "KIND", "TLP", "STATE", "NOTE", "AGE", "SUBJECT"}}
	for _, m := range messages {
		rows = append(rows, []string{m.ID, m.Direction, peerName(m), serialOf(m), m.Precedence, m.Kind, m.TLP, m.State, notes(m), since(o.now(), m.StoredAt), subject(m)})
	}
	return table(o.Out, rows)
}

func (o *options) printInbox(messages []desk.Message, unread int, answers map[string]string) error {
	overdue := 0
	for _, m := range messages[:unread] {
		if o.late(m.AcknowledgeDue) {
			overdue++
		}
	}
	switch {
	case unread == 0:
		fmt.Fprintln(o.Out, "Nothing waits for an officer here.")
	case overdue == 0:
		fmt.Fprintf(o.Out, "%s an officer here, none is overdue.\n", plural(unread, "message waits for", "messages wait for"))
	default:
		fmt.Fprintf(o.Out, "%s an officer here, %d OVERDUE. Read with: kubectl certlink hotline show ID, then ack ID.\n",
			plural(unread, "message waits for", "messages wait for"), overdue)
	}
	if len(messages) == 0 {
		return nil
	}
	fmt.Fprintln(o.Out)
	rows := [][]string{{"PRECEDENCE", "FROM", "KIND", "AGE", "ACKNOWLEDGE", "ANSWER", "NOTE", "ID", "SUBJECT"}}
	for _, m := range messages {
		rows = append(rows, []string{m.Precedence, peerName(m), m.Kind, since(o.now(), m.StoredAt), o.acknowledgement(m), o.answerOf(m, answers), notes(m), m.ID, subject(m)})
	}
	return table(o.Out, rows)
}

func plural(n int, one, more string) string {
	if n == 1 {
		return "1 " + one
	}
	return fmt.Sprint(n, " ", more)
}
