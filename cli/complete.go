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
)

// completion is quick or not at all: somebody waits with a finger on the key.
const completionTime = 3 * time.Second

type candidates func(ctx context.Context, s *session) []string

// completeFlags gives each flag that names an object what completes it, wherever it stands.
// Words that were typed before are no arguments of a flag.
func (o *options) completeFlags(cmd *cobra.Command) {
	for flag, completion := range map[string]cobra.CompletionFunc{
		"namespace": o.completeNamespaces, "local-cert": o.completeLocalCERTs, "officer": o.completeOfficers, "peer": o.completePeers,
		"hotline": o.completeHotlines, "message": o.completeMessages, "conversation": o.completeMessages, "reply-to": o.completeReceived,
		"about": o.completeSent,
	} {
		// The error says that this command has no such flag, or only that of a command above.
		_ = cmd.RegisterFlagCompletionFunc(flag, func(cmd *cobra.Command, _ []string, prefix string) ([]string, cobra.ShellCompDirective) {
			return completion(cmd, nil, prefix)
		})
	}
	for _, below := range cmd.Commands() {
		o.completeFlags(below)
	}
}

// completeThen completes a second argument by what the first one names.
func (o *options) completeThen(first cobra.CompletionFunc, second func(of string) candidates) cobra.CompletionFunc {
	return func(cmd *cobra.Command, args []string, prefix string) ([]string, cobra.ShellCompDirective) {
		if len(args) != 1 {
			return first(cmd, args, prefix)
		}
		return o.complete(cmd, nil, prefix, second(args[0]))
	}
}

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

func (o *options) completeLocalCERTs(cmd *cobra.Command, _ []string, prefix string) ([]string, cobra.ShellCompDirective) {
	return o.complete(cmd, nil, prefix, func(ctx context.Context, s *session) []string {
		var list v1alpha1.LocalCERTList
		_ = s.client.List(ctx, &list, client.InNamespace(s.namespace))
		names := make([]string, 0, len(list.Items))
		for _, item := range list.Items {
			names = append(names, item.Name+"\t"+item.Spec.Identity.TrustDomain)
		}
		return names
	})
}

func (o *options) completeOfficers(cmd *cobra.Command, _ []string, prefix string) ([]string, cobra.ShellCompDirective) {
	return o.complete(cmd, nil, prefix, func(ctx context.Context, s *session) []string {
		cert, err := s.ours(ctx)
		if err != nil {
			return nil
		}
		names := make([]string, 0, len(cert.Spec.Desk.Officers))
		for _, officer := range cert.Spec.Desk.Officers {
			names = append(names, officer.Name+"\t"+officer.DisplayName)
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

// completeImports offers imports, and behind one its deliveries.
func (o *options) completeImports(cmd *cobra.Command, args []string, prefix string) ([]string, cobra.ShellCompDirective) {
	return o.complete(cmd, args, prefix, func(ctx context.Context, s *session) []string {
		var names []string
		s.feeds(ctx, func(feed v1alpha1.SharedFeed) {
			if feed.Spec.Import != nil {
				names = append(names, feed.Name)
			}
		})
		return names
	})
}

func (o *options) completeDeliveries() cobra.CompletionFunc {
	return o.completeThen(o.completeImports, func(of string) candidates {
		return func(ctx context.Context, s *session) []string {
			var names []string
			s.feeds(ctx, func(feed v1alpha1.SharedFeed) {
				if feed.Name != of || feed.Spec.Import == nil {
					return
				}
				for _, d := range feed.Spec.Import.Deliveries {
					names = append(names, d.Name)
				}
			})
			return names
		}
	})
}

func (o *options) completeNotifiers() cobra.CompletionFunc {
	return o.completeThen(o.completeHotlines, func(of string) candidates {
		return func(ctx context.Context, s *session) []string {
			var hotline v1alpha1.Hotline
			_ = s.client.Get(ctx, client.ObjectKey{Namespace: s.namespace, Name: of}, &hotline)
			names := make([]string, 0, len(hotline.Spec.Notifiers))
			for _, n := range hotline.Spec.Notifiers {
				names = append(names, n.Name)
			}
			return names
		}
	})
}
