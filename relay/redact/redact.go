// SPDX-FileCopyrightText: The certlink authors
// SPDX-License-Identifier: Apache-2.0

package redact

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/go-json-experiment/json/jsontext"

	"github.com/certlink/certlink/relay/config"
	"github.com/certlink/certlink/relay/stix"
)

// Extension is the id of the extension definition by which a redacted object says
// what it lost: {"extension_type": "property-extension", "redacted": [names], "others": number,
// "victim": bool}. docs/rules.md has its schema.
const Extension = "extension-definition--7b6f2f1c-2a52-5d0c-9d0e-6a4f0f2a4d11"

// VictimName stands in place of the name of a victim.
const VictimName = "Redacted by the sender"

// revision is part of forms, and changes with what Apply writes; policies is part of the
// digest, and changes with that and with what Withholds tells.
const (
	revision  = "certlink-redaction/1"
	revision2 = "certlink-redaction/2" // of objects that lost properties whose names are not told
	policies  = "certlink-redaction/3"
)

// Prefixes of forms.
const (
	redacted = "redact:"
	victim   = "victim:"
)

// errShape: the bytes are not an object that package stix accepted.
var errShape = errors.New("the object is not as it was stored")

// Policy says what is left out. It does not change. A nil Policy leaves out nothing.
type Policy struct {
	properties map[string]bool
	victims    bool
	digest     string
}

// New makes a policy; nil for a configuration that redacts nothing.
func New(r config.Redaction) *Policy {
	if len(r.Properties) == 0 && r.VictimIdentities != config.VictimsStrip {
		return nil
	}
	p := &Policy{properties: map[string]bool{}, victims: r.VictimIdentities == config.VictimsStrip}
	for _, name := range r.Properties {
		p.properties[name] = true
	}
	names := slices.Sorted(slices.Values(r.Properties))
	sum := sha256.Sum256(fmt.Appendf(nil, "%s %q %v", policies, slices.Compact(names), p.victims))
	p.digest = hex.EncodeToString(sum[:])
	return p
}

// Digest stands for the policy: two with the same digest write the same bytes.
func (p *Policy) Digest() string {
	if p == nil {
		return ""
	}
	return p.digest
}

// Victims tells whether it matters who is a victim.
func (p *Policy) Victims() bool { return p != nil && p.victims }

// kept are the properties of a victim's identity that stay, beside the name.
var kept = map[string]bool{
	"id": true, "type": true, "spec_version": true, "created": true, "modified": true, "identity_class": true,
	"object_marking_refs": true, "granular_markings": true, "revoked": true, "name": true,
}

// untouched are types that say only how to read others.
func untouched(o stix.Object) bool {
	return o.Type == stix.TypeMarkingDefinition || o.Type == "extension-definition"
}

// Withholds tells whether an object cannot leave because it tells what is left out of
// another one: a translation (STIX 2.1 section 7.1) of a redacted property, or of an
// identity, as any may be a victim's or become one.
func (p *Policy) Withholds(o stix.Object) (withheld bool) {
	if p == nil || o.Type != "language-content" {
		return false
	}
	stix.Members(o.Raw, func(name, value []byte) bool {
		switch string(name) {
		case "object_ref":
			withheld = withheld || p.victims && strings.HasPrefix(string(stix.Unquote(value)), "identity--")
		case "contents":
			withheld = withheld || p.inTranslation(value)
		}
		return !withheld
	})
	return withheld
}

// inTranslation tells whether the contents of a translation, properties by language, have
// one that is left out. What has another shape is not understood, and counts.
func (p *Policy) inTranslation(contents []byte) (found bool) {
	if len(p.properties) == 0 {
		return false
	}
	found = contents[0] != '{'
	stix.Members(contents, func(_, translated []byte) bool {
		found = found || translated[0] != '{'
		stix.Members(translated, func(name, _ []byte) bool {
			found = found || p.properties[string(name)]
			return !found
		})
		return !found
	})
	return found
}

// Form says in a word how an object leaves: "" as it is. Objects that lose the same
// properties have the same form. ofVictim counts for identities only.
func (p *Policy) Form(o stix.Object, ofVictim bool) string {
	if p == nil || untouched(o) {
		return ""
	}
	ofVictim = ofVictim && p.victims && o.Type == "identity"
	lost := p.loses(o.Raw, ofVictim)
	if len(lost) == 0 && !ofVictim {
		return ""
	}
	as := revision
	if _, others := tell(lost); others > 0 {
		as = revision2
	}
	sum := sha256.Sum256(fmt.Appendf(nil, "%s %q", as, lost))
	prefix := redacted
	if ofVictim {
		prefix = victim
	}
	return prefix + hex.EncodeToString(sum[:8])
}

