// SPDX-FileCopyrightText: The certlink authors
// SPDX-License-Identifier: Apache-2.0

package message

import (
	"regexp"
	"slices"
	"strconv"
	"strings"
)

// Bounds of members, as the schema has them; lengths are in characters.
const (
	MaxSubject       = 512
	MaxText          = 65536
	MaxPerson        = 128
	maxSerial        = 1 << 53
	maxTranslations  = 8
	maxAttachments   = 16
	maxReferences    = 16
	maxReleases      = 4
	maxIdentity      = 2048
	maxItems         = 64
	maxLine          = 1024
	maxDefinition    = 8192
	maxCase          = 256
	maxPath          = 300
	maxTermVersion   = 1_000_000
	maxAttachmentSet = 255
)

// Precedences, the most urgent first, and Levels of TLP 2.0, the widest first.
var (
	Precedences = []string{"FLASH", "IMMEDIATE", "PRIORITY", "ROUTINE"}
	Levels      = []string{"CLEAR", "GREEN", "AMBER", "AMBER+STRICT", "RED"}
)

var (
	mediaShape = regexp.MustCompile(`^[a-z0-9!#$&^_.+-]+/[a-z0-9!#$&^_.+-]+$`)
	termShape  = regexp.MustCompile(`^[a-z0-9][a-z0-9-]{0,62}$`)
	textShape  = regexp.MustCompile(`^[a-z0-9-]*$`)
)

// Check compares a message with the schema, and its code with the taxonomy. The error
// is an *InvalidError.
func (m *Message) Check() error {
	c := checker{}
	c.bound(m.Version == Version, "version", "must be %d", Version)
	c.shape(ulidShape, "id", m.ID, "must be a ULID in upper case")
	c.serial("serial", m.Serial)
	c.shape(trustShape, "from", m.From, "must be a SPIFFE trust domain")
	c.shape(trustShape, "to", m.To, "must be a SPIFFE trust domain")
	c.shape(wordShape, "conversation", m.Conversation, "must be 1 to 64 letters, digits, dots, dashes or underscores")
	c.maybe(ulidShape, "in_reply_to", m.InReplyTo, "must be a ULID in upper case")
	c.shape(kindShape, "kind", string(m.Kind), "must be 1 to 32 upper case letters, digits or underscores")
	c.require(slices.Contains(Precedences, m.Precedence), "precedence", "must be one of FLASH, IMMEDIATE, PRIORITY, ROUTINE")
	c.require(slices.Contains(Levels, m.TLP), "tlp", "must be one of CLEAR, GREEN, AMBER, AMBER+STRICT, RED")
	c.require(m.RSIT == "" || KnownRSIT(m.RSIT), "rsit", "must be a class, or class:type, of the Reference Security Incident Taxonomy")
	c.time("created_at", m.CreatedAt)
	c.line("officer", m.Officer, MaxPerson)
	c.line("subject", m.Subject, MaxSubject)
	c.text("text", m.Text, MaxText)
	c.maybe(langShape, "language", m.Language, "must be a language tag such as en or pt-BR")
	c.maybeTime("answer_by", m.AnswerBy)
	c.maybe(wordShape, "exercise", m.Exercise, "must be 1 to 64 letters, digits, dots, dashes or underscores")
	m.checkLists(&c)
	m.checkParts(&c)
	m.checkKind(&c)
	return c.err()
}

// checkKind asks for what a kind needs. Test traffic says so in its code.
func (m *Message) checkKind(c *checker) {
	is := func(kinds ...Kind) bool { return slices.Contains(kinds, m.Kind) }
	c.require(m.InReplyTo != "" || !is(ACK, Answer, PreserveAck), "in_reply_to", "is required of this kind: the id of the message that is answered")
	c.require(m.Officer != "" || !is(ACK), "officer", "is required: who has read the message")
	c.require(len(m.References) > 0 || !is(Correct, Cancel, Extend, Release), "references", "is required of this kind: the message that it is about")
	c.require(m.Preserve != nil || !is(Preserve, Extend), "preserve", "is required of this kind")
	c.require(m.Term != nil || !is(TermKind), "term", "is required of this kind")
	c.require(m.LineCheck != nil || !is(LineCheckKind), "line_check", "is required of this kind")
	c.require(m.RSIT == TestCode || m.Exercise == "" && !is(LineCheckKind), "rsit", "must be "+TestCode+": a test cannot be taken for real traffic")
}

