// SPDX-FileCopyrightText: The certlink authors
// SPDX-License-Identifier: Apache-2.0

package cli

import (
	"context"
	"fmt"
	"strconv"

	"github.com/spf13/cobra"

	"github.com/certlink/certlink/internal/relayclient"
	"github.com/certlink/certlink/relay/desk"
	"github.com/certlink/certlink/relay/glossary"
)

func glossaryCommand(o *options) *cobra.Command {
	return group(&cobra.Command{
		Use:   "glossary",
		Short: "What words mean on a hotline: propose terms, agree or disagree",
	}, glossaryListCommand(o), glossaryShowCommand(o), proposeCommand(o),
		answerCommand(o, glossary.Agrees), answerCommand(o, glossary.Disagrees), glossaryExportCommand(o))
}

func glossaryListCommand(o *options) *cobra.Command {
	var output format
	cmd := &cobra.Command{
		Use:               "list HOTLINE",
		Short:             "List the terms of a hotline with the names that both sides give them",
		Args:              cobra.ExactArgs(1),
		ValidArgsFunction: o.completeHotlines,
		RunE: func(cmd *cobra.Command, args []string) error {
			return o.withGlossary(cmd, args[0], func(_ context.Context, _ *session, _ *relayclient.Client, g desk.Glossary) error {
				if output != asTable {
					return output.document(o.Out, g)
				}
				return o.printGlossary(g)
			})
		},
	}
	output.addTo(cmd)
	return cmd
}

// withGlossary runs fn with the glossary of a hotline.
func (o *options) withGlossary(cmd *cobra.Command, hotline string, fn func(context.Context, *session, *relayclient.Client, desk.Glossary) error) error {
	ctx, cancel := o.within(cmd, defaultTimeout)
	defer cancel()
	return o.withRelay(ctx, func(s *session, relay *relayclient.Client) error {
		g, err := relay.Glossary(ctx, hotline)
		if err != nil {
			return noHotline(err, hotline)
		}
		return fn(ctx, s, relay, g)
	})
}

func (o *options) printGlossary(g desk.Glossary) error {
	if len(g.Terms) == 0 {
		fmt.Fprintln(o.ErrOut, "No terms.")
		return nil
	}
	rows := [][]string{{"TERM", "STATE", "OURS", "THEIRS", "NOTES"}}
	for _, t := range g.Terms {
		odd := ""
		if len(t.Notes) > 0 {
			odd = strconv.Itoa(len(t.Notes)) + ", see glossary show"
		}
		rows = append(rows, []string{t.ID, stateOf(t.State), nameOf(t.Ours), nameOf(t.Theirs), odd})
	}
	if err := table(o.Out, rows); err != nil {
		return err
	}
	if g.Dropped > 0 {
		fmt.Fprintf(o.Out, "\nMore than %d terms of one side: further ones are left out.\n", glossary.MaxTerms)
	}
	if g.Truncated {
		fmt.Fprintf(o.Out, "\nMore than %d statements of one side: the oldest are left out.\n", glossary.MaxStatements)
	}
	return nil
}

// nameOf is a definition in a cell.
func nameOf(d *glossary.Definition) string {
	if d == nil {
		return ""
	}
	return fmt.Sprintf("%s (%s, version %d)", d.Name, d.Language, d.Version)
}

// stateOf says how a term stands, and who must do something.
func stateOf(s glossary.State) string {
	words := map[glossary.State]string{
		glossary.Agreed: "agreed", glossary.Disagreed: "DISAGREED",
		glossary.ProposedByUs: "proposed, waits for them", glossary.ProposedByThem: "proposed, waits for US",
		glossary.ProposedByBoth: "proposed by both, each waits", glossary.Unclear: "unclear",
	}[s]
	if words == "" {
		return string(s)
	}
	return words
}

func glossaryShowCommand(o *options) *cobra.Command {
	var output format
	cmd := &cobra.Command{
		Use:               "show HOTLINE TERM",
		Short:             "Show what both sides say of a term",
		Args:              cobra.ExactArgs(2),
		ValidArgsFunction: o.completeTerms(),
		RunE: func(cmd *cobra.Command, args []string) error {
			return o.withGlossary(cmd, args[0], func(_ context.Context, _ *session, _ *relayclient.Client, g desk.Glossary) error {
				t, err := termOf(g, args[1])
				if err != nil {
					return err
				}
				if output != asTable {
					return output.document(o.Out, t)
				}
				return o.printTerm(t)
			})
		},
	}
	output.addTo(cmd)
	return cmd
}

func termOf(g desk.Glossary, id string) (glossary.Term, error) {
	for _, t := range g.Terms {
		if t.ID == id {
			return t, nil
		}
	}
	return glossary.Term{}, fmt.Errorf("the glossary of %q has no term %q: see kubectl certlink glossary list %s", g.Hotline, id, g.Hotline)
}

func (o *options) printTerm(t glossary.Term) error {
	if err := table(o.Out, [][]string{{"Term:", t.ID}, {"State:", stateOf(t.State)}}); err != nil {
		return err
	}
	for _, side := range []struct {
		whose, by string
		d         *glossary.Definition
		answer    *glossary.Answer
	}{{"Ours", "their", t.Ours, t.TheirAnswer}, {"Theirs", "our", t.Theirs, t.OurAnswer}} {
		if side.d == nil {
			fmt.Fprintf(o.Out, "\n%s: no definition\n", side.whose)
			continue
		}
		fmt.Fprintf(o.Out, "\n%s: %s, %s, message %s\n%s\n", side.whose, oneLine(nameOf(side.d)), clock(side.d.At), oneLine(side.d.Message), indented(paragraph(side.d.Definition)))
		if side.answer == nil {
			fmt.Fprintf(o.Out, "   %s answer: none yet\n", side.by)
			continue
		}
		fmt.Fprintf(o.Out, "   %s answer: %s, %s, message %s\n", side.by, oneLine(side.answer.Position), clock(side.answer.At), oneLine(side.answer.Message))
	}
	for _, n := range t.Notes {
		fmt.Fprintf(o.Out, "\nNote: %s\n", oneLine(n))
	}
	return nil
}