// loses names what an object loses, sorted.
func (p *Policy) loses(raw []byte, ofVictim bool) []string {
	var lost []string
	stix.Members(raw, func(name, _ []byte) bool {
		if p.drops(string(name), ofVictim) {
			lost = append(lost, string(name))
		}
		return true
	})
	slices.Sort(lost)
	return lost
}

func (p *Policy) drops(name string, ofVictim bool) bool {
	return p.properties[name] || ofVictim && !kept[name]
}

// Apply writes an object in a form that Form gave for it under the same policy.
func (p *Policy) Apply(raw []byte, form string) ([]byte, error) {
	if form == "" {
		return raw, nil
	}
	if p == nil {
		return nil, fmt.Errorf("redacting: form %q has no policy", form)
	}
	w := writer{lost: p.loses(raw, strings.HasPrefix(form, victim)), victim: strings.HasPrefix(form, victim)}
	w.out.Grow(len(raw) + 200)
	w.out.WriteByte('{')
	var extensions []byte
	stix.Members(raw, func(name, value []byte) bool {
		switch text := string(name); {
		case text == "extensions":
			if !p.drops(text, w.victim) {
				extensions = value
			}
		case p.drops(text, w.victim):
		case text == "name" && w.victim:
			w.member(text, []byte(`"`+VictimName+`"`))
		case text == "granular_markings":
			w.granular(value)
		default:
			w.member(text, value)
		}
		return w.err == nil
	})
	w.extensions(extensions)
	w.out.WriteByte('}')
	if w.err != nil {
		return nil, fmt.Errorf("redacting: %w", w.err)
	}
	return w.out.Bytes(), nil
}

// writer writes one redacted object.
type writer struct {
	out    bytes.Buffer
	lost   []string
	victim bool
	err    error
}

func (w *writer) member(name string, value []byte) {
	if w.out.Len() > 1 {
		w.out.WriteByte(',')
	}
	quoted, err := jsontext.AppendQuote(nil, name)
	w.err = errors.Join(w.err, err)
	w.out.Write(quoted)
	w.out.WriteByte(':')
	w.out.Write(value)
}

// granular writes the markings that still select something.
func (w *writer) granular(value []byte) {
	var all []json.RawMessage
	if err := json.Unmarshal(value, &all); err != nil {
		w.err = errors.Join(w.err, errShape, err)
		return
	}
	var left []json.RawMessage
	for _, one := range all {
		var m map[string]json.RawMessage
		var selectors []string
		if err := json.Unmarshal(one, &m); err != nil {
			w.err = errors.Join(w.err, errShape, err)
			return
		}
		if json.Unmarshal(m["selectors"], &selectors) != nil {
			left = append(left, one) // none that could be cut
			continue
		}
		still := slices.DeleteFunc(slices.Clone(selectors), w.selectsLost)
		switch {
		case len(still) == len(selectors):
			left = append(left, one)
		case len(still) > 0:
			m["selectors"] = w.encode(still)
			left = append(left, w.encode(m))
		}
	}
	if len(left) > 0 {
		w.member("granular_markings", w.encode(left))
	}
}

// selectsLost tells whether a selector (STIX 2.1 section 7.2.3.1) lies in a property
// that was lost. The name of a victim is another one now.
func (w *writer) selectsLost(selector string) bool {
	top, _, _ := strings.Cut(selector, ".")
	return slices.Contains(w.lost, top)
}

// extensions writes those of the object, and ours.
func (w *writer) extensions(value []byte) {
	ours := struct {
		Type     string   `json:"extension_type"`
		Redacted []string `json:"redacted"`
		Others   int      `json:"others,omitempty"`
		Victim   bool     `json:"victim,omitempty"`
	}{Type: "property-extension", Victim: w.victim}
	ours.Redacted, ours.Others = tell(w.lost)
	var all bytes.Buffer
	all.WriteByte('{')
	stix.Members(value, func(name, one []byte) bool {
		if string(name) != Extension {
			quoted, err := jsontext.AppendQuote(nil, name)
			w.err = errors.Join(w.err, err)
			all.Write(quoted)
			all.WriteByte(':')
			all.Write(one)
			all.WriteByte(',')
		}
		return w.err == nil
	})
	all.WriteString(`"` + Extension + `":`)
	all.Write(w.encode(ours))
	all.WriteByte('}')
	w.member("extensions", all.Bytes())
}

func (w *writer) encode(v any) []byte {
	text, err := json.Marshal(v)
	w.err = errors.Join(w.err, err)
	return text
}
