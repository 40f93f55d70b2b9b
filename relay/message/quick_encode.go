// SPDX-FileCopyrightText: The certlink authors
// SPDX-License-Identifier: Apache-2.0

package message

import (
	"strconv"
	"time"
	"unicode/utf8"
)

// quickEncode writes a message that was checked and has no lists and no parts, as nearly all,
// byte for byte as Encode does otherwise. false says nothing about the message.
func quickEncode(m *Message) (raw []byte, ok bool) {
	if len(m.ReleasedBy)+len(m.Translations)+len(m.Attachments)+len(m.References) > 0 || m.Preserve != nil || m.Term != nil || m.LineCheck != nil {
		return nil, false
	}
	const members, lineOf = 768, 8 // bytes of all else, and letters of text for each that is escaped
	w := writer{out: make([]byte, 0, members+len(m.Officer)+len(m.Subject)+len(m.Text)+len(m.Text)/lineOf)}
	w.out = strconv.AppendInt(append(w.out, `{"version":`...), int64(m.Version), 10)
	w.text(`,"id":`, m.ID)
	w.out = strconv.AppendInt(append(w.out, `,"serial":`...), m.Serial, 10)
	w.text(`,"from":`, m.From)
	w.text(`,"to":`, m.To)
	w.text(`,"conversation":`, m.Conversation)
	w.maybe(`,"in_reply_to":`, m.InReplyTo)
	w.text(`,"kind":`, string(m.Kind))
	w.text(`,"precedence":`, m.Precedence)
	w.text(`,"tlp":`, m.TLP)
	w.maybe(`,"rsit":`, m.RSIT)
	w.time(`,"created_at":"`, m.CreatedAt)
	w.maybe(`,"officer":`, m.Officer)
	w.maybe(`,"subject":`, m.Subject)
	w.maybe(`,"text":`, m.Text)
	w.maybe(`,"language":`, m.Language)
	if !m.AnswerBy.IsZero() {
		w.time(`,"answer_by":"`, m.AnswerBy)
	}
	w.maybe(`,"exercise":`, m.Exercise)
	return append(w.out, '}'), !w.other
}

// writer writes members; other says that one of them is better left to others.
type writer struct {
	out   []byte
	other bool
}

func (w *writer) time(name string, t time.Time) {
	w.other = w.other || t.Location() != time.UTC || t.Year() < 0 || t.Year() > 9999
	w.out = append(t.AppendFormat(append(w.out, name...), time.RFC3339Nano), '"')
}

func (w *writer) maybe(name, s string) {
	if s != "" {
		w.text(name, s)
	}
}

func (w *writer) text(name, s string) {
	w.out = append(append(w.out, name...), '"')
	ascii := true
	for rest := s; rest != ""; {
		n := unescaped(rest)
		if w.out = append(w.out, rest[:n]...); n == len(rest) {
			break
		}
		b := rest[n]
		switch short := shorts[b]; {
		case short != 0:
			w.out = append(w.out, '\\', short)
		case b < ' ':
			const digits = "0123456789abcdef"
			w.out = append(w.out, '\\', 'u', '0', '0', digits[b>>4], digits[b&15])
		default: // not in ASCII
			ascii = false
			w.out = append(w.out, b)
		}
		rest = rest[n+1:]
	}
	w.other = w.other || !ascii && !utf8.ValidString(s)
	w.out = append(w.out, '"')
}

// shorts are the letters that have an escape of two letters when written, and its second.
var shorts = [256]byte{'"': '"', '\\': '\\', '\b': 'b', '\f': 'f', '\n': 'n', '\r': 'r', '\t': 't'}
