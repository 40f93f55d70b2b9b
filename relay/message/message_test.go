// SPDX-FileCopyrightText: The certlink authors
// SPDX-License-Identifier: Apache-2.0

package message_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"maps"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/santhosh-tekuri/jsonschema/v6"

	"github.com/certlink/certlink/relay/message"
)

var noon = time.Date(2026, 5, 4, 12, 0, 0, 123456000, time.UTC)

// full is a message with every member.
func full() message.Message {
	return message.Message{
		Version: 1, ID: "01HZX3K9M2Q4R6T8V0W1X2Y3Z4", Serial: 7, From: "alfa.example", To: "bravo.example",
		Conversation: "01HZX3K9M2Q4R6T8V0W1X2Y3Z4", InReplyTo: "01HZX3K9M2Q4R6T8V0W1X2Y3Z5",
		Kind: message.Preserve, Precedence: "IMMEDIATE", TLP: "AMBER+STRICT", RSIT: "test:test", CreatedAt: noon,
		Officer: "Duty Officer", ReleasedBy: []message.ReleaseBy{{Officer: "Head of Watch", Identity: "spiffe://alfa.example/desk", At: noon}},
		Subject: "Logs of 192.0.2.7", Text: "Please keep.\nThank you.", Language: "en",
		Translations: []message.Translation{{Language: "fr", Subject: "Journaux", Text: "A conserver.", Translator: "T.", Machine: true}},
		Attachments:  []message.Attachment{{Name: "list.csv", MediaType: "text/csv", Size: 12, SHA256: strings.Repeat("ab", 32)}},
		References:   []message.Reference{{ID: "01HZX3K9M2Q4R6T8V0W1X2Y3Z6", Serial: 3, By: "receiver"}},
		AnswerBy:     noon.Add(time.Hour),
		Preserve:     &message.Preserved{Items: []string{"connection logs"}, LegalBasis: "article 29", Until: noon.AddDate(0, 2, 0), Case: "A-1"},
		Term:         &message.Term{ID: "incident", Version: 2, Name: "incident", Language: "en", Definition: "An event.", Position: "proposed"},
		LineCheck:    &message.LineCheck{Path: "fibre", Slot: noon, TextID: "sea-7"},
		Exercise:     "spring-drill",
	}
}

func TestAMessageIsReadBackAsItWasWritten(t *testing.T) {
	m := full()
	raw, err := message.Encode(&m)
	if err != nil {
		t.Fatal(err)
	}
	got, err := message.Decode(raw)
	if err != nil {
		t.Fatal(err)
	}
	if d := cmp.Diff(m, got); d != "" {
		t.Error(d)
	}
}

func TestThePublishedSchemaIsTheOneThatIsChecked(t *testing.T) {
	published, err := os.ReadFile("../../docs/schema/hotline-message-1.json")
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(published, message.Schema) {
		t.Error("docs/schema/hotline-message-1.json is not relay/message/hotline-message-1.json: copy it")
	}
}

