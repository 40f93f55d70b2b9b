// SPDX-FileCopyrightText: The certlink authors
// SPDX-License-Identifier: Apache-2.0

package cli

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"strings"

	"github.com/spf13/cobra"

	"github.com/certlink/certlink/internal/relayclient"
	"github.com/certlink/certlink/relay/desk"
)

// shortHash is how much of a draft's hash people type.
const shortHash = 8

func draftsCommand(o *options) *cobra.Command {
	var all bool
	var output format
	cmd := &cobra.Command{
		Use:   "drafts [HOTLINE]",
		Short: "List messages that wait for their release",
		Example: `  kubectl certlink hotline drafts
  kubectl certlink hotline drafts bravo --all -o json`,
		Args:              cobra.MaximumNArgs(1),
		ValidArgsFunction: o.completeHotlines,
		RunE: func(cmd *cobra.Command, args []string) error {
			ctx, cancel := o.within(cmd, defaultTimeout)
			defer cancel()
			hotline := strings.Join(args, "")
			return o.withRelay(ctx, func(_ *session, relay *relayclient.Client) error {
				list, err := allDrafts(ctx, relay, hotline, all)
				if err != nil {
					return noHotline(err, hotline)
				}
				if output != asTable {
					return output.document(o.Out, list)
				}
				return o.printDrafts(list.Messages)
			})
		},
	}
	cmd.Flags().BoolVar(&all, "all", false, "also those that were sent, rejected or withdrawn, or have expired")
	output.addTo(cmd)
	return cmd
}

func allDrafts(ctx context.Context, relay *relayclient.Client, hotline string, all bool) (desk.MessageList, error) {
	out := desk.MessageList{Messages: []desk.Message{}}
	for before := int64(0); ; {
		page, err := relay.Drafts(ctx, hotline, all, before)
		if err != nil {
			return desk.MessageList{}, err
		}
		out.Messages = append(out.Messages, page.Messages...)
		if page.Next == 0 || page.Next == before {
			return out, nil
		}
		before = page.Next
	}
}

func (o *options) printDrafts(drafts []desk.Message) error {
	if len(drafts) == 0 {
		fmt.Fprintln(o.ErrOut, "No drafts.")
		return nil
	}
	rows := [][]string{{"ID", "PEER", "PRECEDENCE", "KIND", "TLP", "STATE", "RELEASES", "DRAFTER", "AGE", "HASH", "SUBJECT"}}
	for _, m := range drafts {
		d := m.Draft
		if d == nil {
			continue
		}
		rows = append(rows, []string{
			m.ID, peerName(m), m.Precedence, m.Kind, m.TLP, d.State, fmt.Sprintf("%d/%d", len(d.Releases), d.Quorum),
			d.Drafter.Officer, since(o.now(), d.Drafter.At), short(d.Hash), m.Subject,
		})
	}
	return table(o.Out, rows)
}

func short(hash string) string { return hash[:min(len(hash), shortHash)] }

func draftCommand(o *options) *cobra.Command {
	return group(&cobra.Command{
		Use:   "draft",
		Short: "Show, edit, release, reject or withdraw a message that waits for its release",
	}, draftShowCommand(o), draftEditCommand(o), draftReleaseCommand(o),
		draftEndCommand(o, relayclient.Reject, "Reject a draft, with a reason: it is not sent"),
		draftEndCommand(o, relayclient.Withdraw, "Withdraw a draft of one's own: it is not sent"))
}

// onDraft finds a draft and does something about it.
func (o *options) onDraft(cmd *cobra.Command, id string, fn func(context.Context, *relayclient.Client, desk.Message) error) error {
	ctx, cancel := o.within(cmd, defaultTimeout)
	defer cancel()
	return o.withRelay(ctx, func(_ *session, relay *relayclient.Client) error {
		m, err := relay.FindDraft(ctx, id)
		if errors.Is(err, relayclient.ErrNotFound) {
			return fmt.Errorf("there is no draft %q: list them with kubectl certlink hotline drafts --all", id)
		}
		if err != nil {
			return err
		}
		return fn(ctx, relay, m)
	})
}

func draftShowCommand(o *options) *cobra.Command {
	var output format
	cmd := &cobra.Command{
		Use:               "show ID",
		Short:             "Show a draft, its hash and who released it",
		Args:              cobra.ExactArgs(1),
		ValidArgsFunction: o.completeDrafts,
		RunE: func(cmd *cobra.Command, args []string) error {
			return o.onDraft(cmd, args[0], func(_ context.Context, _ *relayclient.Client, m desk.Message) error {
				return o.printDraft(m, output)
			})
		},
	}
	output.addTo(cmd)
	return cmd
}

func (o *options) printDraft(m desk.Message, output format) error {
	if output != asTable {
		return output.document(o.Out, m)
	}
	if d := m.Draft; d != nil {
		rows := [][]string{
			{"Draft:", d.State},
			{"Hash:", d.Hash},
			{"Drafter:", d.Drafter.Officer + " (" + d.Drafter.Identity + ")"},
			{"Releases:", fmt.Sprintf("%d of %d", len(d.Releases), d.Quorum)},
		}
		for _, r := range d.Releases {
			rows = append(rows, []string{"Released:", clock(r.At) + " by " + r.Officer + " (" + r.Identity + ")"})
		}
		if d.State == desk.DraftWaiting {
			rows = append(rows, []string{"Expires:", clock(d.ExpiresAt)})
		} else {
			rows = append(rows, []string{"Ended:", strings.TrimSpace(clock(d.EndedAt) + " " + d.EndedBy)}, []string{"Reason:", d.Reason})
		}
		if err := table(o.Out, rows); err != nil {
			return err
		}
		fmt.Fprintln(o.Out)
	}
	return o.printMessage(o.Out, m)
}

