// SPDX-FileCopyrightText: The certlink authors
// SPDX-License-Identifier: Apache-2.0

package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"

	"github.com/spf13/cobra"

	"github.com/certlink/certlink/internal/relayclient"
	"github.com/certlink/certlink/relay/desk"
	"github.com/certlink/certlink/relay/glossary"
	"github.com/certlink/certlink/relay/message"
)

// stateFlags are what a statement about a term says beside the term.
type stateFlags struct {
	request desk.SendRequest
	output  format
}

func (f *stateFlags) addTo(cmd *cobra.Command) {
	flags := cmd.Flags()
	flags.StringVar(&f.request.TLP, "tlp", "AMBER+STRICT", "CLEAR, GREEN, AMBER, AMBER+STRICT or RED")
	flags.StringVar(&f.request.Officer, "officer", "", "who states it (default: your user name at the API server)")
	flags.StringVar(&f.request.ID, "id", "", "ULID of the message, so that repeating the command is safe")
	f.output.addTo(cmd)
	words(cmd, "tlp", tlpLevels...)
}

func proposeCommand(o *options) *cobra.Command {
	f := &stateFlags{}
	term := message.Term{Position: glossary.Proposed}
	var file string
	cmd := &cobra.Command{
		Use:   "propose HOTLINE TERM --name NAME [--definition TEXT | --file FILE]",
		Short: "Propose our definition of a term, or a newer one",
		Long: `Propose our definition of a term in our language. It becomes the next version of ours and is
sent as a message of kind TERM; the term is agreed once the peer agrees to that very version.
The id TERM, of lower-case letters, digits and dashes, is the same on both sides.`,
		Example: `  kubectl certlink glossary propose bravo armed-attack --name "armed attack" --definition "An attack that ..."
  kubectl certlink glossary propose bravo armed-attack --name "attaque armée" --language fr --file attaque.txt`,
		Args:              cobra.ExactArgs(2),
		ValidArgsFunction: o.completeTerms(),
		RunE: func(cmd *cobra.Command, args []string) error {
			term.ID = args[1]
			if term.Name == "" {
				return errors.New("--name is missing: how the term is called in our language")
			}
			if err := o.readDefinition(&term, file); err != nil {
				return err
			}
			return o.withGlossary(cmd, args[0], func(ctx context.Context, s *session, relay *relayclient.Client, g desk.Glossary) error {
				term.Version = 1
				if known, err := termOf(g, term.ID); err == nil && known.Ours != nil {
					term.Version = known.Ours.Version + 1
				}
				return o.stateTerm(ctx, s, relay, g, f, &term)
			})
		},
	}
	flags := cmd.Flags()
	flags.StringVar(&term.Name, "name", "", "how the term is called in our language")
	flags.StringVar(&term.Language, "language", "en", "language of name and definition (BCP 47)")
	flags.StringVar(&term.Definition, "definition", "", "what it means")
	flags.StringVarP(&file, "file", "f", "", "file with what it means; - is standard input")
	cmd.MarkFlagsMutuallyExclusive("definition", "file")
	f.addTo(cmd)
	return cmd
}

// readDefinition fills in the definition from a file or standard input.
func (o *options) readDefinition(t *message.Term, file string) error {
	if t.Definition != "" {
		return nil
	}
	in := o.In
	switch file {
	case "":
		return errors.New("--definition or --file is missing: what the term means")
	case "-":
	default:
		opened, err := os.Open(file)
		if err != nil {
			return fmt.Errorf("reading the definition: %w", err)
		}
		defer opened.Close()
		in = opened
	}
	content, err := io.ReadAll(io.LimitReader(in, desk.MaxTextBytes))
	if err != nil {
		return fmt.Errorf("reading the definition: %w", err)
	}
	if t.Definition = strings.TrimSpace(string(content)); t.Definition == "" {
		return fmt.Errorf("the definition in %s is empty", file)
	}
	return nil
}

// answerCommand is agree or disagree.
func answerCommand(o *options, position string) *cobra.Command {
	f := &stateFlags{}
	verb := strings.TrimSuffix(position, "d")
	var version int64
	cmd := &cobra.Command{
		Use:   verb + " HOTLINE TERM --version VERSION",
		Short: strings.ToUpper(verb[:1]) + verb[1:] + " with the peer's definition of a term",
		Long: `Answer the peer's newest definition of a term, word for word. --version says which one you
read: if the peer has proposed a newer one since, nothing is sent.`,
		Example:           "  kubectl certlink glossary " + verb + " bravo armed-attack --version 2",
		Args:              cobra.ExactArgs(2),
		ValidArgsFunction: o.completeTerms(),
		RunE: func(cmd *cobra.Command, args []string) error {
			return o.withGlossary(cmd, args[0], func(ctx context.Context, s *session, relay *relayclient.Client, g desk.Glossary) error {
				term, err := answerTo(g, args[1], version, position)
				if err != nil {
					return err
				}
				return o.stateTerm(ctx, s, relay, g, f, term)
			})
		},
	}
	cmd.Flags().Int64Var(&version, "version", 0, "version of their definition that you read")
	_ = cmd.MarkFlagRequired("version")
	cmd.Flags().StringVar(&f.request.Text, "text", "", "a remark for the peer")
	f.addTo(cmd)
	return cmd
}

// answerTo repeats their definition with our position.
func answerTo(g desk.Glossary, id string, version int64, position string) (*message.Term, error) {
	known, err := termOf(g, id)
	if err != nil {
		return nil, err
	}
	d := known.Theirs
	if d == nil {
		return nil, fmt.Errorf("they have no definition of %q that could be answered: see kubectl certlink glossary show %s %s", id, g.Hotline, id)
	}
	if d.Version != version {
		return nil, fmt.Errorf("their newest definition of %q is version %d, not %d: read it with kubectl certlink glossary show %s %s", id, d.Version, version, g.Hotline, id)
	}
	return &message.Term{ID: id, Version: d.Version, Name: d.Name, Language: d.Language, Definition: d.Definition, Position: position}, nil
}

// stateTerm sends a statement the ordinary way: where the hotline asks for a release, it waits
// for that.
func (o *options) stateTerm(ctx context.Context, s *session, relay *relayclient.Client, g desk.Glossary, f *stateFlags, t *message.Term) error {
	r := f.request
	r.Hotline, r.Kind, r.Term, r.Language = g.Hotline, string(message.TermKind), t, t.Language
	r.Subject = fmt.Sprintf("Term %s, version %d: %s", t.ID, t.Version, t.Position)
	if r.Text == "" {
		r.Text = t.Definition
	}
	var err error
	if err = oneOf("tlp", r.TLP, tlpLevels...); err != nil {
		return err
	}
	if r.Officer, err = s.officer(ctx, r.Officer); err != nil {
		return err
	}
	m, err := relay.Send(ctx, r)
	if err != nil {
		return err
	}
	if f.output != asTable {
		return f.output.document(o.Out, m)
	}
	what := "stored on " + clock(m.StoredAt)
	if m.State == desk.StateDraft {
		what = "waits for its release"
	}
	fmt.Fprintf(o.Out, "%s: version %d of %s %s, %s\n", m.ID, t.Version, oneLine(t.ID), t.Position, what)
	return nil
}
