// SPDX-FileCopyrightText: The certlink authors
// SPDX-License-Identifier: Apache-2.0

package cli

import (
	"errors"
	"fmt"
	"os"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/certlink/certlink/relay/desk"
	"github.com/certlink/certlink/relay/message"
)

// contentFlags are the flags of hotline send for what only some messages carry.
type contentFlags struct {
	references   []string
	translations []string
	answerWithin time.Duration
	preserve     message.Preserved
	until        string
}

func (f *contentFlags) addTo(cmd *cobra.Command, request *desk.SendRequest) {
	flags := cmd.Flags()
	flags.StringVar(&request.RSIT, "rsit", "", "class, or class:type, of the Reference Security Incident Taxonomy, such as malicious-code:c2-server")
	flags.StringArrayVar(&f.references, "about", nil, "id of an earlier message of ours that this one corrects, cancels, extends or releases; may be repeated")
	flags.StringArrayVar(&f.translations, "translation", nil, "LANGUAGE=FILE with a translation of the text; may be repeated")
	flags.DurationVar(&f.answerWithin, "answer-within", 0, "how long we hope to wait for an answer, such as 2h")
	flags.StringArrayVar(&f.preserve.Items, "preserve", nil, "what is to be preserved, one line; may be repeated")
	flags.StringVar(&f.preserve.LegalBasis, "legal-basis", "", "legal basis of the request to preserve")
	flags.StringVar(&f.preserve.Case, "case", "", "reference of the case, for a request to preserve")
	flags.StringVar(&f.until, "until", "", "day until which data is to be preserved, YYYY-MM-DD")
	var codes []string
	for _, class := range message.RSIT() {
		codes = append(codes, class.Code+"\t"+class.Name)
		for _, sub := range class.Types {
			codes = append(codes, sub.Code+"\t"+sub.Name)
		}
	}
	words(cmd, "rsit", codes...)
}

// fill puts the flags into the request.
func (f *contentFlags) fill(request *desk.SendRequest, now time.Time) error {
	var faults []error
	if request.RSIT != "" && !message.KnownRSIT(request.RSIT) {
		faults = append(faults, fmt.Errorf("--rsit %q is no class, or class:type, of the taxonomy: try completion, or see docs/hotline.md", request.RSIT))
	}
	for _, id := range f.references {
		request.References = append(request.References, message.Reference{ID: id})
	}
	if f.answerWithin < 0 {
		faults = append(faults, errors.New("--answer-within must not be negative"))
	}
	if f.answerWithin > 0 {
		request.AnswerBy = now.Add(f.answerWithin).UTC().Truncate(time.Second)
	}
	for _, t := range f.translations {
		translation, err := readTranslation(t)
		if err != nil {
			faults = append(faults, err)
			continue
		}
		request.Translations = append(request.Translations, translation)
	}
	if f.until != "" {
		until, err := time.Parse(time.DateOnly, f.until)
		if err != nil {
			faults = append(faults, fmt.Errorf("--until %q must be a day, YYYY-MM-DD", f.until))
		}
		f.preserve.Until = until
	}
	if len(f.preserve.Items) > 0 {
		request.Preserve = &f.preserve
	} else if f.until != "" || f.preserve.Case != "" || f.preserve.LegalBasis != "" {
		faults = append(faults, errors.New("--preserve is missing: what is to be preserved?"))
	}
	return errors.Join(faults...)
}

// readTranslation reads LANGUAGE=FILE.
func readTranslation(flag string) (message.Translation, error) {
	language, file, ok := strings.Cut(flag, "=")
	if !ok || language == "" || file == "" {
		return message.Translation{}, fmt.Errorf("--translation %q must be LANGUAGE=FILE, such as fr=report.fr.txt", flag)
	}
	info, err := os.Stat(file)
	if err != nil {
		return message.Translation{}, fmt.Errorf("reading a translation: %w", err)
	}
	if info.Size() > desk.MaxTextBytes {
		return message.Translation{}, fmt.Errorf("the translation in %s is longer than %d bytes", file, desk.MaxTextBytes)
	}
	text, err := os.ReadFile(file)
	if err != nil {
		return message.Translation{}, fmt.Errorf("reading a translation: %w", err)
	}
	return message.Translation{Language: language, Text: string(text)}, nil
}

// contentRows are the rows of hotline show for what only some messages carry.
func contentRows(m desk.Message) [][]string {
	var rows [][]string
	if m.RSIT != "" {
		rows = append(rows, []string{"RSIT:", m.RSIT})
	}
	for _, r := range m.References {
		whose := "of the sender"
		if r.By == message.ByReceiver {
			whose = "of the receiver"
		}
		rows = append(rows, []string{"About:", fmt.Sprintf("%s (serial %d %s)", r.ID, r.Serial, whose)})
	}
	if !m.AnswerBy.IsZero() {
		rows = append(rows, []string{"Answer by:", clock(m.AnswerBy)})
	}
	if t := m.Term; t != nil {
		rows = append(rows, []string{"Term:", fmt.Sprintf("%s, version %d: %s", t.ID, t.Version, t.Position)}, []string{"Name:", t.Name + " (" + t.Language + ")"})
	}
	if p := m.Preserve; p != nil {
		for _, item := range p.Items {
			rows = append(rows, []string{"Preserve:", item})
		}
		if p.LegalBasis != "" {
			rows = append(rows, []string{"Legal basis:", p.LegalBasis})
		}
		if p.Case != "" {
			rows = append(rows, []string{"Case:", p.Case})
		}
		if !p.Until.IsZero() {
			rows = append(rows, []string{"Until:", clock(p.Until)})
		}
	}
	return rows
}
