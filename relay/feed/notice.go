// SPDX-FileCopyrightText: The certlink authors
// SPDX-License-Identifier: Apache-2.0

package feed

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/google/uuid"

	"github.com/certlink/certlink/relay/redact"
	"github.com/certlink/certlink/relay/rule"
	"github.com/certlink/certlink/relay/stix"
	"github.com/certlink/certlink/relay/store"
	"github.com/certlink/certlink/relay/territory"
)

// The extensions of STIX (STIX 2.1 section 7.3) by which our notes speak to machines;
// docs/rules.md has their schemas.
const (
	// extensionNotice: {"withdrawn": [{"id", "version"}]}, versions that the receiver
	// should drop.
	extensionNotice = "extension-definition--0d7bb2f4-6a1e-5c6b-8f0e-52f3a1f0c6a2"
	// extensionTerritory: {"evidence": territory.Statement}, where the object appears to be.
	extensionTerritory = "extension-definition--5a4c3c0e-9e57-5f1d-9b1a-0c1f4b7d2e93"
)

// epochOfOurs is the time of what never changes.
var epochOfOurs = time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)

// identityID is the id of the STIX identity that stands for a CERT as an author.
func identityID(trustDomain string) string {
	return "identity--" + uuid.NewSHA1(uuid.NewSHA1(uuid.NameSpaceDNS, []byte(trustDomain)), []byte("identity")).String()
}

func identityObject(trustDomain, name string) []byte {
	if name == "" {
		name = trustDomain
	}
	return encode(map[string]any{
		"type": "identity", "spec_version": stix.Spec21, "id": identityID(trustDomain), "created": stixTime(epochOfOurs),
		"modified": stixTime(epochOfOurs), "name": name, "identity_class": "organization",
	})
}

// extensionDefinition introduces an extension of ours (STIX 2.1 section 7.3.1).
func extensionDefinition(author, id string) []byte {
	told := map[string][2]string{
		extensionNotice:    {"Withdrawal", "Versions of objects that the receiver should drop."},
		extensionTerritory: {"Territory", "By which data sets an object appears to emanate from a territory. This is no attribution."},
		redact.Extension:   {"Redaction", "Names of the properties that the sender has left out."},
	}[id]
	return encode(map[string]any{
		"type": "extension-definition", "spec_version": stix.Spec21, "id": id, "created_by_ref": author,
		"created": stixTime(epochOfOurs), "modified": stixTime(epochOfOurs), "name": told[0], "description": told[1],
		"schema": "https://certlink.dev/schemas/" + id + ".json", "version": "1.0.0", "extension_types": []string{"property-extension"},
	})
}

// dropped is a version that a notice withdraws. Version is empty for an object without.
type dropped struct {
	ID      string `json:"id"`
	Version string `json:"version,omitempty"`
}

// notice tells a peer which versions to drop, and not why. The same withdrawals give
// the same bytes.
func notice(author string, ceiling rule.Level, v store.View, list []store.Withdrawal) store.Object {
	first, last := list[0].Position, list[len(list)-1].Position
	refs := map[string]bool{}
	drop := make([]dropped, len(list))
	for i, w := range list {
		refs[w.ID] = true
		drop[i] = dropped{ID: w.ID, Version: stixTime(w.Version)}
	}
	at := time.UnixMicro(last).UTC()
	return asNote(author, fmt.Sprintf("notice/%s/%s/%d/%d", v.Feed, v.Peer, first, last), at, at, map[string]any{
		"abstract":            "Withdrawn: please drop these versions",
		"content":             fmt.Sprintf("The sender does not share %d versions of objects any more that it shared before. Please drop them.", len(drop)),
		"object_refs":         slices.Sorted(maps.Keys(refs)),
		"object_marking_refs": []string{rule.MarkingOf(ceiling)},
		"extensions":          map[string]any{extensionNotice: map[string]any{"extension_type": "property-extension", "withdrawn": drop}},
	})
}