func TestAMessageThatTheSchemaRefusesSaysWhichMember(t *testing.T) {
	for name, c := range map[string]struct {
		change func(m *message.Message)
		field  string
	}{
		"an id in lower case":                {func(m *message.Message) { m.ID = strings.ToLower(m.ID) }, "id"},
		"serial zero":                        {func(m *message.Message) { m.Serial = 0 }, "serial"},
		"a version of the future":            {func(m *message.Message) { m.Version = 2 }, "version"},
		"a receiver that is no trust domain": {func(m *message.Message) { m.To = "Bravo" }, "to"},
		"an unknown precedence":              {func(m *message.Message) { m.Precedence = "URGENT" }, "precedence"},
		"an unknown marking":                 {func(m *message.Message) { m.TLP = "WHITE" }, "tlp"},
		"a code that is not in the taxonomy": {func(m *message.Message) { m.Exercise, m.RSIT = "", "malicious-code:cake" }, "rsit"},
		"an exercise that looks real":        {func(m *message.Message) { m.RSIT = "fraud" }, "rsit"},
		"an exercise without a code":         {func(m *message.Message) { m.RSIT = "" }, "rsit"},
		"a line check that looks real":       {func(m *message.Message) { m.Exercise, m.Kind, m.RSIT = "", message.LineCheckKind, "fraud" }, "rsit"},
		"a line check without its path":      {func(m *message.Message) { m.Kind, m.LineCheck = message.LineCheckKind, nil }, "line_check"},
		"a subject of two lines":             {func(m *message.Message) { m.Subject = "a\nb" }, "subject"},
		"a text with a terminal's escape":    {func(m *message.Message) { m.Text = "a\x1b[2J" }, "text"},
		"an acknowledgement of nothing":      {func(m *message.Message) { m.Kind, m.InReplyTo = message.ACK, "" }, "in_reply_to"},
		"an acknowledgement by nobody":       {func(m *message.Message) { m.Kind, m.Officer = message.ACK, "" }, "officer"},
		"an answer to nothing":               {func(m *message.Message) { m.Kind, m.InReplyTo = message.Answer, "" }, "in_reply_to"},
		"a correction of nothing":            {func(m *message.Message) { m.Kind, m.References = message.Correct, nil }, "references"},
		"a request to preserve nothing":      {func(m *message.Message) { m.Preserve = nil }, "preserve"},
		"a term without its definition":      {func(m *message.Message) { m.Term.Definition = "" }, "term/definition"},
		"an attachment larger than allowed":  {func(m *message.Message) { m.Attachments[0].Size = message.MaxAttachmentBytes + 1 }, "attachments/0/size"},
		"an attachment with a path":          {func(m *message.Message) { m.Attachments[0].Name = "../../x" }, "attachments/0/name"},
		"an attachment without a digest":     {func(m *message.Message) { m.Attachments[0].SHA256 = "" }, "attachments/0/sha256"},
		"a translation into no language":     {func(m *message.Message) { m.Translations[0].Language = "x" }, "translations/0/language"},
		"a text that is too long":            {func(m *message.Message) { m.Text = strings.Repeat("a", 65537) }, "text"},
		"too many attachments":               {func(m *message.Message) { m.Attachments = make([]message.Attachment, 17) }, "attachments"},
	} {
		t.Run(name, func(t *testing.T) {
			m := full()
			c.change(&m)
			_, err := message.Encode(&m)
			invalid, ok := errors.AsType[*message.InvalidError](err)
			if !ok {
				t.Fatalf("got %v", err)
			}
			for _, f := range invalid.Faults {
				if f.Field == c.field {
					return
				}
			}
			t.Errorf("got %v, want a fault of %s", err, c.field)
		})
	}
}

func TestWhatThisReleaseDoesNotKnowIsTaken(t *testing.T) {
	raw := `{"version":1,"id":"01HZX3K9M2Q4R6T8V0W1X2Y3Z4","serial":1,"from":"alfa.example","to":"bravo.example","conversation":"c",` +
		`"kind":"FUTURE_KIND","precedence":"ROUTINE","tlp":"CLEAR","created_at":"2026-05-04T12:00:00Z","of_the_future":{"a":[1,2]}}`
	m, err := message.Decode([]byte(raw))
	if err != nil || m.Kind != "FUTURE_KIND" {
		t.Errorf("got kind %q, %v", m.Kind, err)
	}
}

func TestWhatIsNoSingleObjectIsRefused(t *testing.T) {
	m := full()
	good, err := message.Encode(&m)
	if err != nil {
		t.Fatal(err)
	}
	for name, raw := range map[string][]byte{
		"nothing":        nil,
		"a list":         []byte(`[]`),
		"two objects":    append(bytes.Clone(good), good...),
		"a member twice": bytes.Replace(good, []byte(`"serial":7`), []byte(`"serial":7,"serial":8`), 1),
		"a member twice deep within what is not known": bytes.Replace(good, []byte(`"serial":7`), []byte(`"serial":7,"x":[{"y":1,"y":2}]`), 1),
		"broken UTF-8 in what is not known":            bytes.Replace(good, []byte(`"serial":7`), []byte("\"serial\":7,\"x\":\"\xff\""), 1),
		"something after it":                           append(bytes.Clone(good), " x"...),
		"a null in what is not known":                  bytes.Replace(good, []byte(`"serial":7`), []byte(`"serial":7,"x":[null]`), 1),
		"an empty language":                            bytes.Replace(good, []byte(`"serial":7`), []byte(`"serial":7,"language" : ""`), 1),
		"broken UTF-8":                                 bytes.Replace(good, []byte("Please"), []byte("Pl\xffse"), 1),
		"nested without end":                           bytes.Replace(good, []byte(`"serial":7`), []byte(`"serial":7,"x":`+strings.Repeat("[", 10000)), 1),
		"nested too deep":                              bytes.Replace(good, []byte(`"serial":7`), []byte(`"serial":7,"x":`+strings.Repeat("[", 17)+strings.Repeat("]", 17)), 1),
		"longer than allowed":                          bytes.Replace(good, []byte(`"serial":7`), []byte(`"serial":7,"x":"`+strings.Repeat("x", message.MaxBytes)+`"`), 1),
	} {
		if _, err := message.Decode(raw); err == nil {
			t.Errorf("%s was taken", name)
		}
	}
}

