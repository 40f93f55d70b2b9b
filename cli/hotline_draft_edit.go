// SPDX-FileCopyrightText: The certlink authors
// SPDX-License-Identifier: Apache-2.0

package cli

import (
	"context"
	"errors"
	"fmt"

	"github.com/spf13/cobra"

	"github.com/certlink/certlink/internal/relayclient"
	"github.com/certlink/certlink/relay/desk"
)

// editFlags change some of a draft; what was not given stays.
type editFlags struct {
	subject, text, file, precedence, tlp, rsit string
	output                                     format
}

func draftEditCommand(o *options) *cobra.Command {
	f := &editFlags{}
	cmd := &cobra.Command{
		Use:   "edit ID",
		Short: "Change a draft of one's own: all releases fall away",
		Example: `  kubectl certlink hotline draft edit 01J... --file report.txt
  kubectl certlink hotline draft edit 01J... --precedence FLASH`,
		Args:              cobra.ExactArgs(1),
		ValidArgsFunction: o.completeDrafts,
		RunE: func(cmd *cobra.Command, args []string) error {
			text, err := f.check(o)
			if err != nil {
				return err
			}
			return o.onDraft(cmd, args[0], func(ctx context.Context, relay *relayclient.Client, m desk.Message) error {
				edited, err := relay.EditDraft(ctx, m.Peer, m.ID, f.request(m, text))
				if err != nil {
					return err
				}
				o.caution(edited)
				if f.output != asTable {
					return f.output.document(o.Out, edited)
				}
				fmt.Fprintf(o.Out, "%s changed; it waits for %s of the content with the hash %s\n", edited.ID, plural(int(edited.Draft.Quorum), "release", "releases"), short(edited.Draft.Hash))
				return nil
			})
		},
	}
	flags := cmd.Flags()
	flags.StringVar(&f.subject, "subject", "", "what it is about, one line")
	flags.StringVar(&f.text, "text", "", "the text")
	flags.StringVarP(&f.file, "file", "f", "", "file with the text; - is standard input")
	flags.StringVar(&f.precedence, "precedence", "", "FLASH, IMMEDIATE, PRIORITY or ROUTINE")
	flags.StringVar(&f.tlp, "tlp", "", "CLEAR, GREEN, AMBER, AMBER+STRICT or RED")
	flags.StringVar(&f.rsit, "rsit", "", "class, or class:type, of the Reference Security Incident Taxonomy")
	f.output.addTo(cmd)
	cmd.MarkFlagsMutuallyExclusive("text", "file")
	words(cmd, "precedence", precedences...)
	words(cmd, "tlp", tlpLevels...)
	return cmd
}

// check looks at the flags and reads the new text, if there is one.
func (f *editFlags) check(o *options) (text string, err error) {
	var faults []error
	if f.precedence != "" {
		faults = append(faults, oneOf("precedence", f.precedence, precedences...))
	}
	if f.tlp != "" {
		faults = append(faults, oneOf("tlp", f.tlp, tlpLevels...))
	}
	if f.subject+f.text+f.file+f.precedence+f.tlp+f.rsit == "" {
		faults = append(faults, errors.New("nothing is to be changed: give --subject, --text, --file, --precedence, --tlp or --rsit"))
	}
	if err := errors.Join(faults...); err != nil || f.file == "" {
		return f.text, err
	}
	from := &sendFlags{file: f.file}
	err = o.readText(from)
	return from.request.Text, err
}

// request is the whole content that the draft is to have.
func (f *editFlags) request(m desk.Message, text string) desk.SendRequest {
	r := desk.SendRequest{
		Hotline: m.Hotline, ID: m.ID, Conversation: m.Conversation, InReplyTo: m.InReplyTo, Kind: m.Kind, Precedence: m.Precedence, TLP: m.TLP,
		RSIT: m.RSIT, Subject: m.Subject, Text: m.Text, Language: m.Language, Translations: m.Translations, References: m.References,
		Attachments: m.Attachments, AnswerBy: m.AnswerBy, Preserve: m.Preserve, Term: m.Term,
	}
	for _, change := range []struct {
		field *string
		value string
	}{{&r.Subject, f.subject}, {&r.Text, text}, {&r.Precedence, f.precedence}, {&r.TLP, f.tlp}, {&r.RSIT, f.rsit}} {
		if change.value != "" {
			*change.field = change.value
		}
	}
	return r
}
