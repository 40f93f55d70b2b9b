// SPDX-FileCopyrightText: The certlink authors
// SPDX-License-Identifier: Apache-2.0

package cli

import (
	"context"
	"encoding/csv"
	"encoding/xml"
	"fmt"
	"io"

	"github.com/spf13/cobra"

	"github.com/certlink/certlink/internal/relayclient"
	"github.com/certlink/certlink/relay/desk"
	"github.com/certlink/certlink/relay/glossary"
)

func glossaryExportCommand(o *options) *cobra.Command {
	kind := "tbx"
	agreed := false
	cmd := &cobra.Command{
		Use:   "export HOTLINE",
		Short: "Write the glossary for translators and their tools",
		Long: `Write the glossary to standard output, as TermBase eXchange (ISO 30042, the dialect
TBX-Core), which tools of translators read, or as comma-separated values. For JSON use
glossary list -o json.`,
		Example: `  kubectl certlink glossary export bravo > bravo.tbx
  kubectl certlink glossary export bravo --format csv --agreed`,
		Args:              cobra.ExactArgs(1),
		ValidArgsFunction: o.completeHotlines,
		RunE: func(cmd *cobra.Command, args []string) error {
			write := map[string]func(io.Writer, desk.Glossary) error{"tbx": writeTBX, "csv": writeCSV}[kind]
			if write == nil {
				return oneOf("format", kind, "tbx", "csv")
			}
			return o.withGlossary(cmd, args[0], func(_ context.Context, _ *session, _ *relayclient.Client, g desk.Glossary) error {
				if agreed {
					g.Terms = agreedOnly(g.Terms)
				}
				return write(o.Out, g)
			})
		},
	}
	cmd.Flags().StringVar(&kind, "format", kind, "tbx or csv")
	cmd.Flags().BoolVar(&agreed, "agreed", false, "only terms that both sides agree on")
	words(cmd, "format", "tbx", "csv")
	return cmd
}

func agreedOnly(terms []glossary.Term) []glossary.Term {
	var kept []glossary.Term
	for _, t := range terms {
		if t.State == glossary.Agreed {
			kept = append(kept, t)
		}
	}
	return kept
}

// The elements of TBX that a glossary takes.
type (
	tbx struct {
		XMLName xml.Name  `xml:"urn:iso:std:iso:30042:ed-2 tbx"`
		Type    string    `xml:"type,attr"`
		Style   string    `xml:"style,attr"`
		Lang    string    `xml:"http://www.w3.org/XML/1998/namespace lang,attr"`
		Source  string    `xml:"tbxHeader>fileDesc>sourceDesc>p"`
		Entries []concept `xml:"text>body>conceptEntry"`
	}
	concept struct {
		ID    string    `xml:"id,attr"`
		Notes []string  `xml:"note"`
		Langs []langSec `xml:"langSec"`
	}
	langSec struct {
		Lang       string    `xml:"http://www.w3.org/XML/1998/namespace lang,attr"`
		Definition []descrip `xml:"descrip"`
		Terms      []termSec `xml:"termSec"`
	}
	descrip struct {
		Type string `xml:"type,attr"`
		Text string `xml:",chardata"`
	}
	termSec struct {
		Term string `xml:"term"`
		Note string `xml:"note"`
	}
)

// writeTBX writes one concept for each term. Where both sides use one language, a section
// holds both names and both definitions.
func writeTBX(out io.Writer, g desk.Glossary) error {
	doc := tbx{
		Type: "TBX-Core", Style: "dca", Lang: "en",
		Source: fmt.Sprintf("Glossary of the hotline %s with %s (%s)", oneLine(g.Hotline), oneLine(g.PeerName), oneLine(g.Peer)),
	}
	for _, t := range g.Terms {
		c := concept{ID: "term-" + t.ID, Notes: []string{"state: " + string(t.State)}}
		for _, side := range []struct {
			whose string
			d     *glossary.Definition
		}{{"ours", t.Ours}, {"theirs", t.Theirs}} {
			if side.d == nil {
				continue
			}
			last := len(c.Langs) - 1
			if last < 0 || c.Langs[last].Lang != side.d.Language {
				c.Langs = append(c.Langs, langSec{Lang: side.d.Language})
				last++
			}
			l := &c.Langs[last]
			l.Definition = append(l.Definition, descrip{"definition", paragraph(side.d.Definition)})
			l.Terms = append(l.Terms, termSec{oneLine(side.d.Name), fmt.Sprintf("%s, version %d", side.whose, side.d.Version)})
		}
		doc.Entries = append(doc.Entries, c)
	}
	content, err := xml.MarshalIndent(doc, "", "  ")
	if err != nil {
		return fmt.Errorf("writing the glossary: %w", err)
	}
	_, err = fmt.Fprintf(out, "%s%s\n", xml.Header, content)
	return err
}

func writeCSV(out io.Writer, g desk.Glossary) error {
	w := csv.NewWriter(out)
	records := [][]string{{"term", "state", "our_version", "our_language", "our_name", "our_definition", "their_version", "their_language", "their_name", "their_definition"}}
	for _, t := range g.Terms {
		record := []string{t.ID, string(t.State)}
		for _, d := range []*glossary.Definition{t.Ours, t.Theirs} {
			if d == nil {
				d = &glossary.Definition{}
			}
			version := ""
			if d.Version > 0 {
				version = decimal(d.Version)
			}
			record = append(record, version, d.Language, cell(d.Name), cell(d.Definition))
		}
		records = append(records, record)
	}
	if err := w.WriteAll(records); err != nil {
		return fmt.Errorf("writing the glossary: %w", err)
	}
	return nil
}

// cell keeps words of a peer from being taken for a formula or for control characters.
func cell(text string) string {
	text = paragraph(text)
	if text != "" && (text[0] == '=' || text[0] == '+' || text[0] == '-' || text[0] == '@') {
		return "'" + text
	}
	return text
}
