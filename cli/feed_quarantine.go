// SPDX-FileCopyrightText: The certlink authors
// SPDX-License-Identifier: Apache-2.0

package cli

import (
	"context"
	"errors"
	"fmt"
	"strconv"

	"github.com/spf13/cobra"

	"github.com/certlink/certlink/internal/relayclient"
	"github.com/certlink/certlink/relay/desk"
)

// quarantineFlags are those of feed quarantine.
type quarantineFlags struct {
	show         string
	accept, drop int64
	all          bool
	officer      string
	output       format
}

func quarantineCommand(o *options) *cobra.Command {
	f := &quarantineFlags{}
	cmd := &cobra.Command{
		Use:   "quarantine FEED",
		Short: "List, show, accept or drop what a peer sent and our relay does not take as it is",
		Long: `List what an import holds in quarantine: objects that are stored with the same id and
version and other content (Forked), that speak for an identity of another peer
(CreatorNotAllowed), or that go on where a revocation has ended an object
(AfterRevocation).

--show prints the content of the items of one object, byte for byte. --accept puts an
item into the import, in the place of the version that is stored, which is kept in its
stead; --drop forgets it, and the same content is not held again. Who did so, and when,
stays on record: see --all.`,
		Example: `  kubectl certlink feed quarantine from-bravo
  kubectl certlink feed quarantine from-bravo --show indicator--8e2e2d2b-17d4-4cbf-938f-98ee46b3cd3f
  kubectl certlink feed quarantine from-bravo --drop 17`,
		Args:              cobra.ExactArgs(1),
		ValidArgsFunction: o.completeImports,
		RunE: func(cmd *cobra.Command, args []string) error {
			ctx, cancel := o.within(cmd, defaultTimeout)
			defer cancel()
			return o.withRelay(ctx, func(s *session, relay *relayclient.Client) error {
				if f.accept > 0 || f.drop > 0 {
					officer, err := s.officer(ctx, f.officer)
					if err != nil {
						return err
					}
					return o.settle(ctx, relay, args[0], officer, f)
				}
				return o.quarantine(ctx, relay, args[0], f)
			})
		},
	}
	flags := cmd.Flags()
	flags.StringVar(&f.show, "show", "", "print the items of this object, a STIX identifier, with their content")
	flags.Int64Var(&f.accept, "accept", 0, "put the item with this number into the import")
	flags.Int64Var(&f.drop, "drop", 0, "drop the item with this number")
	flags.BoolVar(&f.all, "all", false, "list also what was accepted and dropped")
	flags.StringVar(&f.officer, "officer", "", "who decides (default: your user name at the API server)")
	cmd.MarkFlagsMutuallyExclusive("show", "accept", "drop")
	f.output.addTo(cmd)
	return cmd
}

func (o *options) quarantine(ctx context.Context, relay *relayclient.Client, feed string, f *quarantineFlags) error {
	found, err := wholeQuarantine(ctx, relay, desk.QuarantineQuery{Feed: feed, Object: f.show, Settled: f.all})
	if err != nil {
		return noImport(err, feed)
	}
	if f.output != asTable {
		return f.output.document(o.Out, found)
	}
	if len(found.Items) == 0 {
		fmt.Fprintf(o.ErrOut, "Nothing is in quarantine in %s.\n", oneLine(feed))
		return nil
	}
	if f.show != "" {
		return o.showItems(found.Items)
	}
	rows := [][]string{{"ITEM", "OBJECT", "VERSION", "REASON", "SINCE", "STATE", "BY"}}
	for _, i := range found.Items {
		rows = append(rows, []string{strconv.FormatInt(i.Item, 10), i.Object, stamp(i.Version), i.Reason, stamp(i.Since), i.State, i.SettledBy})
	}
	if found.Overflow > 0 {
		fmt.Fprintf(o.ErrOut, "The quarantine is or was full: %d times something found no room. Accept or drop items.\n", found.Overflow)
	}
	return table(o.Out, rows)
}

// wholeQuarantine reads all pages.
func wholeQuarantine(ctx context.Context, relay *relayclient.Client, q desk.QuarantineQuery) (desk.Quarantine, error) {
	all, err := relay.Quarantine(ctx, q)
	for err == nil && all.Next > 0 {
		var more desk.Quarantine
		q.After = all.Next
		if more, err = relay.Quarantine(ctx, q); err == nil {
			all.Items, all.Next = append(all.Items, more.Items...), more.Next
		}
	}
	return all, err
}

// showItems prints the content of items, a line before each. The line is no JSON, on
// the other stream, so that the content can be piped on.
func (o *options) showItems(items []desk.QuarantineItem) error {
	for _, i := range items {
		fmt.Fprintf(o.ErrOut, "Item %d, %s, since %s: %s\n", i.Item, i.Reason, stamp(i.Since), i.State)
		if _, err := o.Out.Write(append(i.Content, '\n')); err != nil {
			return err
		}
	}
	return nil
}

func (o *options) settle(ctx context.Context, relay *relayclient.Client, feed, officer string, f *quarantineFlags) error {
	request := desk.SettleRequest{Feed: feed, Item: f.accept, Accept: true, Officer: officer}
	if f.drop > 0 {
		request.Item, request.Accept = f.drop, false
	}
	item, err := relay.Settle(ctx, request)
	switch {
	case relayclient.IsStatus(err, 409):
		return fmt.Errorf("item %d of %q is settled already: see kubectl certlink feed quarantine %s --all", request.Item, feed, feed)
	case relayclient.IsStatus(err, 404):
		return fmt.Errorf("there is no item %d in the quarantine of %q: list them with kubectl certlink feed quarantine %s", request.Item, feed, feed)
	case err != nil:
		return err
	}
	if f.output != asTable {
		return f.output.document(o.Out, item)
	}
	_, err = fmt.Fprintf(o.Out, "item %d of %s, %s: %s\n", item.Item, oneLine(feed), oneLine(item.Object), item.State)
	return err
}

func noImport(err error, feed string) error {
	if relayclient.IsStatus(err, 404) {
		return errors.New("our relay has no import " + strconv.Quote(feed) + ": see kubectl get sfeed")
	}
	return err
}