func TestTheTaxonomyHasItsClasses(t *testing.T) {
	classes, types := message.RSIT(), 0
	for _, c := range classes {
		if !message.KnownRSIT(c.Code) {
			t.Errorf("%s is not known", c.Code)
		}
		for _, sub := range c.Types {
			if types++; !message.KnownRSIT(sub.Code) {
				t.Errorf("%s is not known", sub.Code)
			}
		}
	}
	if len(classes) != 11 || types != 39 {
		t.Errorf("%d classes and %d types, want 11 and 39", len(classes), types)
	}
	for _, code := range []string{"", "malicious-code:", "test:fraud", "Test", "test:test:test"} {
		if message.KnownRSIT(code) {
			t.Errorf("%q is known", code)
		}
	}
}

// compiled is the published schema, as a validator of others reads it.
func compiled(t testing.TB) *jsonschema.Schema {
	t.Helper()
	parsed, err := jsonschema.UnmarshalJSON(bytes.NewReader(message.Schema))
	if err != nil {
		t.Fatal(err)
	}
	c := jsonschema.NewCompiler()
	c.AssertFormat()
	if err := c.AddResource("message.json", parsed); err != nil {
		t.Fatal(err)
	}
	s, err := c.Compile("message.json")
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// agrees fails the test when the code and the published schema differ about content.
func agrees(t *testing.T, s *jsonschema.Schema, raw []byte) {
	t.Helper()
	value, err := jsonschema.UnmarshalJSON(bytes.NewReader(raw))
	if err != nil {
		return
	}
	object, ok := value.(map[string]any)
	if !ok {
		return
	}
	if code, ok := object["rsit"].(string); ok && !message.KnownRSIT(code) {
		return // a list that the schema does not repeat
	}
	_, took := message.Decode(raw)
	if schema := s.Validate(value); took == nil && schema != nil {
		t.Errorf("taken, though the schema says: %v\n%s", schema, raw)
	}
}

func TestNothingIsTakenThatThePublishedSchemaRefuses(t *testing.T) {
	s := compiled(t)
	m := full()
	raw, err := message.Encode(&m)
	if err != nil {
		t.Fatal(err)
	}
	agrees(t, s, raw)
	var members map[string]json.RawMessage
	if err := json.Unmarshal(raw, &members); err != nil {
		t.Fatal(err)
	}
	values := []string{`""`, `"x"`, `0`, `-1`, `1.5`, `1e400`, `null`, `true`, `[]`, `[""]`, `[{}]`, `{}`, `"\u0007"`, `"2026-13-01T00:00:00Z"`, `"2026-01-01T00:00:00+00:00"`}
	for name := range members {
		for _, value := range append(values, "") {
			changed := maps.Clone(members)
			if changed[name] = json.RawMessage(value); value == "" {
				delete(changed, name)
			}
			raw, err := json.Marshal(changed)
			if err != nil {
				continue
			}
			agrees(t, s, raw)
		}
	}
}

func TestWhatWeWriteTheSchemaTakes(t *testing.T) {
	s := compiled(t)
	for _, kind := range []message.Kind{message.Inquiry, message.Answer, message.Notification, message.Preserve, message.PreserveAck, message.Extend, message.Release,
		message.Document, message.TermKind, message.LineCheckKind, message.ACK, message.Correct, message.Cancel} {
		m := full()
		m.Kind = kind
		raw, err := message.Encode(&m)
		if err != nil {
			t.Fatal(err)
		}
		value, err := jsonschema.UnmarshalJSON(bytes.NewReader(raw))
		if err != nil {
			t.Fatal(err)
		}
		if err := s.Validate(value); err != nil {
			t.Errorf("%s: %v", kind, err)
		}
	}
}

func FuzzDecodeTakesNothingThatTheSchemaRefuses(f *testing.F) {
	m := full()
	raw, err := message.Encode(&m)
	if err != nil {
		f.Fatal(err)
	}
	f.Add(raw)
	s := compiled(f)
	f.Fuzz(func(t *testing.T, raw []byte) {
		agrees(t, s, raw)
		if m, err := message.Decode(raw); err == nil {
			if _, err := message.Encode(&m); err != nil {
				t.Errorf("%s was taken, but its own copy is not: %v", raw, err)
			}
		}
	})
}

func BenchmarkDecode(b *testing.B) {
	all, plain := full(), full()
	all.Text = strings.Repeat("word ", 200)
	plain = message.Message{
		Version: 1, ID: plain.ID, Serial: 7, From: plain.From, To: plain.To, Conversation: plain.Conversation, Kind: message.Notification,
		Precedence: "ROUTINE", TLP: "AMBER", CreatedAt: noon, Officer: "Duty Officer", Subject: "A subject", Text: all.Text, Language: "en",
	}
	for name, m := range map[string]message.Message{"with every member": all, "with 1 KiB of text": plain} {
		b.Run(name, func(b *testing.B) {
			raw, err := message.Encode(&m)
			if err != nil {
				b.Fatal(err)
			}
			for b.Loop() {
				if _, err := message.Decode(raw); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
