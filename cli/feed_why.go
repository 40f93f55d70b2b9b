// SPDX-FileCopyrightText: The certlink authors
// SPDX-License-Identifier: Apache-2.0

package cli

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/certlink/certlink/internal/relayclient"
	"github.com/certlink/certlink/relay/desk"
)

func whyCommand(o *options) *cobra.Command {
	var output format
	cmd := &cobra.Command{
		Use:   "why OBJECT PEER",
		Short: "Say why an object reached a peer, or did not",
		Long: `Say for each feed of ours what was decided about an object, a STIX identifier, for a
peer: shared, held or not decided yet, for each version of the object, for which
reason and on which evidence, how far it has come, and whether the peer refused it.`,
		Example: `  kubectl certlink feed why indicator--8e2e2d2b-17d4-4cbf-938f-98ee46b3cd3f bravo`,
		Args:    cobra.ExactArgs(2),
		ValidArgsFunction: func(cmd *cobra.Command, args []string, prefix string) ([]string, cobra.ShellCompDirective) {
			if len(args) != 1 {
				return nil, cobra.ShellCompDirectiveNoFileComp
			}
			return o.completePeers(cmd, nil, prefix)
		},
		RunE: o.atRelay(defaultTimeout, func(ctx context.Context, relay *relayclient.Client, args []string) error {
			return o.why(ctx, relay, args[0], args[1], &output)
		}),
	}
	output.addTo(cmd)
	return cmd
}

func (o *options) why(ctx context.Context, relay *relayclient.Client, object, peer string, output *format) error {
	said, err := relay.Why(ctx, object, peer)
	if relayclient.IsStatus(err, 404) {
		return fmt.Errorf("our relay has no peer %q: see kubectl get pcert", peer)
	}
	if err != nil {
		return err
	}
	if *output != asTable {
		return output.document(o.Out, said)
	}
	return o.printWhy(said)
}

func (o *options) printWhy(said desk.Why) error {
	if len(said.Feeds) == 0 {
		fmt.Fprintf(o.ErrOut, "No feed of ours names %s or holds %s.\n", oneLine(said.Peer), oneLine(said.Object))
		return nil
	}
	rows := [][]string{{"FEED", "SOURCE", "VERSION", "OUTCOME", "SINCE", "WHY"}}
	for _, f := range said.Feeds {
		if len(f.Versions) == 0 {
			rows = append(rows, []string{f.Feed, "", "", "Absent", "", or(f.Stops, "no source of the feed holds the object")})
		}
		for _, v := range f.Versions {
			since := v.AddedAt
			if v.Outcome == desk.Shared {
				since = v.SharedAt
			}
			why := v.Message + delivered(v)
			if f.Stops != "" {
				why = f.Stops + " (" + why + ")"
			}
			rows = append(rows, []string{f.Feed, v.Source, stamp(v.Version), string(v.Outcome), stamp(since), why})
		}
	}
	return table(o.Out, rows)
}

// delivered says how far a version has come, and on what the decision rests.
func delivered(v desk.WhyVersion) string {
	var told strings.Builder
	if len(v.Evidence) > 0 {
		told.WriteString("; evidence " + oneLine(string(v.Evidence)))
	}
	if !v.DecidedAt.IsZero() {
		told.WriteString("; decided at " + stamp(v.DecidedAt))
	}
	if v.Redacted {
		told.WriteString("; leaves redacted")
	}
	if !v.Until.IsZero() {
		told.WriteString("; until " + stamp(v.Until))
	}
	switch v.Delivery {
	case desk.Waiting:
		told.WriteString("; the peer has not read it yet")
	case desk.HandedOut:
		told.WriteString("; handed out, in a page that may not have come to its end")
	case desk.Sent:
		told.WriteString("; sent by " + stamp(v.DeliveredAt))
	case desk.CameBack:
		told.WriteString("; sent, and the peer came back with a later position at " + stamp(v.DeliveredAt))
	case desk.Receipted:
		told.WriteString("; received, by the peer's signed receipt of " + stamp(v.DeliveredAt))
	}
	if v.Refused != "" {
		told.WriteString("; refused by the peer: " + oneLine(v.Refused) + " at " + stamp(v.RefusedAt))
	}
	return told.String()
}

// stamp is a time as STIX writes it; empty for none.
func stamp(t time.Time) string {
	if t.IsZero() {
		return ""
	}
	return t.UTC().Format("2006-01-02T15:04:05.000Z")
}

func or(first, second string) string {
	if first != "" {
		return first
	}
	return second
}