// printDrafted says what a message waits for that was not sent.
func (o *options) printDrafted(f *sendFlags, m desk.Message) error {
	d := m.Draft
	if err := o.printSent(f, m); err != nil || d == nil {
		return err
	}
	if d.State != desk.DraftWaiting {
		return fmt.Errorf("message %s was not sent: the draft is %s since %s (%s)", m.ID, d.State, clock(d.EndedAt), oneLine(d.Reason))
	}
	o.tellDrafted(f, m)
	if f.wait != "" {
		return fmt.Errorf("message %s is not sent yet, so no %s can come: it waits for its release", m.ID, f.wait)
	}
	return nil
}

// tellDrafted says who must release a message, and how.
func (o *options) tellDrafted(f *sendFlags, m desk.Message) {
	d := m.Draft
	who := "another officer"
	if d.DrafterMayRelease == "Allowed" {
		who = "an officer"
	}
	if d.Quorum > 1 {
		who = fmt.Sprintf("%d officers", d.Quorum)
		if d.DrafterMayRelease != "Allowed" {
			who = fmt.Sprintf("%d other officers", d.Quorum)
		}
	}
	o.tell(f, "%s is NOT sent yet: it waits for the release by %s until %s\n", m.ID, who, clock(d.ExpiresAt))
	o.tell(f, "They run: kubectl certlink hotline draft release %s    (hash %s)\n", m.ID, short(d.Hash))
}

func draftReleaseCommand(o *options) *cobra.Command {
	var read string
	var output format
	cmd := &cobra.Command{
		Use:   "release ID",
		Short: "Release a draft after reading it; the last release that is needed sends it",
		Long: `Print the whole draft and ask for the first characters of its hash, which says that it
was read. The relay takes the release for exactly this content: if the draft was
changed meanwhile, it refuses.`,
		Args:              cobra.ExactArgs(1),
		ValidArgsFunction: o.completeDrafts,
		RunE: func(cmd *cobra.Command, args []string) error {
			return o.onDraft(cmd, args[0], func(ctx context.Context, relay *relayclient.Client, m desk.Message) error {
				if err := o.confirm(m, read, output); err != nil {
					return err
				}
				released, err := relay.ActOnDraft(ctx, m.Peer, m.ID, relayclient.Release, desk.DraftAct{Hash: m.Draft.Hash})
				if err != nil {
					return err
				}
				if output != asTable {
					return output.document(o.Out, released)
				}
				if released.State == desk.StateDraft {
					fmt.Fprintf(o.Out, "%s released, %d of %d\n", released.ID, len(released.Draft.Releases), released.Draft.Quorum)
					return nil
				}
				fmt.Fprintf(o.Out, "%s released and stored on %s, serial %d\n", released.ID, clock(released.StoredAt), released.Serial)
				return nil
			})
		},
	}
	cmd.Flags().StringVar(&read, "yes-i-read", "", "first characters of the draft's hash, at least 8, instead of typing them")
	output.addTo(cmd)
	return cmd
}

// confirm shows a draft and has the officer say which content was read.
func (o *options) confirm(m desk.Message, read string, output format) error {
	if m.Draft == nil || len(m.Draft.Hash) < shortHash {
		return fmt.Errorf("the relay does not say what the content of draft %s is", m.ID)
	}
	if output == asTable {
		if err := o.printDraft(m, asTable); err != nil {
			return err
		}
	}
	if read == "" {
		fmt.Fprintf(o.ErrOut, "\nType the first %d characters of the hash to release this content to %s: ", shortHash, oneLine(peerName(m)))
		line, err := bufio.NewReader(io.LimitReader(o.In, 256)).ReadString('\n')
		if err != nil && !errors.Is(err, io.EOF) {
			return fmt.Errorf("reading your answer: %w", err)
		}
		read = strings.TrimSpace(line)
	}
	if len(read) < shortHash || !strings.HasPrefix(m.Draft.Hash, strings.ToLower(read)) {
		return fmt.Errorf("draft %s is not released: its hash does not begin with %q", m.ID, oneLine(read))
	}
	return nil
}

// draftEndCommand rejects or withdraws.
func draftEndCommand(o *options, act, what string) *cobra.Command {
	var reason string
	var output format
	cmd := &cobra.Command{
		Use:               act + " ID",
		Short:             what,
		Args:              cobra.ExactArgs(1),
		ValidArgsFunction: o.completeDrafts,
		RunE: func(cmd *cobra.Command, args []string) error {
			if act == relayclient.Reject && strings.TrimSpace(reason) == "" {
				return errors.New("--reason is missing: the drafter wants to know")
			}
			return o.onDraft(cmd, args[0], func(ctx context.Context, relay *relayclient.Client, m desk.Message) error {
				ended, err := relay.ActOnDraft(ctx, m.Peer, m.ID, act, desk.DraftAct{Reason: reason})
				if err != nil {
					return err
				}
				if output != asTable {
					return output.document(o.Out, ended)
				}
				fmt.Fprintf(o.Out, "%s is %s and will not be sent\n", ended.ID, strings.ToLower(ended.Draft.State))
				return nil
			})
		},
	}
	cmd.Flags().StringVar(&reason, "reason", "", "why, one line")
	output.addTo(cmd)
	return cmd
}
