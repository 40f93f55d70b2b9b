// SPDX-FileCopyrightText: The certlink authors
// SPDX-License-Identifier: Apache-2.0

package cli

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"os"

	"github.com/spf13/cobra"
	"golang.org/x/term"

	"github.com/certlink/certlink/internal/relayclient"
)

func feedCommand(o *options) *cobra.Command {
	return group(&cobra.Command{
		Use:   "feed",
		Short: "Push STIX objects into a feed, list what feeds hold, ask why an object was shared or held, watch pulls",
	}, pushCommand(o), listCommand(o), whyCommand(o), watchCommand(o), quarantineCommand(o), deadCommand(o), redeliverCommand(o))
}

// isTerminal tells whether a person sits at the other end of a stream.
func isTerminal(stream any) bool {
	file, ok := stream.(*os.File)
	return ok && term.IsTerminal(int(file.Fd()))
}

// listFlags are those of feed list.
type listFlags struct {
	limit  int
	output format
}

func listCommand(o *options) *cobra.Command {
	f := &listFlags{}
	cmd := &cobra.Command{
		Use:   "list [FEED | FEED.SOURCE]",
		Short: "List the collections of our relay, or the objects of one",
		Long: `List the collections of our relay: the sources of our exports (FEED.SOURCE), into
which tools push, and the imports (FEED). With a name, list the objects of that
collection, in the order in which they came.

-o json prints the objects as a STIX bundle, each byte for byte as it is stored.`,
		Example: `  kubectl certlink feed list
  kubectl certlink feed list from-bravo -o json > from-bravo.json`,
		Args:              cobra.MaximumNArgs(1),
		ValidArgsFunction: o.completeCollections,
		RunE: func(cmd *cobra.Command, args []string) error {
			ctx, cancel := o.within(cmd, defaultTimeout)
			defer cancel()
			if f.limit < 0 {
				return fmt.Errorf("--limit %d is less than 0", f.limit)
			}
			return o.withRelay(ctx, func(_ *session, relay *relayclient.Client) error {
				if len(args) == 0 {
					return o.listCollections(ctx, relay, &f.output)
				}
				return o.listObjects(ctx, relay, args[0], f)
			})
		},
	}
	cmd.Flags().IntVar(&f.limit, "limit", 0, "largest number of objects (default: all)")
	f.output.addTo(cmd)
	return cmd
}

func (o *options) listCollections(ctx context.Context, relay *relayclient.Client, output *format) error {
	collections, err := relay.Collections(ctx)
	if err != nil {
		return err
	}
	if *output != asTable {
		if collections == nil {
			collections = []relayclient.Collection{}
		}
		return output.document(o.Out, collections)
	}
	if len(collections) == 0 {
		fmt.Fprintln(o.ErrOut, "No collections: no SharedFeed of this namespace is in use by the relay.")
		return nil
	}
	rows := [][]string{{"COLLECTION", "READ", "WRITE", "TITLE", "ID"}}
	for _, c := range collections {
		rows = append(rows, []string{name(c), yes(c.CanRead), yes(c.CanWrite), c.Title, c.ID})
	}
	return table(o.Out, rows)
}

func name(c relayclient.Collection) string {
	if c.Alias != "" {
		return c.Alias
	}
	return c.ID
}

func yes(fact bool) string {
	if fact {
		return "yes"
	}
	return "no"
}

// listObjects prints page after page: a collection may be larger than memory.
func (o *options) listObjects(ctx context.Context, relay *relayclient.Client, collection string, f *listFlags) error {
	var print printer = &objectTable{out: o.Out}
	switch f.output {
	case asJSON:
		print = &bundleWriter{out: o.Out}
	case asYAML:
		return fmt.Errorf("objects are printed with -o json: YAML would not keep them byte for byte")
	}
	next, count := "", 0
	for {
		page, err := relay.Objects(ctx, collection, next, 0)
		if relayclient.IsStatus(err, 404) {
			return fmt.Errorf("there is no collection %q: list them with kubectl certlink feed list", collection)
		}
		if err != nil {
			return err
		}
		for _, object := range page.Objects {
			if f.limit > 0 && count == f.limit {
				return print.end()
			}
			if err := print.object(object); err != nil {
				return err
			}
			count++
		}
		if next = page.Next; next == "" {
			return print.end()
		}
	}
}

// printer prints objects one after the other.
type printer interface {
	object(raw json.RawMessage) error
	end() error
}

// bundleWriter prints a STIX bundle. Its id is the same each time: a bundle has
// no meaning of its own (STIX 2.1 section 8).
type bundleWriter struct {
	out   io.Writer
	began bool
}

const bundleHead = `{"type":"bundle","id":"bundle--00000000-0000-4000-8000-000000000000","objects":[`

func (b *bundleWriter) object(raw json.RawMessage) error {
	before := ",\n"
	if !b.began {
		before, b.began = bundleHead+"\n", true
	}
	if _, err := io.WriteString(b.out, before); err != nil {
		return err
	}
	_, err := b.out.Write(raw)
	return err
}

func (b *bundleWriter) end() error {
	tail := "\n]}\n"
	if !b.began {
		tail = bundleHead + "]}\n"
	}
	_, err := io.WriteString(b.out, tail)
	return err
}

// objectTable prints a line for each object. Its columns have fixed widths,
// because the longest cell is not known before the end.
type objectTable struct {
	out   io.Writer
	began bool
}

func (t *objectTable) object(raw json.RawMessage) error {
	var o struct {
		ID       string `json:"id"`
		Modified string `json:"modified"`
		Created  string `json:"created"`
		Name     string `json:"name"`
	}
	if err := json.Unmarshal(raw, &o); err != nil {
		return fmt.Errorf("reading an object of the collection: %w", err)
	}
	if !t.began {
		t.began = true
		if err := t.line("ID", "VERSION", "NAME"); err != nil {
			return err
		}
	}
	version := o.Modified
	if version == "" {
		version = o.Created
	}
	return t.line(o.ID, version, o.Name)
}

func (t *objectTable) line(id, version, name string) error {
	_, err := fmt.Fprintf(t.out, "%-60s %-27s %s\n", oneLine(id), oneLine(version), oneLine(name))
	return err
}

func (t *objectTable) end() error { return nil }
