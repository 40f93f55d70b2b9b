// SPDX-FileCopyrightText: The certlink authors
// SPDX-License-Identifier: Apache-2.0

package cli

import (
	"context"
	"strings"
	"time"

	"github.com/spf13/cobra"
	corev1 "k8s.io/api/core/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/certlink/certlink/api/v1alpha1"
	"github.com/certlink/certlink/internal/relayclient"
)

// completion is quick or not at all: somebody waits with a finger on the key.
const completionTime = 3 * time.Second

type candidates func(ctx context.Context, s *session) []string

// complete offers candidates for the first argument.
func (o *options) complete(cmd *cobra.Command, args []string, prefix string, of candidates) ([]string, cobra.ShellCompDirective) {
	if len(args) > 0 {
		return nil, cobra.ShellCompDirectiveNoFileComp
	}
	ctx, cancel := o.within(cmd, completionTime)
	defer cancel()
	s, err := o.session()
	if err != nil {
		return nil, cobra.ShellCompDirectiveError
	}
	var fitting []string
	for _, word := range of(ctx, s) {
		if strings.HasPrefix(word, prefix) {
			fitting = append(fitting, word)
		}
	}
	return fitting, cobra.ShellCompDirectiveNoFileComp
}

func (o *options) completeNamespaces(cmd *cobra.Command, _ []string, prefix string) ([]string, cobra.ShellCompDirective) {
	return o.complete(cmd, nil, prefix, func(ctx context.Context, s *session) []string {
		var list corev1.NamespaceList
		_ = s.client.List(ctx, &list)
		names := make([]string, 0, len(list.Items))
		for _, item := range list.Items {
			names = append(names, item.Name)
		}
		return names
	})
}

func (o *options) completeHotlines(cmd *cobra.Command, args []string, prefix string) ([]string, cobra.ShellCompDirective) {
	return o.complete(cmd, args, prefix, func(ctx context.Context, s *session) []string {
		var list v1alpha1.HotlineList
		_ = s.client.List(ctx, &list, client.InNamespace(s.namespace))
		names := make([]string, 0, len(list.Items))
		for _, item := range list.Items {
			names = append(names, item.Name+"\thotline to "+item.Spec.PeerRef.Name)
		}
		return names
	})
}

// feeds calls each with every SharedFeed of the namespace.
func (s *session) feeds(ctx context.Context, each func(v1alpha1.SharedFeed)) {
	var list v1alpha1.SharedFeedList
	_ = s.client.List(ctx, &list, client.InNamespace(s.namespace))
	for _, item := range list.Items {
		each(item)
	}
}

func (o *options) completeSources(cmd *cobra.Command, args []string, prefix string) ([]string, cobra.ShellCompDirective) {
	if len(args) > 0 {
		return nil, cobra.ShellCompDirectiveDefault
	}
	return o.complete(cmd, args, prefix, func(ctx context.Context, s *session) []string {
		var names []string
		s.feeds(ctx, func(feed v1alpha1.SharedFeed) { names = append(names, sources(feed)...) })
		return names
	})
}

func sources(feed v1alpha1.SharedFeed) []string {
	if feed.Spec.Export == nil {
		return nil
	}
	names := make([]string, 0, len(feed.Spec.Export.Sources))
	for _, source := range feed.Spec.Export.Sources {
		names = append(names, feed.Name+"."+source.Name)
	}
	return names
}

func (o *options) completeCollections(cmd *cobra.Command, args []string, prefix string) ([]string, cobra.ShellCompDirective) {
	return o.complete(cmd, args, prefix, func(ctx context.Context, s *session) []string {
		var names []string
		s.feeds(ctx, func(feed v1alpha1.SharedFeed) {
			if feed.Spec.Direction == v1alpha1.FeedImport {
				names = append(names, feed.Name)
			}
			names = append(names, sources(feed)...)
		})
		return names
	})
}

func (o *options) completeReceived(cmd *cobra.Command, args []string, prefix string) ([]string, cobra.ShellCompDirective) {
	return o.completeIDs(cmd, args, prefix, relayclient.In)
}

func (o *options) completeMessages(cmd *cobra.Command, args []string, prefix string) ([]string, cobra.ShellCompDirective) {
	return o.completeIDs(cmd, args, prefix, "")
}

func (o *options) completeIDs(cmd *cobra.Command, args []string, prefix, direction string) ([]string, cobra.ShellCompDirective) {
	return o.complete(cmd, args, prefix, func(ctx context.Context, s *session) []string {
		relay, done, err := s.relay(ctx)
		if err != nil {
			return nil
		}
		defer done()
		page, err := relay.List(ctx, relayclient.Selection{Direction: direction, Limit: 50})
		if err != nil {
			return nil
		}
		ids := make([]string, 0, len(page.Messages))
		for _, m := range page.Messages {
			ids = append(ids, m.ID+"\t"+oneLine(m.Precedence+" "+peerName(m)+": "+subject(m)))
		}
		return ids
	})
}
