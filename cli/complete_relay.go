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

// asking is candidates that our relay knows; none when it cannot be asked.
func asking(ask func(ctx context.Context, relay *relayclient.Client) []string) candidates {
	return func(ctx context.Context, s *session) []string {
		relay, done, err := s.relay(ctx)
		if err != nil {
			return nil
		}
		defer done()
		return ask(ctx, relay)
	}
}

func (o *options) completeTerms() cobra.CompletionFunc {
	return o.completeThen(o.completeHotlines, func(of string) candidates {
		return asking(func(ctx context.Context, relay *relayclient.Client) []string { return termsOf(ctx, relay, of) })
	})
}

// termsOf are the terms of a hotline's glossary.
func termsOf(ctx context.Context, relay *relayclient.Client, hotline string) []string {
	g, err := relay.Glossary(ctx, hotline)
	if err != nil {
		return nil
	}
	names := make([]string, 0, len(g.Terms))
	for _, t := range g.Terms {
		names = append(names, t.ID+"\t"+stateOf(t.State))
	}
	return names
}

func (o *options) completeAttachments() cobra.CompletionFunc {
	return o.completeThen(o.completeMessages, func(of string) candidates {
		return asking(func(ctx context.Context, relay *relayclient.Client) []string { return filesOf(ctx, relay, of) })
	})
}

// filesOf are the names of the files of a message.
func filesOf(ctx context.Context, relay *relayclient.Client, id string) []string {
	m, err := relay.Find(ctx, "", id)
	if err != nil {
		return nil
	}
	names := make([]string, 0, len(m.Attachments))
	for _, a := range m.Attachments {
		names = append(names, oneLine(a.Name)+fmt.Sprintf("\t%d bytes", a.Size))
	}
	return names
}

func (o *options) completeDrafts(cmd *cobra.Command, args []string, prefix string) ([]string, cobra.ShellCompDirective) {
	return o.complete(cmd, args, prefix, asking(waitingDrafts))
}

// waitingDrafts are the ids of what waits for its release.
func waitingDrafts(ctx context.Context, relay *relayclient.Client) []string {
	page, err := relay.Drafts(ctx, "", false, 0)
	if err != nil {
		return nil
	}
	return idsOf(page.Messages)
}

func (o *options) completeSent(cmd *cobra.Command, args []string, prefix string) ([]string, cobra.ShellCompDirective) {
	return o.completeIDs(cmd, args, prefix, relayclient.Out)
}

func (o *options) completeReceived(cmd *cobra.Command, args []string, prefix string) ([]string, cobra.ShellCompDirective) {
	return o.completeIDs(cmd, args, prefix, relayclient.In)
}

func (o *options) completeMessages(cmd *cobra.Command, args []string, prefix string) ([]string, cobra.ShellCompDirective) {
	return o.completeIDs(cmd, args, prefix, "")
}

func (o *options) completeIDs(cmd *cobra.Command, args []string, prefix, direction string) ([]string, cobra.ShellCompDirective) {
	return o.complete(cmd, args, prefix, asking(func(ctx context.Context, relay *relayclient.Client) []string {
		page, err := relay.List(ctx, relayclient.Selection{Direction: direction, Limit: 50})
		if err != nil {
			return nil
		}
		return idsOf(page.Messages)
	}))
}

// idsOf are the ids of messages, each with what tells people which it is.
func idsOf(messages []desk.Message) []string {
	ids := make([]string, 0, len(messages))
	for _, m := range messages {
		ids = append(ids, m.ID+"\t"+oneLine(m.Precedence+" "+peerName(m)+": "+subject(m)))
	}
	return ids
}