func (m *Message) checkLists(c *checker) {
	c.count("released_by", len(m.ReleasedBy), maxReleases)
	for i, r := range m.ReleasedBy {
		at := "released_by/" + strconv.Itoa(i) + "/"
		c.require(r.Officer != "" && r.Identity != "", at+"officer", "and identity are required: who released the message")
		c.line(at+"officer", r.Officer, MaxPerson)
		c.line(at+"identity", r.Identity, maxIdentity)
		c.time(at+"at", r.At)
	}
	c.count("translations", len(m.Translations), maxTranslations)
	for i, t := range m.Translations {
		at := "translations/" + strconv.Itoa(i) + "/"
		c.shape(langShape, at+"language", t.Language, "must be a language tag such as en or pt-BR")
		c.line(at+"subject", t.Subject, MaxSubject)
		c.require(t.Text != "", at+"text", "is required")
		c.text(at+"text", t.Text, MaxText)
		c.line(at+"translator", t.Translator, MaxPerson)
	}
	c.count("attachments", len(m.Attachments), maxAttachments)
	for i, a := range m.Attachments {
		at := "attachments/" + strconv.Itoa(i) + "/"
		c.require(a.Name != "" && !strings.ContainsAny(a.Name, `/\`), at+"name", "must be a file name without a path")
		c.line(at+"name", a.Name, maxAttachmentSet)
		c.require(a.MediaType == "" || len(a.MediaType) <= 127 && mediaShape.MatchString(a.MediaType), at+"media_type", "must be a media type such as text/csv")
		c.bound(a.Size >= 1 && a.Size <= MaxAttachmentBytes, at+"size", "must be within 1 and %d bytes", MaxAttachmentBytes)
		c.shape(hashShape, at+"sha256", a.SHA256, "must be a SHA-256 in lower-case hexadecimal")
	}
	c.count("references", len(m.References), maxReferences)
	for i, r := range m.References {
		at := "references/" + strconv.Itoa(i) + "/"
		c.shape(ulidShape, at+"id", r.ID, "must be a ULID in upper case")
		if r.Serial != 0 {
			c.serial(at+"serial", r.Serial)
		}
		c.require(slices.Contains([]string{"", BySender, ByReceiver}, r.By), at+"by", "must be sender or receiver")
	}
}

func (m *Message) checkParts(c *checker) {
	if p := m.Preserve; p != nil {
		c.bound(len(p.Items) > 0 && len(p.Items) <= maxItems, "preserve/items", "must have 1 to %d entries", maxItems)
		for i, item := range p.Items {
			at := "preserve/items/" + strconv.Itoa(i)
			c.require(item != "", at, "must not be empty")
			c.line(at, item, maxLine)
		}
		c.line("preserve/legal_basis", p.LegalBasis, maxLine)
		c.maybeTime("preserve/until", p.Until)
		c.line("preserve/case", p.Case, maxCase)
	}
	if t := m.Term; t != nil {
		c.shape(termShape, "term/id", t.ID, "must be lower-case letters, digits and dashes, at most 63")
		c.bound(t.Version >= 1 && t.Version <= maxTermVersion, "term/version", "must be within 1 and %d", maxTermVersion)
		c.require(t.Name != "", "term/name", "is required")
		c.line("term/name", t.Name, MaxPerson)
		c.shape(langShape, "term/language", t.Language, "must be a language tag such as en or pt-BR")
		c.require(t.Definition != "", "term/definition", "is required")
		c.text("term/definition", t.Definition, maxDefinition)
		c.require(slices.Contains([]string{"proposed", "agreed", "disagreed"}, t.Position), "term/position", "must be proposed, agreed or disagreed")
	}
	if l := m.LineCheck; l != nil {
		c.require(l.Path != "", "line_check/path", "is required")
		c.line("line_check/path", l.Path, maxPath)
		c.time("line_check/slot", l.Slot)
		c.require(len(l.TextID) <= 64 && textShape.MatchString(l.TextID), "line_check/text_id", "must be lower-case letters, digits and dashes, at most 64")
	}
}
