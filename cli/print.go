// SPDX-FileCopyrightText: The certlink authors
// SPDX-License-Identifier: Apache-2.0

package cli

import (
	"encoding/json"
	"fmt"
	"io"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"
	"k8s.io/apimachinery/pkg/util/duration"
	"sigs.k8s.io/yaml"
)

// format is the value of -o.
type format string

const (
	asTable format = ""
	asJSON  format = "json"
	asYAML  format = "yaml"
)

func (f *format) String() string { return string(*f) }
func (f *format) Type() string   { return "json|yaml" }

func (f *format) Set(value string) error {
	switch format(value) {
	case asJSON, asYAML:
		*f = format(value)
		return nil
	}
	return fmt.Errorf("%q is neither json nor yaml", value)
}

func (f *format) addTo(cmd *cobra.Command) {
	cmd.Flags().VarP(f, "output", "o", "print json or yaml instead of what people read")
	_ = cmd.RegisterFlagCompletionFunc("output", cobra.FixedCompletions([]string{string(asJSON), string(asYAML)}, cobra.ShellCompDirectiveNoFileComp))
}

// document prints a value for programs.
func (f *format) document(out io.Writer, value any) error {
	content, err := json.MarshalIndent(value, "", "  ")
	if err != nil {
		return fmt.Errorf("writing the output: %w", err)
	}
	if *f == asYAML {
		if content, err = yaml.JSONToYAML(content); err != nil {
			return fmt.Errorf("writing the output: %w", err)
		}
	} else {
		content = append(content, '\n')
	}
	_, err = out.Write(content)
	return err
}

// table prints rows beneath a heading. Words of a peer can stand in cells, so
// control characters do not reach the terminal.
func table(out io.Writer, rows [][]string) error {
	w := tabwriter.NewWriter(out, 0, 8, 3, ' ', 0)
	for _, row := range rows {
		cells := make([]string, len(row))
		for i, cell := range row {
			if cells[i] = oneLine(cell); cells[i] == "" {
				cells[i] = "-"
			}
		}
		fmt.Fprintln(w, strings.Join(cells, "\t"))
	}
	return w.Flush()
}

// oneLine makes text safe for one line of a terminal.
func oneLine(text string) string {
	return strings.Map(func(r rune) rune {
		if r == '\n' || r == '\t' || r == '\r' {
			return ' '
		}
		return visible(r)
	}, text)
}

// paragraph makes text safe for a terminal and keeps its lines.
func paragraph(text string) string {
	return strings.Map(func(r rune) rune {
		if r == '\n' || r == '\t' {
			return r
		}
		return visible(r)
	}, text)
}

// visible replaces control characters, and those that change the direction of
// what follows, which could make a message read other than it was signed.
func visible(r rune) rune {
	switch {
	case r < 0x20, r >= 0x7f && r < 0xa0,
		r >= 0x202a && r <= 0x202e, r >= 0x2066 && r <= 0x2069, r == 0x200e, r == 0x200f, r == 0x2028, r == 0x2029:
		return '\ufffd'
	}
	return r
}

// since is how long ago t was, for people.
func since(now, t time.Time) string {
	if t.IsZero() {
		return ""
	}
	return duration.HumanDuration(now.Sub(t))
}

// clock is a time for people; what is signed is in UTC.
func clock(t time.Time) string {
	if t.IsZero() {
		return ""
	}
	return t.UTC().Format("2006-01-02 15:04:05.000Z")
}
