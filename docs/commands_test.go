// SPDX-FileCopyrightText: The certlink authors
// SPDX-License-Identifier: Apache-2.0

package docs_test

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
	"k8s.io/cli-runtime/pkg/genericiooptions"
	"sigs.k8s.io/yaml"

	"github.com/certlink/certlink/cli"
)

const ourCommand = "kubectl certlink"

var inline = regexp.MustCompile("`([^`\n]+)`")

// TestEveryCommandInADocumentExists parses each command line of ours: in a block of code as
// it would be typed, in a sentence with placeholders and parts left out.
func TestEveryCommandInADocumentExists(t *testing.T) {
	found := 0
	for _, file := range files(t, ".md") {
		text, err := os.ReadFile(filepath.Join(root, file))
		if err != nil {
			t.Fatal(err)
		}
		block, console, line := false, false, ""
		for next := range strings.Lines(string(text)) {
			switch next = strings.TrimRight(next, "\n"); {
			case strings.HasPrefix(strings.TrimSpace(next), "```"):
				block, line = !block, ""
				console = strings.HasSuffix(next, "console")
			case block && console && line == "" && !strings.HasPrefix(next, "$ "):
				// What a command prints.
			case block && strings.HasSuffix(next, `\`):
				line += strings.TrimSuffix(next, `\`) + " "
			case block:
				found += typed(t, file, line+next)
				line = ""
			default:
				found += mentioned(t, file, next)
			}
		}
	}
	if found < 20 {
		t.Errorf("only %d commands were found", found)
	}
}

// typed checks a line of a block of code.
func typed(t *testing.T, file, line string) int {
	t.Helper()
	n := 0
	for _, part := range splitShell(line) {
		words := part
		for len(words) > 2 && words[0] != "kubectl" {
			words = words[1:] // a prompt, an assignment, sudo
		}
		if len(words) < 2 || words[0] != "kubectl" || words[1] != "certlink" {
			continue
		}
		n++
		cmd, rest := command(t, file, line, words[2:])
		if cmd == nil {
			continue
		}
		if err := cmd.ParseFlags(rest); err != nil {
			t.Errorf("%s: %q: %v", file, line, err)
		} else if err := cmd.ValidateArgs(cmd.Flags().Args()); err != nil {
			t.Errorf("%s: %q: %v", file, line, err)
		}
	}
	return n
}

// mentioned checks what a sentence calls a command: its names and flags.
func mentioned(t *testing.T, file, line string) int {
	t.Helper()
	n := 0
	for _, match := range inline.FindAllStringSubmatch(line, -1) {
		words := strings.Fields(match[1])
		if len(words) < 2 || words[0]+" "+words[1] != ourCommand {
			continue
		}
		n++
		cmd, rest := command(t, file, match[1], words[2:])
		if cmd == nil {
			continue
		}
		for _, word := range rest {
			name, _, _ := strings.Cut(strings.Trim(word, "[](),.…"), "=")
			if strings.HasPrefix(name, "-") && name != "-" && flag(cmd, name) == nil {
				t.Errorf("%s: %q has no flag %s", file, match[1], name)
			}
		}
	}
	return n
}

func flag(cmd *cobra.Command, name string) *pflag.Flag {
	for _, set := range []*pflag.FlagSet{cmd.Flags(), cmd.InheritedFlags()} {
		if long, ok := strings.CutPrefix(name, "--"); ok {
			if f := set.Lookup(long); f != nil {
				return f
			}
		} else if f := set.ShorthandLookup(name[1:2]); f != nil {
			return f
		}
	}
	return nil
}

// command finds what is called, in a tree of its own; names may stand as one\|other.
func command(t *testing.T, file, line string, words []string) (*cobra.Command, []string) {
	t.Helper()
	for i, word := range words {
		alternatives := strings.Split(strings.ReplaceAll(word, `\|`, "|"), "|")
		if strings.HasPrefix(word, "-") || len(alternatives) == 1 {
			continue
		}
		var last *cobra.Command
		for _, one := range alternatives {
			as := append(append([]string{}, words[:i]...), one)
			last, _ = command(t, file, line, append(as, words[i+1:]...))
		}
		return last, words[i+1:]
	}
	cmd, rest, err := cli.New(genericiooptions.NewTestIOStreamsDiscard(), "test").Find(words)
	if err != nil || cmd.HasSubCommands() && len(rest) > 0 && !strings.HasPrefix(rest[0], "-") {
		t.Errorf("%s: there is no command %q", file, line)
		return nil, nil
	}
	return cmd, rest
}

// splitShell splits a line into its commands and their words: quotes, comments, pipes and
// redirections, no more.
func splitShell(line string) [][]string {
	var all [][]string
	var words []string
	var word strings.Builder
	open, quote, skip := false, rune(0), false
	end := func() {
		if open && !skip {
			words = append(words, word.String())
		}
		if open {
			skip = false
		}
		open = false
		word.Reset()
	}
	for _, r := range line {
		switch {
		case quote != 0 && r == quote:
			quote = 0
		case quote != 0:
			word.WriteRune(r)
		case r == '"' || r == '\'':
			quote, open = r, true
		case r == '#' && !open:
			return append(all, words)
		case r == ' ' || r == '\t':
			end()
		case r == '|' || r == ';' || r == '&':
			end()
			all, words = append(all, words), nil
		case r == '>' || r == '<':
			end()
			skip = true // the file is no word of the command
		default:
			open = true
			word.WriteRune(r)
		}
	}
	end()
	return append(all, words)
}

// TestAlertsLeadToSections finds the section that each alert's runbook_url names.
func TestAlertsLeadToSections(t *testing.T) {
	data, err := os.ReadFile(filepath.Join(root, "config/prometheus/rules.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	var rules struct {
		Spec struct {
			Groups []struct {
				Rules []struct {
					Alert       string
					Annotations map[string]string
				}
			}
		}
	}
	if err := yaml.Unmarshal(data, &rules); err != nil {
		t.Fatal(err)
	}
	const here = "https://github.com/certlink/certlink/blob/main/"
	for _, group := range rules.Spec.Groups {
		for _, r := range group.Rules {
			page, anchor, _ := strings.Cut(strings.TrimPrefix(r.Annotations["runbook_url"], here), "#")
			if !anchors(t, page)[anchor] {
				t.Errorf("%s leads to %s, which has no section #%s", r.Alert, page, anchor)
			}
		}
	}
}

// TestAnchorsOfLinksExist finds the section behind each link with an anchor.
func TestAnchorsOfLinksExist(t *testing.T) {
	anchored := regexp.MustCompile(`\]\(([^)#\s]*)#([^)\s]+)\)`)
	for _, file := range files(t, ".md") {
		text, err := os.ReadFile(filepath.Join(root, file))
		if err != nil {
			t.Fatal(err)
		}
		for _, match := range anchored.FindAllStringSubmatch(string(text), -1) {
			page := file
			if match[1] != "" {
				page = filepath.Join(filepath.Dir(file), match[1])
			}
			if strings.Contains(match[1], "://") || !strings.HasSuffix(page, ".md") {
				continue
			}
			if !anchors(t, page)[match[2]] {
				t.Errorf("%s links to %s#%s, which is no heading there", file, page, match[2])
			}
		}
	}
}

// anchors are those of a page's headings, as GitHub makes them.
func anchors(t *testing.T, page string) map[string]bool {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(root, page))
	if err != nil {
		t.Errorf("there is no page %s", page)
		return nil
	}
	dropped := regexp.MustCompile(`[^\p{L}\p{N} _-]`)
	found, block := map[string]bool{}, false
	for line := range strings.Lines(string(text)) {
		if strings.HasPrefix(line, "```") {
			block = !block
		}
		if block || !strings.HasPrefix(line, "#") {
			continue
		}
		title := strings.ToLower(strings.TrimSpace(strings.TrimLeft(line, "#")))
		found[strings.ReplaceAll(dropped.ReplaceAllString(title, ""), " ", "-")] = true
	}
	return found
}