// noteID is the id of our note to a peer about one version.
func noteID(author string, v store.View, id string, version time.Time) string {
	return noteIDOf(author, "territory/"+v.Feed+"/"+v.Peer+"/"+id+"/"+stixTime(version))
}

func noteIDOf(author, key string) string {
	_, name, _ := strings.Cut(author, "--")
	ours, err := uuid.Parse(name)
	if err != nil {
		ours = uuid.NameSpaceURL
	}
	return "note--" + uuid.NewSHA1(ours, []byte(key)).String()
}

// territoryNote says from where an object appears to emanate. It is marked as the object is.
func territoryNote(author string, v store.View, o stix.Object, s territory.Statement) store.Object {
	created := o.Version
	if created.IsZero() {
		created = epochOfOurs
	}
	modified := created
	if s.AsOf.After(modified) {
		modified = s.AsOf.UTC().Truncate(time.Millisecond)
	}
	members := map[string]any{
		"abstract":    "Appears to emanate from your territory; this is no attribution",
		"content":     describeEvidence(o.ID, s),
		"object_refs": []string{o.ID},
		"extensions": map[string]any{extensionTerritory: map[string]any{
			"extension_type": "property-extension", "version": stixTime(o.Version), "evidence": s,
		}},
	}
	if len(o.Markings) > 0 {
		members["object_marking_refs"] = o.Markings
	}
	return asNote(author, "territory/"+v.Feed+"/"+v.Peer+"/"+o.ID+"/"+stixTime(o.Version), created, modified, members)
}

// asNote makes a note of ours (STIX 2.1 section 4.14).
func asNote(author, key string, created, modified time.Time, members map[string]any) store.Object {
	id := noteIDOf(author, key)
	all := map[string]any{
		"type": "note", "spec_version": stix.Spec21, "id": id, "created_by_ref": author,
		"created": stixTime(created), "modified": stixTime(modified),
	}
	maps.Copy(all, members)
	return store.Object{ID: id, Type: "note", SpecVersion: stix.Spec21, Version: modified.UTC().Truncate(time.Microsecond), Raw: encode(all)}
}

// describeEvidence says it for people.
func describeEvidence(id string, s territory.Statement) string {
	var text strings.Builder
	fmt.Fprintf(&text, "By the data sets named here, %s appears to emanate from the receiver's territory. This says where it appears to be, not who is behind it.", id)
	for _, v := range s.Values {
		fmt.Fprintf(&text, "\n%s %s:", v.Kind, v.Value)
		if v.RIR != nil {
			fmt.Fprintf(&text, " registered in %s (%s);", v.RIR.CC, v.RIR.Dataset)
		}
		for _, g := range v.Geo {
			fmt.Fprintf(&text, " located in %s (%s);", g.CC, g.Dataset)
		}
		if v.ASN != nil {
			fmt.Fprintf(&text, " announced by AS%d, registered in %s (%s);", v.ASN.Number, v.ASN.CC, v.ASN.Dataset)
		}
		for _, cc := range slices.Sorted(maps.Keys(v.Agreement)) {
			fmt.Fprintf(&text, " %d for %s;", v.Agreement[cc], cc)
		}
	}
	if s.Omitted > 0 {
		fmt.Fprintf(&text, "\n%d more values were looked at.", s.Omitted)
	}
	return text.String()
}

// stixTime writes a timestamp (STIX 2.1 section 2.16); "" for the zero time.
func stixTime(t time.Time) string {
	if t.IsZero() {
		return ""
	}
	return t.UTC().Format("2006-01-02T15:04:05.000000Z")
}

// encode writes a map of ours; its members are sorted, so that the same gives the same.
func encode(v any) []byte {
	text, err := json.Marshal(v)
	if err != nil {
		return nil
	}
	return text
}

func decodeInto(raw []byte, to any) bool { return json.Unmarshal(raw, to) == nil }
