// SPDX-FileCopyrightText: The certlink authors
// SPDX-License-Identifier: Apache-2.0

package cli

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"strings"
	"text/tabwriter"
	"time"
	"unicode"
	"unicode/utf16"
	"unicode/utf8"

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
		content = escaped(content, false)
		plain, err := yaml.JSONToYAML(content)
		if err != nil {
			return fmt.Errorf("writing the output: %w", err)
		}
		if !bytes.ContainsFunc(plain, func(r rune) bool { return hidden(r) && r != '\n' }) {
			_, err = out.Write(plain)
			return err
		}
		// JSON is YAML, and its escapes stand in quoted strings only.
		content = append(content, '\n')
	} else {
		content = append(escaped(content, true), '\n')
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

// Failed prints why a command failed. The names of files and the words of a peer can stand in it.
func Failed(out io.Writer, err error) { fmt.Fprintln(out, "error:", paragraph(err.Error())) }

// paragraph makes text safe for a terminal and keeps its lines.
func paragraph(text string) string {
	return strings.Map(func(r rune) rune {
		if r == '\n' || r == '\t' {
			return r
		}
		return visible(r)
	}, text)
}

// visible replaces control characters, and those without width or that change the
// direction of what follows, which could make a message read other than it was signed.
func visible(r rune) rune {
	if hidden(r) {
		return '\ufffd'
	}
	return r
}

// hidden tells whether a character acts on a terminal, or on what is around it, without
// being seen. The joiners of Persian, of Indian scripts and of emoji act on letters only.
func hidden(r rune) bool {
	const nonJoiner, joiner = 0x200c, 0x200d
	return unicode.IsControl(r) || r == 0x2028 || r == 0x2029 || unicode.Is(unicode.Cf, r) && r != nonJoiner && r != joiner
}

// escaped writes hidden characters of JSON, which stand in strings only, as JSON can: no
// byte of the content is lost, and none reaches a terminal. YAML has no surrogates.
func escaped(document []byte, surrogates bool) []byte {
	var out []byte
	for _, r := range string(document) {
		if hidden(r) && r != '\n' {
			if r > 0xffff && !surrogates {
				out = fmt.Appendf(out, `\U%08x`, r)
			} else if r > 0xffff {
				high, low := utf16.EncodeRune(r)
				out = fmt.Appendf(out, `\u%04x\u%04x`, high, low)
			} else {
				out = fmt.Appendf(out, `\u%04x`, r)
			}
			continue
		}
		out = utf8.AppendRune(out, r)
	}
	return out
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
